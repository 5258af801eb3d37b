"The command line, as a person at a terminal meets it"
import json, sys
import numpy as np
import pytest
from conftest import hdr, notebook, python
from hdr.run import pipeline

@pytest.mark.parametrize(
    'line',
    [
        '--help',
        'run --help',
        'data --help',
        'info --help',
        'train --help',
        'bench --help',
        'classify --help',
        'submit --help',
        'review --help',
        'apply --help',
        'audit --help',
        '--version',
    ],
)
def test_help_imports_nothing_heavy(line):
    done = python(
        '''import sys
from hdr.cli import main
try: main(sys.argv[1:])
except SystemExit as e: assert e.code == 0
heavy = {'tensorflow', 'keras', 'matplotlib', 'pandas', 'sklearn', 'scipy', 'numpy', 'papermill', 'jupyter_client'} & set(sys.modules)
assert not heavy, heavy''',
        *line.split(),
    )
    assert done.returncode == 0, done.stderr
    assert line == '--version' or 'examples:' in done.stdout and 'hdr ' in done.stdout

@pytest.mark.parametrize(
    'line, says',
    [
        ('rnu', 'rnu'),
        ('run --onyl 02_train', '--onyl'),
        ('run -p epochs', '-p epochs=VALUE'),
        ('run -p epochs=five', 'int'),
        ('run -p epochs=2.5', 'int'),
        ('run --only 04_nothing', '02_train'),
        ('run --resume', 'no interrupted run'),
        ('run --resume -p epochs=1', '--resume'),
    ],
)
def test_usage_errors(repo, line, says):
    done = hdr(*line.split(), cwd=repo)
    assert done.returncode == 2 and done.stderr.startswith('hdr: error:') and says in done.stderr
    assert done.stderr.count('\n') == 1 and not list(repo.glob('*.txt'))

def test_misspelt_parameter_lists_the_right_ones(repo):
    done = hdr('run', '-p', 'epcohs=5', cwd=repo)
    assert (
        done.returncode == 2
        and 'did you mean epochs?' in done.stderr
        and 'passes over the images' in done.stderr
    )
    assert not list(repo.glob('*.txt'))

def test_run_passes_parameters_and_keeps_notebooks(repo, tmp_path):
    out = tmp_path/'out'
    done = hdr('run', '-p', 'epochs=5', '--out', out, cwd=repo/'nbs')
    assert done.returncode == 0, done.stderr
    assert [p.read_text() for p in sorted(repo.glob('*.txt'))] == [f'5 {out}']*len(pipeline)
    assert sorted(p.name for p in (out/'notebooks').iterdir()) == [f'{n}.ipynb' for n in pipeline]
    text = (out/'notebooks'/'02_train.ipynb').read_text()
    assert (
        'epochs = 5' in text.replace(': int', '')
        and 'papermill' not in text
        and str(repo) not in text
    )
    assert f'[{len(pipeline)}/{len(pipeline)}] {pipeline[-1]}' in done.stdout

def test_only_and_results_folder_by_environment(repo, tmp_path):
    done = hdr('run', '--only', 'train', cwd=repo, env=dict(HDR_RESULTS=str(tmp_path/'elsewhere')))
    assert done.returncode == 0, done.stderr
    assert [p.name for p in repo.glob('*.txt')] == ['02_train.txt'] and (
        tmp_path / 'elsewhere' / 'notebooks' / '02_train.ipynb'
    ).exists()

def test_kernel_is_this_interpreter_whatever_else_is_installed(repo, tmp_path):
    spec = tmp_path/'jupyter'/'kernels'/'python3'
    spec.mkdir(parents=True)
    (spec / 'kernel.json').write_text(
        json.dumps(dict(argv=['/bin/false'], display_name='trap', language='python'))
    )
    notebook(
        repo / 'nbs' / '00_data.ipynb', 'import sys; open("../who.txt", "w").write(sys.executable)'
    )
    done = hdr('run', '--only', '00_data', cwd=repo, env=dict(JUPYTER_PATH=str(tmp_path/'jupyter')))
    assert done.returncode == 0, done.stderr
    assert (repo/'who.txt').read_text() == sys.executable

