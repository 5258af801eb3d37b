"Each shipped network's card says how to retrain it; that line is typed here, for a few images and one epoch"
import ast, json, os, shlex, shutil
from pathlib import Path
import numpy as np, pytest
from conftest import hdr
from hdr.data import locate
from hdr.networks import Network, keras_model

ROOT = Path(__file__).parent.parent
CARDS = sorted((ROOT/'hdr'/'weights').glob('*.json'))

def definitions_and_run(path):
    "A notebook without its demonstrations, which are tested elsewhere: imports, what is exported, and the first step of the run"
    nb = json.loads(path.read_text(encoding='utf-8'))
    def kept(source):
        try: tree = ast.parse(source)
        except SyntaxError: return False
        return '#| export' in source or all(
            isinstance(n, (ast.Import, ast.ImportFrom)) for n in tree.body
        )
    code = [c for c in nb['cells'] if c['cell_type'] == 'code']
    start = next(i for i,c in enumerate(code) if 'parameters' in c['metadata'].get('tags', []))
    steps = [c for c in code[start+1:] if '#| hide' not in ''.join(c['source'])]
    nb['cells'] = [c for c in code[:start] if kept(''.join(c['source']))] + [code[start], steps[0]]
    return nb

@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    "A repository with the notebooks that train"
    root = tmp_path_factory.mktemp('clone')
    (root/'nbs').mkdir()
    shutil.copy(ROOT/'settings.ini', root)
    for name in '02_train', '15_train_digits', '29_train_pages':
        nb = definitions_and_run(ROOT/'nbs'/f'{name}.ipynb')
        (root/'nbs'/f'{name}.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    return root

FAMILY = 'base', 'large', 'mini', 'small', 'tiny'

@pytest.mark.parametrize('name', FAMILY)
def test_lines_of_the_family_differ_by_a_name(name):
    line = json.loads((ROOT/'hdr'/'weights'/f'{name}.json').read_text())['retrain']
    assert line == f'hdr train --model {name} --seed 1'

@pytest.mark.parametrize('path', CARDS, ids=lambda p: p.stem)
def test_the_line_for_retraining_runs(path, clone, tmp_path):
    if path.stem in FAMILY and path.stem != 'tiny' and not os.environ.get('HDR_LARGE'):
        pytest.skip('as tiny, but for minutes: HDR_LARGE=1')
    program, command, *words = shlex.split(json.loads(path.read_text())['retrain'])
    assert program == 'hdr' and command in ('train', 'run')
    place = locate()[0]
    env = dict(
        HDR_RESULTS=str(tmp_path / 'results'),
        HDR_CACHE=str(tmp_path / 'cache'),
        IN_TEST='',
        HDR_DATA=str(place),
    )
    few = ['--epochs', '1', '--images', '300']
    if command == 'run':
        few = ['-p', 'epochs=1', 'images=300', 'few_fonts=2', f'folder={tmp_path / "weights"}']
    if path.stem == 'strings': few.append('strings=300')
    done = hdr(command, *words, *few, cwd=clone, env=env)
    assert done.returncode == 0, done.stderr
    runs = (tmp_path/'results'/'runs.csv').read_text().splitlines()
    assert len(runs) == 2 and path.stem in runs[1]
    if command == 'run':
        assert (
            Network(path.stem, tmp_path / 'weights').card['sha256']
            != json.loads(path.read_text())['sha256']
        )
    else: assert len(list((tmp_path/'cache'/'models').glob(f'{path.stem}-*.keras'))) == 1

@pytest.mark.parametrize('path', CARDS, ids=lambda p: p.stem)
def test_plain_arrays_are_the_same_network(path):
    "The file beside each card says what its LiteRT file says"
    height, width = (32, 96) if path.stem == 'strings' else (28, 28)
    x = np.random.default_rng(0).random((4,height,width,1), np.float32)
    assert (
        np.abs(keras_model(path.stem).predict(x, verbose=0) - Network(path.stem).ask(x)).max()
        < 1e-3
    )
