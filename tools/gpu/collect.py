#!/usr/bin/env python3
"""Take home what `train_family.py` brought back from a GPU

    python tools/gpu/collect.py FOLDER...

Each FOLDER has results.tar and perhaps members.npz. Rows of recipes of `hdr.train` go to runs.csv,
with histories and predictions beside; rows of its variants go to gpu_trials.csv. Members become
trained networks in the cache, where `05_ship` and `hdr submit` find them.
"""
import sys, tarfile, tempfile
from pathlib import Path
import numpy as np
from hdr.data import read_table, results_dir, write_atomic
from hdr.model import build
from hdr.train import add_row, recipes, trained_path

def collect_results(archive, out):
    "Rows, histories and predictions"
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as f: f.extractall(folder, filter='data')
        found = Path(folder)/'results'
        for _,row in read_table(found/'runs.csv', dtype=str, keep_default_na=False).iterrows():
            ours = row.recipe in recipes
            add_row(out/('runs.csv' if ours else 'gpu_trials.csv'), dict(row))
            for name in (f'history_{row.run}.csv', f'predictions_{row.run}.npz') if ours else ():
                write_atomic(out/name, lambda p: p.write_bytes((found/name).read_bytes()))
            print(row.run, row.validation_accuracy)

def collect_members(path):
    "float16 weights -> trained networks"
    with np.load(path) as members:
        for run in sorted({key.split('/')[0] for key in members}):
            recipe = run.rsplit('-s', 1)[0]
            if recipe not in recipes: continue
            net = build(recipes[recipe].model)
            weights = [members[f'{run}/{i}'] for i in range(len(net.weights))]
            net.set_weights([w.astype(np.float32) for w in weights])
            trained_path(run).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(trained_path(run), net.save)

if __name__ == '__main__':
    for folder in map(Path, sys.argv[1:]):
        collect_results(folder/'results.tar', results_dir())
        if (folder/'members.npz').exists(): collect_members(folder/'members.npz')
