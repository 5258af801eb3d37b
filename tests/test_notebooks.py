"What holds for every notebook, so that papermill, nbdev and Colab all take it"
import ast, json, re
from pathlib import Path
import pytest
from hdr.run import pipeline

NBS = Path(__file__).parent.parent/'nbs'
notebooks = sorted(NBS.glob('*.ipynb'))

def cells(path):
    "(source, tags) of each code cell"
    return [
        (''.join(c['source']), c['metadata'].get('tags', []))
        for c in json.loads(path.read_text(encoding='utf-8'))['cells']
        if c['cell_type'] == 'code'
    ]

def is_import(node): return isinstance(node, (ast.Import, ast.ImportFrom))

def mixed(source):
    "Does code have an import, on whatever level, and something else?"
    try: tree = ast.parse(source)
    except SyntaxError: return False  # a shell line; nbdev leaves those alone
    return any(map(is_import, ast.walk(tree))) and not all(map(is_import, tree.body))

@pytest.mark.parametrize('path', notebooks, ids=lambda p: p.stem)
def test_imports_stand_alone(path):
    "Building the docs runs every cell with an import and no other: a cell that needs more than that would fail there"
    for source,_ in cells(path): assert '#| export' in source or not mixed(source), source

@pytest.mark.parametrize(
    'name',
    [
        *pipeline,
        '04_ablation',
        '05_ship',
        '15_train_digits',
        '16_people',
        '28_scans',
        '29_train_pages',
        '40_bench',
    ],
)
def test_parameters(name):
    "One cell of parameters, each with its type and a comment, as papermill shows them, the results folder among them; tests run on less"
    found = [source for source,tags in cells(NBS/f'{name}.ipynb') if 'parameters' in tags]
    assert len(found) == 1 and 'out: str = ' in found[0]
    assert all(
        re.match(r'\w+: (int|float|str|bool) = .*  # ', line)
        for line in found[0].splitlines()
        if '=' in line
    )
    assert any('IN_TEST' in source for source,_ in cells(NBS/f'{name}.ipynb'))

@pytest.mark.parametrize('path', [p for p in notebooks if p.stem != 'index'], ids=lambda p: p.stem)
def test_colab(path):
    "A badge that leads to this very notebook, and a first cell that installs"
    text = path.read_text(encoding='utf-8')
    assert (
        f'colab.research.google.com/github/hdr-digits/hdr/blob/main/nbs/{path.name}' in text
        and '/content/hdr' in cells(path)[0][0]
    )
