"""The measuring sets as two versions of this package read them, picture by picture

    HDR_DATASETS=... python tools/before_after.py BEFORE AFTER TABLE.csv

BEFORE and AFTER are checkouts. Each reads the same pictures in a process of its own; the table has a row a set: how many
are right in both versions, how many changed for the better and the worse, and McNemar's p. Nothing is chosen here.
"""
import json, os, subprocess, sys
from pathlib import Path

def measure(most: int = 1000, strings: int = 40) -> dict:
    "set -> list of 0 and 1: is each picture right (digits: the likeliest; no digits: rejected; strings: exact)?"
    import csv, zipfile
    import numpy as np
    from hdr.data import load_mnist
    from hdr.image import read_image
    from hdr.people import hostile, load_sets, recognise
    from hdr.read import read_page
    from hdr.recognize import Recognizer
    from hdr.samples import sample_string
    x, y = load_mnist()[1]
    home, rec, rng, found = (
        Path(os.environ['HDR_DATASETS']),
        Recognizer(threads=1),
        np.random.default_rng(0),
        {},
    )
    sets = {'MNIST': (list(x[:most]), y[:most])}
    sets |= {
        name: ([f(d, rng) for d in x[: most // 2]], y[: most // 2]) for name, f in hostile.items()
    } | load_sets(home)
    for name,(pictures,labels) in sets.items():
        p = recognise(rec, list(pictures)[:2*most])
        good = (
            p[:, :10].max(1) < rec.threshold
            if labels is None
            else p[:, :10].argmax(1) == labels[: 2 * most]
        )
        found[name if labels is not None else f'no digits: {name}'] = [int(g) for g in good]
    def rows(name): return list(csv.DictReader(open(home/name, newline='')))
    def made(seed, **how):
        rng = np.random.default_rng(seed)
        return [sample_string(x, y, rng, **how) for _ in range(strings)]
    def photographs():
        for r in rows('photos_multi/truth.csv'):
            if r['rotate_ccw_needed'] == '0':
                yield (
                    home / 'photos_multi/img' / r['file'],
                    ''.join(filter(str.isdigit, r['truth_lines'])),
                )
    cheques = zipfile.ZipFile(home/'orand_car_a/images.zip')
    lines = {
        'strings apart': made(1),
        'strings apart, 60 pixels': made(2, scale=3),
        'strings touching': made(3, gap=(-3, 3)),
        'strings on patterned paper': made(5, scale=2, paper='pattern'),
        'strings on squared paper': made(6, scale=2, paper='squared'),
        'NIST fields': [
            (home / 'nist_hsf_form/fields' / r['file'], r['truth'])
            for r in rows('nist_hsf_form/truth.csv')
        ],
        'row numbers': [
            (home / 'mgr_row_ids/img' / r['file'], r['truth'])
            for r in rows('mgr_row_ids/labels.csv')
            if r['kind'] == 'row_id'
        ],
        'cheques': [
            (cheques.read(r['file']), r['digits'])
            for r in rows('orand_car_a/labels.csv')[: 5 * strings]
        ],
        'photographed pages': list(photographs()),
    }
    for name,pairs in lines.items():
        how = {} if name == 'photographed pages' else dict(threshold=0., field=True)
        read = [
            ''.join(c for c in read_page(read_image(s), **how).text if c in '0123456789?')
            for s, _ in pairs
        ]
        found[name] = [int(r == t) for r,(_,t) in zip(read, pairs)]
    return found

def main(before: str, after: str, table: str):
    "Both versions, then the table"
    def run(root):
        code = f'import json, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import before_after as b; print(json.dumps(b.measure()))'
        done = subprocess.run(
            [sys.executable, '-c', code],
            env={**os.environ, 'PYTHONPATH': root},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])
    write(run(before), run(after), table)

def write(old: dict, new: dict, table: str):
    "One row a set"
    import pandas as pd
    from hdr.results import mcnemar
    out = []
    for name,a in old.items():
        b = new[name]
        better, worse = sum(v > u for u,v in zip(a, b)), sum(v < u for u,v in zip(a, b))
        from scipy.stats import binomtest
        p = binomtest(worse, better+worse).pvalue if better+worse else 1.
        out.append(
            dict(
                set=name,
                n=len(a),
                before=sum(a) / len(a),
                after=sum(b) / len(b),
                better=better,
                worse=worse,
                p=p,
            )
        )
    pd.DataFrame(out).to_csv(table, index=False, float_format='%.5g')

if __name__ == '__main__': main(*sys.argv[1:])
