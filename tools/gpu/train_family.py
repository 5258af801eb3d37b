#!/usr/bin/env python3
"""Train recipes of `hdr.train` on a bare machine with one GPU, JAX and no TensorFlow

    KERAS_BACKEND=jax PYTHONPATH=. python tools/gpu/train_family.py large_late large_early --out DIR
    KERAS_BACKEND=jax PYTHONPATH=. python tools/gpu/train_family.py large --seeds 1-10 --out DIR

It is `hdr.train.train` with another `fit`: the images lie on the GPU, an epoch is one compiled
program in bfloat16, and a second seed of a recipe needs no second compilation. A run that is
recorded in DIR/results is not trained again, one that was cut off goes on from its last tenth epoch.
DIR gets results.tar (rows for runs.csv, histories, predictions) and members.npz, the weights in
float16; `collect.py` takes them over. MNIST is where `HDR_CACHE` says, or in the usual cache, and
so are the samples that `reader` is shown: where there are no fonts, a cache that has them travels.
"""
import argparse, os, tarfile, time
os.environ.setdefault('KERAS_BACKEND', 'jax')
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
import jax
import keras
import numpy as np
import pandas as pd
from dataclasses import replace
from functools import partial
from jax import numpy as jnp
from pathlib import Path
import hdr.model, hdr.train as t
from hdr.data import cache_dir

def stacked(name, **how):
    "Three stages of three bricks of 128 channels, weighed, of standardised pictures"
    return hdr.model.stacked(name, *[(128,)*3]*3, eye=hdr.model.standardise, last=hdr.model.excite, **how)