def test_failing_notebook_is_named_and_resumed(repo):
    good = (repo/'nbs'/'02_train.ipynb').read_text()
    notebook(repo/'nbs'/'02_train.ipynb', 'print("so far")', 'raise OSError("disk full")')
    done = hdr('run', '-p', 'epochs=3', cwd=repo)
    assert (
        done.returncode == 1
        and done.stderr.startswith('hdr: error: 02_train, In [4]: OSError: disk full')
        and done.stderr.count('\n') == 1
    )
    folder = repo/'results'/'notebooks'
    assert (
        (folder / '02_train.failed.ipynb').exists()
        and not (folder / '02_train.ipynb').exists()
        and not (repo / '03_results.txt').exists()
    )
    (repo/'nbs'/'02_train.ipynb').write_text(good)
    for p in repo.glob('*.txt'): p.unlink()
    done = hdr('run', '--resume', cwd=repo)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_text().split()[0] for p in repo.glob('*.txt')} == {
        f'{n}.txt': '3' for n in pipeline[2:]
    }
    assert len(list(folder.iterdir())) == len(pipeline)

def test_debug_shows_the_traceback(tmp_path):
    line = 'submit', tmp_path/'none.csv', '-o', tmp_path/'s.csv'
    assert 'Traceback' not in hdr(*line).stderr and 'Traceback' in hdr(*line, '--debug').stderr

def test_results_folder_that_is_a_file(repo, tmp_path):
    (tmp_path/'file').write_text('')
    done = hdr('run', '--out', tmp_path/'file', cwd=repo)
    assert (
        done.returncode == 1
        and done.stderr.startswith('hdr: error:')
        and str(tmp_path / 'file') in done.stderr
        and done.stderr.count('\n') == 1
    )
    assert not list(repo.glob('*.txt'))

def test_outside_a_clone(tmp_path):
    done = python(
        'import sys, hdr.data as d; d.repository = lambda: None; from hdr.cli import main; sys.exit(main(["run"]))',
        cwd=tmp_path,
    )
    assert done.returncode == 2 and 'inside a clone' in done.stderr

def test_info_makes_nothing(tmp_path):
    done = hdr('info', cwd=tmp_path, env=dict(HDR_CACHE=str(tmp_path/'cache')))
    assert (
        done.returncode == 0
        and 'backend' in done.stdout
        and [p.name for p in tmp_path.iterdir()] in ([], ['cache'])
    )

def test_info_tells_what_it_can(tmp_path):
    "A cache that can't be made, settings of Keras that are damaged: said where they belong, and the rest is told"
    (tmp_path/'file').write_text('')
    (tmp_path/'keras.json').write_text('{"backend": ')
    for cache in tmp_path/'file'/'cache', '/proc/hdr':
        done = hdr('info', env=dict(HDR_CACHE=str(cache), KERAS_HOME=str(tmp_path)))
        assert done.returncode == 0 and not done.stderr
        facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
        assert (
            'core' in facts['hardware']
            and facts['backend'].startswith('unknown (')
            and 'interpreter' in facts
        )

@pytest.mark.parametrize(
    'line',
    [
        '--resume --model base',
        '--resume --seeds 5',
        '--resume --seed 0',
        '--resume --epochs 1',
        '--seeds 0',
        '--epochs -1',
    ],
)
def test_train_refuses_what_it_would_not_do(repo, line):
    done = hdr('train', *line.split(), cwd=repo)
    assert done.returncode == 2 and line.split()[-2] in done.stderr and done.stderr.count('\n') == 1
    assert not list(repo.glob('*.txt'))

def test_annotated_parameters(repo):
    "A value is of the annotation's type, where the default alone would say another"
    notebook(
        repo / 'nbs' / '00_data.ipynb',
        'open("../told.txt", "w").write(f"{rate!r} {name!r} {again!r}")',
        parameters='rate: float = 1  # a share; of 1\nname: str = ""  # anything\nagain: bool = False  # or True',
    )
    done = hdr('run', '--only', '00_data', '-p', 'rate=.5', 'name=7', 'again=true', cwd=repo)
    assert done.returncode == 0 and (repo/'told.txt').read_text() == "0.5 '7' True", done.stderr
    for word,says in ('rate=x', 'float'), ('again=1', 'bool'):
        done = hdr('run', '--only', '00_data', '-p', word, cwd=repo)
        assert done.returncode == 2 and says in done.stderr

def test_folders_are_those_of_the_terminal(repo, tmp_path):
    "A relative folder means the same to `hdr` and to the notebooks, which work in nbs/"
    notebook(
        repo / 'nbs' / '00_data.ipynb',
        'import os; open("../told.txt", "w").write(os.environ["HDR_CACHE"] + " " + datasets)',
        parameters='datasets: str = ""  # a folder',
    )
    (tmp_path/'work').mkdir()
    done = hdr(
        'run',
        '--only',
        '00_data',
        '-p',
        'datasets=sets',
        cwd=repo / 'nbs',
        env=dict(HDR_CACHE='cache', HDR_RESULTS='made'),
    )
    assert done.returncode == 0, done.stderr
    assert (repo / 'told.txt').read_text() == f'{repo / "cache"} {repo / "nbs" / "sets"}' and (
        repo / 'made' / 'notebooks'
    ).is_dir()

