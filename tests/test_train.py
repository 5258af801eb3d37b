"Training that is killed ends where unbroken training ends, and what is said of a run is so"
import os, signal, subprocess, sys, time
from importlib.util import find_spec
from pathlib import Path
import numpy as np, pytest
from papermill import inspect_notebook
from conftest import python

CODE = '''import sys
from pathlib import Path
import numpy as np
from hdr.train import Recipe, fit
random = np.random.default_rng(0)
x, y = random.random((1500,28,28,1), np.float32), np.eye(10, dtype=np.float32)[random.integers(0, 10, 1500)]
recipe = Recipe('keras_example', epochs=5, batch=50, optimizer='rmsprop', augmentation=dict(shift=2), schedule='plateau')
net, history = fit(recipe, (x, y, x[:200], y[:200]), seed=3, checkpoint=Path(sys.argv[1]), deterministic=True)
assert len(history) == 5
np.savez(sys.argv[2], *net.get_weights())'''

def test_kill_9_and_resume(tmp_path):
    "Killed within an epoch and started again: the same weights, bit for bit"
    env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    whole = python(CODE, tmp_path/'whole.ckpt.npz', tmp_path/'whole.npz')
    assert whole.returncode == 0, whole.stderr
    checkpoint, args = (
        tmp_path / 'cut.ckpt.npz',
        [str(tmp_path / 'cut.ckpt.npz'), str(tmp_path / 'cut.npz')],
    )
    child = subprocess.Popen(
        [sys.executable, '-c', CODE, *args],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while child.poll() is None and not checkpoint.exists(): time.sleep(.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (
        child.returncode == -signal.SIGKILL
        and checkpoint.exists()
        and not (tmp_path / 'cut.npz').exists()
    )
    again = python(CODE, *args)
    assert again.returncode == 0 and 'going on after epoch' in again.stdout, again.stderr
    with np.load(tmp_path/'whole.npz') as a, np.load(tmp_path/'cut.npz') as b:
        assert a.files == b.files and all(np.array_equal(a[k], b[k]) for k in a.files)

def test_unwritable_folder_is_said_before_training(tmp_path):
    "A file stands where the results folder should be"
    (tmp_path/'file').write_text('')
    done = python(
        'import sys; from hdr.train import train; train("base", out=sys.argv[1])', tmp_path / 'file'
    )
    assert (
        done.returncode == 1
        and 'OSError' in done.stderr
        and str(tmp_path / 'file') in done.stderr
        and 'epoch' not in done.stdout
    )

ESTIMATOR = '''import warnings
import numpy as np
from keras import Input, Sequential, layers
from sklearn.utils.estimator_checks import check_estimator
from hdr.model import register
from hdr.train import DigitClassifier, Recipe, recipes

@register
def line():
    "A border for each class is enough for scikit-learn's data, and compiled within no time"
    return Sequential([Input((28,28,1)), layers.Flatten(), layers.Dense(10, activation='softmax')])
recipes["line"] = Recipe("line", epochs=60, batch=1000, optimizer="sgd", learning_rate=1.)  # one shape: compiled once

class Anything(DigitClassifier):
    "Features as pixels in the middle of a picture: scikit-learn's data are no pictures"
    def pictures(self, X):
        if X.shape[1] > 784: raise ValueError("too many features")
        image = np.zeros((len(X), 784), np.float32)
        image[:,406-X.shape[1]//2:][:,:X.shape[1]] = X
        return image.reshape(-1,28,28,1)
warnings.simplefilter("ignore")
checks = check_estimator(Anything("line"), on_fail=None)
for c in checks:
    if c["status"] == "failed": print(c["check_name"], repr(c["exception"]))
print(sum(c["status"] == "passed" for c in checks), "passed")'''

def test_digit_classifier_is_a_scikit_learn_estimator():
    "All that scikit-learn expects of a classifier, but that it can't have any number of features"
    done = python(ESTIMATOR)
    assert done.returncode == 0, done.stderr
    *failed, passed = done.stdout.splitlines()
    assert not failed and int(passed.split()[0]) > 40, done.stdout

ALONE = '''import numpy as np
from hdr.data import parts
from hdr.train import DigitClassifier
x, y = (a[:200] for a in parts()["train"])
classifier, order = DigitClassifier("keras_example", epochs=1).fit(x, y), np.random.default_rng(0).permutation(200)
p = classifier.predict_proba(x)
assert np.array_equal(classifier.predict_proba(x[order]), p[order])
for some in (0, 1, 3, 7, 50, 199): assert np.array_equal(classifier.predict_proba(x[some:some+1]), p[some:some+1])
assert np.array_equal(classifier.predict_proba(x[:33]), p[:33])'''

@pytest.mark.parametrize('processor', ['', 'AVX2', 'SSE41'])
def test_an_answer_does_not_depend_on_the_others(processor):
    "In any order and any company the same to the last bit, on whatever processor adds up as it likes"
    done = python(ALONE, env=dict(ONEDNN_MAX_CPU_ISA=processor) if processor else {})
    assert done.returncode == 0, done.stderr

def test_what_is_said_of_the_data_holds_everywhere():
    "`hdr run -p split_seed=7` is no use if only the first notebook obeys"
    nbs = Path(__file__).parent.parent/'nbs'
    of = {
        n: set(inspect_notebook(nbs / f'{n}.ipynb'))
        for n in ('00_data', '01_model', '02_train', '03_results')
    }
    assert {'validation', 'split_seed', 'data_path'} <= of['00_data'] & of['01_model'] & of[
        '02_train'
    ]
    assert 'data_path' in of['03_results']

BACKEND = '''import keras, numpy as np, sys
from dataclasses import replace
from hdr.train import fit, recipes
random = np.random.default_rng(0)
x, y = random.random((192,28,28,1), np.float32), np.eye(10, dtype=np.float32)[random.integers(0, 10, 192)]
runs = [fit(replace(recipes[sys.argv[1]], epochs=3, batch=64), (x, y, x[:64], y[:64]), seed=1, quiet=True) for _ in range(2)]
(a, history), (b, _) = runs
assert np.isfinite(history.train_loss).all() and history.train_loss.iloc[-1] < history.train_loss.iloc[0]
assert all(np.array_equal(p, q) for p,q in zip(a.get_weights(), b.get_weights()))
print(keras.backend.backend())'''

@pytest.mark.parametrize('recipe', ['small', 'nano'])
@pytest.mark.parametrize('backend', ['tensorflow', 'jax', 'torch'])
def test_same_recipe_on_every_backend(backend, recipe):
    "A few steps, twice, with the same weights in the end, wherever the backend is installed"
    if not find_spec(backend): pytest.skip(f'{backend} is not installed')
    done = python(BACKEND, recipe, env=dict(KERAS_BACKEND=backend))
    assert done.returncode == 0 and done.stdout.strip() == backend, done.stderr

def test_quick_is_good_within_an_epoch(tmp_path):
    "One pass over MNIST: at least 98.9% of the test images right (99.0 is usual)"
    done = python(
        'import sys; from hdr.train import train; print(train("quick", 1, 1, sys.argv[1])["test_accuracy"])',
        tmp_path,
    )
    assert done.returncode == 0 and float(done.stdout.split()[-1]) >= .989, done.stderr
