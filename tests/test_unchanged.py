"""What is read from pictures made by code stays what it was

    python tests/test_unchanged.py        writes unchanged.json anew, after a change that was meant
"""
import json
from pathlib import Path
import cv2, numpy as np, pytest
from hdr.data import load_mnist
from hdr.read import read_page
from hdr.recognize import Recognizer
from hdr.samples import sample_page, sample_string
from hdr.tables import read_grid

KEPT = Path(__file__).with_name('unchanged.json')

def held_digits():
    "MNIST's test digits: seen by no training"
    return load_mnist()[1]

def strings(x, y):
    "(name, picture, options of `read_page`) of strings apart, touching, on all papers"
    for seed, (paper, gap, scale) in enumerate(
        [
            ('plain', (4, 10), 2),
            ('plain', (-3, 1), 2),
            ('ruled', (2, 8), 1),
            ('squared', (4, 10), 3),
            ('pattern', (4, 10), 2),
            ('plain', (-4, 0), 4),
        ]
        * 2
    ):
        grey, _ = sample_string(
            x, y, np.random.default_rng(seed), gap=gap, scale=scale, paper=paper, slant=0.2
        )
        yield f'string {seed} {paper}', grey, dict(field=seed > 8)

def pages(x, y):
    "The same of pages: level, askew, seen from aside, in shadow, turned, light on dark"
    how = [
        dict(),
        dict(tilt=3.0),
        dict(depth=0.1, shadow=0.5),
        dict(paper='squared'),
        dict(paper='plain', tall=22),
    ]
    for seed,more in enumerate(how):
        grey, _ = sample_page(x, y, np.random.default_rng(seed), lines=5, size=(700, 850), **more)
        yield f'page {seed}', grey, {}
        if seed < 2: yield f'page {seed}, turned', np.ascontiguousarray(np.rot90(grey, seed+1)), {}
    yield 'page, light on dark', 255-grey, {}

def table(x, rows=4, columns=3, side=60):
    "A ruled table with a digit or two in some cells"
    page, rng = np.full((rows*side+40, columns*2*side+40), 235, np.uint8), np.random.default_rng(0)
    for r in range(rows+1): cv2.line(page, (20, 20+r*side), (20+columns*2*side, 20+r*side), 60, 2)
    for c in range(columns+1): cv2.line(page, (20+2*c*side, 20), (20+2*c*side, 20+rows*side), 60, 2)
    for r,c,k in np.ndindex(rows, columns, 2):
        if rng.random() < .3: continue
        top, left = 36+r*side, 50+2*c*side+32*k
        page[top : top + 28, left : left + 28] = np.minimum(
            page[top : top + 28, left : left + 28], 255 - x[rng.integers(len(x))]
        )
    return page

def pictures(x):
    "Single digits: light, dark, small, grey on a shadow, letters and nothing"
    rng = np.random.default_rng(1)
    for a in x[:6]:
        yield from (a, 255-a, a[6:24:2,6:24:2], np.pad(255-a, 60, constant_values=255))
        yield (
            (
                200
                - np.linspace(0, 60, 112)[None]
                - 0.5 * np.kron(a, np.ones((4, 4)))
                + rng.normal(0, 4, (112, 112))
            )
            .clip(0, 255)
            .astype(np.uint8)
        )
    letter = np.full((120,120), 230, np.uint8)
    cv2.putText(letter, 'K', (30,90), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 30, 6)
    yield from (letter, np.full((50,50), 200, np.uint8))

def now():
    "Everything as it is read today: name -> list of rows of (text, flag, confidence, box)"
    (x, y), found = held_digits(), {}
    for name,grey,how in [*strings(x, y), *pages(x, y)]:
        page = read_page(grey, **how)
        found[name] = (
            [[str(page.rotation), False, 1.0, []]]
            + [[line.text, False, line.confidence, line.box] for line in page.lines]
            + [
                [str(d.digit), d.rejected, d.confidence, d.box]
                for line in page.lines
                for d in line.digits
            ]
        )
    found['table'] = [[c.text, False, c.confidence, c.box] for c in read_grid(table(x))]
    seen = Recognizer().classify(list(pictures(x)))
    found['pictures'] = [
        [f'{r.digit} {r.second} {r.notes}', bool(r.rejected), r.confidence, []]
        for r in seen.itertuples()
    ]
    return json.loads(json.dumps(found))

@pytest.fixture(scope='module')
def both(): return json.loads(KEPT.read_text()), now()

def test_same_text_order_and_flags(both):
    "To the letter"
    old, new = ({name: [row[:2] for row in rows] for name,rows in found.items()} for found in both)
    assert old == new

def test_same_boxes_and_confidences(both):
    "To a pixel, since another processor rounds otherwise, and to a thousandth"
    for name,rows in both[0].items():
        for (_, _, confidence, box), (_, _, confidence_now, box_now) in zip(
            rows, both[1][name], strict=True
        ):
            assert (
                abs(confidence - confidence_now) <= 1e-3
                and np.abs(np.subtract(box, box_now)).max(initial=0) <= 1
            ), name

if __name__ == '__main__':
    KEPT.write_text(json.dumps(now(), separators=(',', ':')).replace('],[', '],\n['))