def kaggle(path, x, y=None):
    "Write images in Kaggle's layout"
    head = (['label'] if y is not None else []) + [f'pixel{i}' for i in range(784)]
    table = x.reshape(-1, 784) if y is None else np.column_stack([y, x.reshape(-1, 784)])
    np.savetxt(path, table, fmt='%d', delimiter=',', header=','.join(head), comments='')

BAD = {
    'none.csv': None,
    'empty.csv': '',
    'header.csv': 'a,b\n1,2\n',
    'text.csv': 'hello',
    'narrow.csv': 'pixel0,pixel1\n0,0\n',
    'bright.csv': ','.join(f'pixel{i}' for i in range(784)) + '\n' + ','.join(['256'] * 784) + '\n',
    'hole.csv': ','.join(f'pixel{i}' for i in range(784)) + '\n' + ',' * 783 + '\n',
}

@pytest.mark.parametrize('name', BAD)
def test_submit_refuses_bad_files(tmp_path, name):
    if BAD[name] is not None: (tmp_path/name).write_text(BAD[name])
    done = hdr('submit', tmp_path/name, '-o', tmp_path/'submission.csv')
    assert (
        done.returncode == 1
        and done.stderr.startswith('hdr: error:')
        and name in done.stderr
        and done.stderr.count('\n') == 1
    )
    assert not (tmp_path/'submission.csv').exists()

def test_submit(tmp_path):
    "Shipped weights label 7 images without TensorFlow, a network saved a moment before as well; without that, the error says how to make it"
    x = np.random.default_rng(0).integers(0, 256, (7,28,28), np.uint8)
    kaggle(tmp_path/'test.csv', x)
    env = dict(HDR_CACHE=str(tmp_path/'cache'))
    code = 'import sys; from hdr.cli import main; s = main(); assert "tensorflow" not in sys.modules and "keras" not in sys.modules; sys.exit(s)'
    light = python(code, 'submit', tmp_path/'test.csv', '-o', tmp_path/'s.csv', env=env)
    assert light.returncode == 0 and len((tmp_path / 's.csv').read_text().splitlines()) == 8, (
        light.stderr
    )
    (tmp_path/'s.csv').unlink()
    own = 'submit', tmp_path/'test.csv', '-o', tmp_path/'s.csv', '--model', 'base-s1'
    lost = hdr(*own, env=env)
    assert (
        lost.returncode == 1
        and '`hdr run` or `hdr train` makes it' in lost.stderr
        and not (tmp_path / 's.csv').exists()
    )
    made = python(
        '''import sys, numpy as np
from hdr.data import normalize, read_dataset
from hdr.model import build
from hdr.train import trained_path
net = build('keras_example')
trained_path('base-s1').parent.mkdir(parents=True)
net.save(trained_path('base-s1'))
print(*net.predict(normalize(read_dataset(sys.argv[1])[0]), verbose=0).argmax(1))''',
        tmp_path / 'test.csv',
        env=env,
    )
    assert made.returncode == 0, made.stderr
    done = hdr(*own, env=env)
    assert done.returncode == 0, done.stderr
    want = ['ImageId,Label'] + [f'{i},{d}' for i,d in enumerate(made.stdout.split(), 1)]
    assert (tmp_path / 's.csv').read_text().splitlines() == want and sorted(
        p.name for p in tmp_path.iterdir()
    ) == ['cache', 's.csv', 'test.csv']

def test_submit_has_ten_labels(tmp_path):
    "Also from a network that knows 'no digit', which a blank picture is"
    kaggle(tmp_path/'blank.csv', np.zeros((3,28,28), np.uint8))
    done = hdr('submit', tmp_path/'blank.csv', '-o', '-', '--model', 'reader')
    assert done.returncode == 0, done.stderr
    assert [int(line.split(',')[1]) < 10 for line in done.stdout.splitlines()[1:]] == [True]*3

def test_submit_does_not_replace_what_it_reads(tmp_path):
    kaggle(tmp_path/'test.csv', np.zeros((1,28,28), np.uint8))
    before = (tmp_path/'test.csv').read_bytes()
    done = hdr('submit', tmp_path/'test.csv', '-o', tmp_path/'test.csv')
    assert (
        done.returncode == 2
        and 'to be read' in done.stderr
        and (tmp_path / 'test.csv').read_bytes() == before
    )