def normalised_late(name):
    "As `large`, but normalised after each third convolution only"
    layers, image = keras.layers, keras.Input((28,28,1))
    x = hdr.model.standardise(image)
    for stage in range(3):
        for _ in range(3): x = layers.Conv2D(128, 3, padding='same', activation='relu')(x)
        x = hdr.model.excite(layers.BatchNormalization(momentum=.9)(x))
        if stage: x = layers.AveragePooling2D(2)(x)
    x = layers.concatenate([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(image, layers.Dense(10, activation='softmax', dtype='float32')(x), name=name)

def variants():
    "Choices listed beforehand: name -> network, what the recipe of `large` changes"
    elastic = dict(augmentation=t.recipes['large'].augmentation)
    return dict(late=(normalised_late, {}), early=(stacked, {}), each=(partial(stacked, late=True), {}),
        elastic=(normalised_late, elastic), gentle=(normalised_late, dict(learning_rate=7e-4)),
        few=(normalised_late, dict(batch=32, learning_rate=1e-3)))

def add_variants():
    "A recipe for each choice: eight epochs, not elastic unless it says so, validation images set apart"
    large = t.recipes['large']
    stiff = {k: v for k,v in large.augmentation.items() if k != 'elastic'}
    for choice,(network, changes) in variants().items():
        name = f'large_{choice}'
        hdr.model.models[name] = lambda name=name, network=network: network(name)
        t.recipes[name] = replace(large, model=name, epochs=8, validation=5000,
            **dict(augmentation=stiff) | changes)

def make_programs(recipe, steps, epochs):
    "A network behind its augmentation, and what trains it for an epoch: with augmentation, without"
    net, model = t.compile_recipe(recipe, steps, epochs)
    loss, optimizer = keras.losses.get(model.loss), model.optimizer
    def step(state, batch):
        weights, others, slots = state
        x, y = batch
        def objective(weights, others):
            p, others = model.stateless_call(weights, others, x, training=True)
            return jnp.mean(loss(y, p)), (p, others)
        (value, (p, others)), gradients = jax.value_and_grad(objective, has_aux=True)(weights, others)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        classes = min(p.shape[1], 11)
        right = jnp.mean(p[:,:classes].argmax(1) == y[:,:classes].argmax(1))
        return (weights, others, slots), (value, right)
    def make_epoch():
        def epoch(state, x, y, order):
            return jax.lax.scan(lambda s, at: step(s, (x[at], y[at])), state, order)
        return jax.jit(epoch, donate_argnums=0)
    return net, model, (make_epoch(), make_epoch())  # compiled when first called

made = {}  # recipe, steps and epochs -> what `make_programs` made

def resident_fit(recipe, data, seed=1, epochs=0, checkpoint=None, deterministic=False, **_):
    "As `hdr.train.fit`, with the data on the GPU; what is left over of a last batch is dropped"
    (x, y, *held), epochs, size = data, epochs or recipe.epochs, recipe.batch
    steps = len(x)//size
    key = t.fingerprint(recipe), steps, epochs
    if key not in made: made[key] = make_programs(recipe, steps, epochs)
    net, model, programs = made[key]
    with hdr.model.seeded(seed, False):
        _, fresh = t.compile_recipe(recipe, steps, epochs)
    for v,new in zip(hdr.model.training_state(model), hdr.model.training_state(fresh)): v.assign(new)
    history = t.load_checkpoint(checkpoint, model) if checkpoint else pd.DataFrame()
    x, y = jnp.asarray(x), jnp.asarray(y)
    variables = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    knobs = model.layers[0].knobs
    for epoch in range(len(history), epochs):
        start, clean = time.perf_counter(), epoch >= epochs - recipe.clean
        model.layers[0].knobs = {} if clean else knobs  # seen when a program is compiled
        rate = float(model.optimizer.learning_rate)
        order = np.random.default_rng([seed, epoch]).permutation(len(x))[:steps*size]
        state, (losses, right) = programs[clean](tuple([v.value for v in vs] for vs in variables),
            x, y, order.reshape(steps, size))
        for vs,new in zip(variables, state):
            for v,a in zip(vs, new): v.assign(a)
        row = dict(epoch=epoch+1, train_loss=float(losses.mean()), train_accuracy=float(right.mean()),
            learning_rate=rate)
        if not np.isfinite(row['train_loss']): raise FloatingPointError(f'{recipe.model}: no number')
        row['seconds'] = time.perf_counter() - start
        if held:
            said = net.predict(held[0], batch_size=500, verbose=0)[:,:10]
            row['validation_accuracy'], row['validation_loss'] = t.score(said, held[1].argmax(1))
        history = pd.concat([history, pd.DataFrame([row])], ignore_index=True)
        if checkpoint and (epoch+1) % 10 == 0: t.save_checkpoint(checkpoint, model, history)
    model.layers[0].knobs = knobs
    if checkpoint and not checkpoint.exists(): t.save_checkpoint(checkpoint, model, history)
    print(f'{recipe.model}, seed {seed}: {epochs} epochs in {history.seconds.sum():.1f} s, '
        f'the first {history.seconds.iloc[0]:.1f}, others {history.seconds.median():.2f}', flush=True)
    return net, history

def gpu():
    "The card by its name"
    return f'one {jax.devices()[0].device_kind}'

def train_all(names, seeds, out, epochs=0, images=0, revision=''):
    "Every seed of every recipe that is not recorded yet"
    results, machine = out/'results', t.hardware()
    t.fit, t.hardware = resident_fit, lambda: f'{gpu()}; {machine}'
    if revision: t.git_revision = lambda: revision
    keras.config.set_dtype_policy('mixed_bfloat16')
    jax.config.update('jax_compilation_cache_dir', str(cache_dir()/'programs'))
    members = dict(np.load(out/'members.npz')) if (out/'members.npz').exists() else {}
    for name in names:
        for seed in seeds:
            run, table = t.run_name(name, seed, epochs, images), results/'runs.csv'
            if table.exists() and run in set(pd.read_csv(table).run): continue
            start = time.perf_counter()
            row = t.train_network(name, seed, epochs, results, False, t.Split(images=images))
            said = '{:.4f}, loss {:.5f}'.format(*(row.get(f'validation_{k}', np.nan)
                for k in ('accuracy', 'loss')))
            print(f'{run}: validation {said}; {time.perf_counter() - start:.1f} s in all', flush=True)
            net = t.load_trained(run)
            for i,w in enumerate(net.get_weights()): members[f'{run}/{i}'] = w.astype(np.float16)
            np.savez_compressed(out/'members.npz', **members)
            with tarfile.open(out/'results.tar', 'w') as f: f.add(results, 'results')

def main():
    "Read the command line"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('recipes', nargs='+', help='of hdr.train, or `large_late` and other variants')
    parser.add_argument('--seeds', default='1-10', help='the first and the last one')
    parser.add_argument('--epochs', type=int, default=0, help='for a trial; 0: as the recipe says')
    parser.add_argument('--images', type=int, default=0, help='for a trial; 0: all')
    parser.add_argument('--revision', default='', help='of the repository, where git is not there')
    parser.add_argument('--out', type=Path, required=True, help='folder for what travels home')
    a = parser.parse_args()
    first, last = map(int, a.seeds.split('-'))
    add_variants()
    if 'reader' in a.recipes: import hdr.train_digits  # which knows its recipe
    train_all(a.recipes, range(first, last+1), a.out, a.epochs, a.images, a.revision)

if __name__ == '__main__': main()
