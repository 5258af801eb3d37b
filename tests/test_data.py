"Getting MNIST and reading data files when the network, other processes and the files do their worst"
import gzip, hashlib, io, json, math, os, shutil, subprocess, sys, threading, types, zipfile, zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np
import pytest
from conftest import hdr, PEAK, python
from hdr import data
from hdr.data import ChecksumError, DataError, published, read_dataset, write_idx

class Mirror(SimpleHTTPRequestHandler):
    "A web server that keeps no log; what is under /stuck/ comes by half"
    asked = threading.Event()
    def log_message(self, *args): pass
    def do_GET(self):
        if not self.path.startswith('/stuck/'): return super().do_GET()
        self.send_response(200)
        self.send_header('Content-Length', '1000')
        self.end_headers()
        self.wfile.write(b'x'*500)
        self.asked.set()
        threading.Event().wait(60)

@pytest.fixture
def mirror(tmp_path):
    "A mirror on this machine that serves four small files; yields its address and their hashes"
    random, folder, hashes = np.random.default_rng(0), tmp_path/'mirror', {}
    folder.mkdir()
    for name in published:
        content = write_idx(
            random.integers(0, 10, (5000, 28, 28) if 'images' in name else 5000, np.uint8)
        )
        (folder/f'{name}.gz').write_bytes(gzip.compress(content))
        hashes[name] = hashlib.sha256(content).hexdigest()
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Mirror, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/', hashes
    server.shutdown()

CODE = '''import json, sys
import hdr.data as d
d.published, d.mirrors = json.loads(sys.argv[2]), {'here': lambda: d.fetch_idx(sys.argv[1])}
sys.stdin.readline()  # all start at once
print(d.locate()[0], sorted(d.locate()[1]) == sorted(d.published))'''

def start(mirror, cache, env):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(
        [sys.executable, '-c', CODE, mirror[0], json.dumps(mirror[1])],
        env={**env, 'HDR_CACHE': str(cache)},
        **pipes,
    )

@pytest.fixture
def env(monkeypatch):
    "An environment in which MNIST is nowhere yet"
    monkeypatch.delenv('HDR_DATA', raising=False)
    return dict(os.environ)

def test_processes_at_once(mirror, env, tmp_path):
    "Three processes fill one empty cache at the same time"
    children = [start(mirror, tmp_path/'cache', env) for _ in range(3)]
    for c in children: c.stdin.write('go\n'); c.stdin.flush()
    for c in children:
        out, err = c.communicate(timeout=120)
        assert c.returncode == 0 and out.endswith('True\n'), err
    found = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in (tmp_path / 'cache' / 'mnist').iterdir()
        if not p.name.endswith('.lock')
    }
    assert found == mirror[1]  # and nothing temporary beside them

def test_killed_while_downloading(mirror, env, tmp_path):
    "What a killed download leaves behind does not mislead the next"
    child = start((mirror[0] + 'stuck/', mirror[1]), tmp_path/'cache', env)
    child.stdin.write('go\n'); child.stdin.flush()
    assert Mirror.asked.wait(60)
    child.kill(); child.communicate()
    again = start(mirror, tmp_path/'cache', env)
    out, err = again.communicate('go\n', timeout=120)
    assert again.returncode == 0 and out.endswith('True\n'), err

def test_a_mirror_that_lies(mirror, env, tmp_path):
    "A wrong file is refused, and nothing of it is kept"
    wrong = {n: h[::-1] for n,h in mirror[1].items()}
    child = start((mirror[0], wrong), tmp_path/'cache', env)
    out, err = child.communicate('go\n', timeout=120)
    assert child.returncode == 1 and 'ChecksumError' in err and not (tmp_path/'cache').exists()

def test_a_cache_that_cannot_be_written(mirror, env, tmp_path):
    "What was downloaded is used all the same; what needs no cache does not ask for one"
    (tmp_path/'file').write_text('')
    child = start(mirror, tmp_path/'file'/'cache', env)
    out, err = child.communicate('go\n', timeout=120)
    assert child.returncode == 0 and out.endswith('True\n') and 'not kept' in err, err
    done = hdr('info', env=dict(HDR_CACHE=str(tmp_path/'file'/'cache')))
    assert done.returncode == 0 and str(tmp_path/'file'/'cache') in done.stdout, done.stderr
    assert (tmp_path/'file').read_text() == ''

def test_a_named_file_is_taken_by_itself(monkeypatch, tmp_path):
    "`hdr data --path x.npz` takes x.npz, whatever lies beside it"
    random = np.random.default_rng(0)
    arrays = {
        k: random.integers(0, 10, (5, 28, 28) if k[0] == 'x' else 5, np.uint8)
        for k in ('x_train', 'y_train', 'x_test', 'y_test')
    }
    files = {n: write_idx(a) for n,a in zip(published, arrays.values())}
    monkeypatch.setattr(
        data, 'published', {n: hashlib.sha256(c).hexdigest() for n, c in files.items()}
    )
    for n,content in files.items(): (tmp_path/n).write_bytes(content)
    np.savez(tmp_path/'mine.npz', **arrays)
    np.savez(tmp_path/'other.npz', **arrays | dict(y_test=arrays['y_test'][::-1]))
    assert data.locate(tmp_path / 'mine.npz') == (tmp_path / 'mine.npz', files) and data.locate(
        tmp_path
    ) == (tmp_path, files)
    with pytest.raises(ChecksumError, match='other.npz'): data.locate(tmp_path/'other.npz')
    with pytest.raises(DataError, match='train-images'):
        data.locate(tmp_path / 'train-images-idx3-ubyte')

def test_places_do_not_depend_on_nbs(tmp_path):
    "A relative place is the same for the command line, for notebooks (which run in nbs/) and for child processes"
    code = 'import os; from hdr.data import cache_dir, results_path; print(cache_dir(), results_path(), os.environ["HDR_DATA"])'
    (tmp_path/'nbs'/'deep').mkdir(parents=True)
    (tmp_path/'elsewhere').mkdir()
    (tmp_path/'settings.ini').write_bytes('author = Zoë\nlib_name = hdr\n'.encode('latin1'))
    relative = dict(HDR_CACHE='c', HDR_RESULTS='./r', HDR_DATA='d')
    for folder,base in ('.', '.'), ('nbs', '.'), ('nbs/deep', '.'), ('elsewhere', 'elsewhere'):
        done = python(code, cwd=tmp_path/folder, env=relative)
        base = (tmp_path/base).resolve()
        assert done.stdout.split() == [str(base/'c'), str(base/'r'), str(base/'d')], done.stderr

def test_the_revision_is_that_of_this_repository(tmp_path):
    "Not of the repository that one stands in, nor of one that the package was installed into"
    git = lambda *words, cwd=tmp_path: subprocess.run(
        ['git', *words], cwd=cwd, capture_output=True, text=True, check=True
    ).stdout.strip()
    git('init', '-q')
    git(
        '-c',
        'user.name=a',
        '-c',
        'user.email=a@example.com',
        'commit',
        '-q',
        '--allow-empty',
        '-m',
        'another project',
    )
    code = 'from hdr.data import git_revision, versions; print(git_revision() or "none"); assert "numpy" in versions()'
    root = Path(data.__file__).resolve().parents[1]
    ours = git('rev-parse', '--short', 'HEAD', cwd=root) if (root/'.git').exists() else 'none'
    done = python(code, cwd=tmp_path, env=dict(GIT_DIR=str(tmp_path/'.git'), PYTHONPATH=str(root)))
    assert done.stdout.strip().removesuffix('-dirty') == ours, done.stderr
    shutil.copytree(
        root / 'hdr',
        tmp_path / 'site' / 'hdr',
        ignore=shutil.ignore_patterns('weights', '__pycache__'),
    )
    for broken in 'numpy-1.dist-info', 'hdr-9.dist-info':
        (tmp_path / 'site' / broken).mkdir()  # no metadata in them
    done = python(
        'import sys; sys.path.insert(0, "site"); '
        + code.replace('; assert "numpy" in versions()', '; versions()'),
        cwd=tmp_path,
        env=dict(PYTHONPATH=str(tmp_path / 'site')),
    )
    assert done.stdout.strip() == 'none', done.stderr

def test_memory_on_other_systems(monkeypatch):
    "Windows has no module `resource`, macOS counts in bytes; a run ends well on both"
    from hdr.model import peak_memory
    def refuse(*args, **more): raise OSError
    monkeypatch.setattr(Path, 'write_text', refuse)  # as where there is no /proc
    with peak_memory() as memory: pass
    assert memory['mb'] > 20
    usage = types.SimpleNamespace(
        RUSAGE_SELF=0, getrusage=lambda who: types.SimpleNamespace(ru_maxrss=5e8)
    )
    monkeypatch.setitem(sys.modules, 'resource', usage)
    monkeypatch.setattr(sys, 'platform', 'darwin')
    with peak_memory() as memory: pass
    assert memory['mb'] == 500
    monkeypatch.setitem(sys.modules, 'resource', None)
    with peak_memory() as memory: pass
    assert math.isnan(memory['mb'])

def test_threads_write_one_file(monkeypatch, tmp_path):
    "Eight that think that they have the same process number, as in containers: the file is always whole"
    monkeypatch.setattr(os, 'getpid', lambda: 1)
    path = tmp_path/'table.csv'
    def write(letter):
        for _ in range(20):
            data.write_atomic(path, lambda p: p.write_text(letter*200_000))
            text = path.read_text()
            assert len(text) == 200_000 and len(set(text)) == 1
    with ThreadPoolExecutor(8) as pool: list(pool.map(write, 'abcdefgh'))
    assert [p.name for p in tmp_path.iterdir()] == ['table.csv']

def test_links_and_pipes_are_written_through(tmp_path):
    "A link goes on pointing where it did, a pipe stays a pipe"
    (tmp_path/'far').mkdir()
    (tmp_path/'link').symlink_to('far/file')
    data.write_atomic(tmp_path/'link', lambda p: p.write_text('new'))
    assert (tmp_path/'link').is_symlink() and (tmp_path/'far'/'file').read_text() == 'new'
    os.mkfifo(tmp_path/'pipe')
    heard = []
    reader = threading.Thread(
        target=lambda: heard.append((tmp_path / 'pipe').read_text()), daemon=True
    )
    reader.start()
    data.write_atomic(tmp_path/'pipe', lambda p: p.write_text('through'))
    reader.join(20)
    assert heard == ['through'] and (tmp_path/'pipe').is_fifo()

ROWS = '''import sys, threading
from pathlib import Path
from hdr.train import add_row, check_room
print("ready", flush=True); sys.stdin.readline()
me, table, faults = sys.argv[1], Path(sys.argv[2]), []
def work(i):
    try:
        for j in range(6):
            check_room(table.parent, 1)
            add_row(table, dict(run=f"{me}-{i}-{j}", accuracy=.5))
    except Exception as e: faults.append(repr(e))
threads = [threading.Thread(target=work, args=[i]) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(faults)'''

def test_rows_of_processes_and_threads_survive(tmp_path):
    "Two processes with caches of their own, each with four threads, one table: all rows are there"
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = [
        subprocess.Popen(
            [sys.executable, '-c', ROWS, me, str(tmp_path / 'runs.csv')],
            env={**os.environ, 'HDR_CACHE': str(tmp_path / me)},
            **pipes,
        )
        for me in 'ab'
    ]
    for c in children: assert c.stdout.readline() == 'ready\n', c.stderr.read()
    for c in children: c.stdin.write('go\n'); c.stdin.flush()
    for c in children: assert c.communicate(timeout=240)[0] == '[]\n'
    rows = data.read_table(tmp_path/'runs.csv')
    assert sorted(rows.run) == sorted(
        f'{me}-{i}-{j}' for me in 'ab' for i in range(4) for j in range(6)
    )
    assert [p.name for p in tmp_path.glob('[!.]*')] == ['runs.csv'] and not list(
        tmp_path.glob('.hdr*')
    )

# files that are bigger than they look

def write_zip(path, members):
    "A zip file; each member comes in pieces"
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for name,pieces in members.items():
            with z.open(name, 'w') as f:
                for piece in pieces: f.write(piece)

def npy(shape, kind='|u1'):
    "The header of a NumPy array"
    np.lib.format.write_array_header_1_0(
        f := io.BytesIO(), dict(descr=kind, fortran_order=False, shape=shape)
    )
    return f.getvalue()

def make_bombs(folder):
    "Files that would take 670 MB or more"
    many, zeros = gzip.compress(bytes(2**24), 1)*40, [bytes(2**24)]*40  # 670 MB each
    head = lambda *shape: (
        b'\0\0\x08' + bytes([len(shape)]) + b''.join(n.to_bytes(4, 'big') for n in shape)
    )
    (folder/'no_header.gz').write_bytes(many)
    (folder/'honest.gz').write_bytes(gzip.compress(head(2**21, 28, 28)) + many)
    (folder/'lies.gz').write_bytes(gzip.compress(head(5, 28, 28)) + many)
    (folder/'promises.gz').write_bytes(gzip.compress(head(300_000, 28, 28)))
    (folder / 'table.csv.gz').write_bytes(
        gzip.compress(b'1,' * 785 + b'\n') + gzip.compress(b',' * 2**24, 1) * 40
    )
    starts = {
        'tree.h5': b'\x89HDF\r\n\x1a\n',
        'old.mat': b'MATLAB 5.0' + b' ' * 114 + b'\0\1IM',
        'list.parquet': b'PAR1',
    }
    for name,start in starts.items(): (folder/name).write_bytes(gzip.compress(start) + many)
    write_zip(folder/'archive.zip', {f'm/{i}.png': zeros for i in range(4)})
    unfolded = zlib.compress(npy((9,)) + bytes(2**28), 1)  # one array that says it has 9 numbers
    (folder / 'lies.mat').write_bytes(
        b'MATLAB 5.0'
        + b' ' * 114
        + b'\0\1IM'
        + (15).to_bytes(4, 'little')
        + len(unfolded).to_bytes(4, 'little')
        + unfolded
    )
    write_zip(folder/'big.npz', {'x.npy': [npy((len(zeros)*2**24//784,28,28)), *zeros]})
    write_zip(folder/'floats.npz', {'x.npy': [npy((len(zeros)*2**24//6272,28,28), '<f8'), *zeros]})
    write_zip(folder/'flat.npz', {'x.npy': [npy((len(zeros)*2**24,)), *zeros]})
    write_zip(folder/'unasked.npz', {'x.npy': [npy((5,9,28)), bytes(5*9*28)], 'z.npy': zeros})
    write_zip(
        folder / 'labels.npz',
        {'x.npy': [npy((5, 28, 28)), bytes(3920)], 'y.npy': [npy((len(zeros) * 2**24,)), *zeros]},
    )
    with zipfile.ZipFile(folder/'members.npz', 'w') as z:
        for i in range(30_000): z.writestr(f'{i}.npy', b'')
    sparse = {
        'one_line.csv': b'label,',
        'one_row.csv': ','.join(f'pixel{i}' for i in range(784)).encode() + b'\n1,',
        'raw': head(2**20, 28, 28),
    }
    for name,start in sparse.items():
        with open(folder/name, 'wb') as f:
            f.write(start)
            f.truncate(2**30)
    for n in published: (folder/f'{n}.gz').write_bytes(many)

BOUNDED = PEAK + '''import resource, sys
from pathlib import Path
from hdr.data import DataError, load_mnist, read_dataset
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try: (load_mnist if path.name.endswith(".npz") and path.name[0] == "m" else read_dataset)(path)
    except DataError as e: assert str(path) in str(e), e
    else: print("accepted:", path.name)
try: load_mnist(sys.argv[1])
except DataError as e: assert "train-images" in str(e), e
print("MB", peak())'''

def test_refused_files_take_little_memory(tmp_path):
    "Each of these would take more than that if it were unpacked before it is looked at"
    make_bombs(tmp_path)
    done = python(BOUNDED, tmp_path, timeout=300)
    assert done.returncode == 0 and 'accepted' not in done.stdout, done.stdout + done.stderr
    assert float(done.stdout.split()[-1]) < 500, done.stdout

# damaged files

def small_files(folder):
    "A file of each kind, small and right"
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (4,28,28), np.uint8), np.array([3,1,4,1], np.uint8)
    (folder/'raw-images-idx3-ubyte').write_bytes(write_idx(x))
    (folder/'raw-labels-idx1-ubyte').write_bytes(write_idx(y))
    (folder/'packed.gz').write_bytes(gzip.compress(write_idx(x)))
    np.savez(folder/'stored.npz', x=x, y=y)
    np.savez_compressed(folder/'deflated.npz', x=x.astype(float), y=y)
    head = ','.join(['label', *(f'pixel{i}' for i in range(784))])
    (folder / 'table.csv').write_text(
        '\n'.join([head, *(','.join(map(str, [k, *image.ravel()])) for k, image in zip(y, x))])
        + '\n'
    )
    from PIL import Image
    (folder/'pictures'/'3').mkdir(parents=True)
    Image.fromarray(x[0]).save(folder/'pictures'/'3'/'a.png')
    import h5py, pyarrow as pa, pyarrow.parquet as pq, scipy.io

    with h5py.File(folder / 'tree.h5', 'w') as f:
        f['train/data'], f['train/target'] = x.reshape(4, 784) / 255, y
    for packed in False, True:
        scipy.io.savemat(
            folder / f'matlab{packed}.mat', dict(X=x, y=y[:, None]), do_compression=packed
        )
    pq.write_table(
        pa.table(
            dict(
                image=[dict(bytes=(folder / 'pictures' / '3' / 'a.png').read_bytes(), path='a')]
                * 4,
                label=y.tolist(),
            )
        ),
        folder / 'hf.parquet',
    )
    with zipfile.ZipFile(folder/'archive.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        for i in range(4): z.write(folder/'pictures'/'3'/'a.png', f'digits/{y[i]}/{i}.png')
    shutil.make_archive(str(folder/'tar'), 'gztar', folder/'pictures')

FUZZ = (
    PEAK
    + '''import random, resource, sys, time
from pathlib import Path
import numpy as np
from hdr.data import DataError, read_dataset
def damage(content, rng):
    "A few bytes changed, cut out, doubled or cut off"
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.choice([rng.randrange(len(content) + 1), rng.randrange(min(200, len(content)) + 1), max(0, len(content) - rng.randrange(200))])
        some = rng.choice([1, 2, 4, 8, 100])
        content[at:at + rng.choice([0, some])] = rng.choice([b"", rng.randbytes(some), b"\\xff"*some, bytes(some), bytes(content[at:at+some]), b",", b"1e999", b"\\n"])
    return bytes(content[:rng.randrange(len(content) + 1)] if rng.random() < .2 else content)
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
folder, count, refused, slowest = Path(sys.argv[1]), int(sys.argv[2]), 0, 0
for path in [p for p in sorted(folder.rglob("*")) if p.is_file()]:
    whole, rng = path.read_bytes(), random.Random(path.name)
    for i in range(count):
        path.write_bytes(damage(whole, rng))
        asked = folder/"pictures" if path.suffix == ".png" else folder/"raw-images-idx3-ubyte" if path.name.startswith("raw") else path
        start = time.process_time()
        try:
            x, y = read_dataset(asked)
            assert x.dtype == np.uint8 and x.shape[1:] == (28,28) and (y is None or (y.shape == x.shape[:1] and y.max(initial=0) < 10)), (path, i)
        except DataError as e:
            assert str(path.parent) in str(e), (path, i, e)
            refused += 1
        slowest = max(slowest, time.process_time() - start)
    path.write_bytes(whole)
print(refused, slowest, peak())'''
)

def test_damaged_files_are_data_errors(tmp_path):
    "Read as what they still are, or refused by name, in seconds of work and little memory; `HDR_FUZZ` says how many of each kind"
    count = int(os.environ.get('HDR_FUZZ') or 60)
    small_files(tmp_path)
    done = python(FUZZ, tmp_path, count)
    assert done.returncode == 0, done.stderr
    refused, slowest, mb = map(float, done.stdout.split())
    assert refused > 3*count and slowest < 5 and mb < 500, done.stdout

@pytest.mark.parametrize(
    'wrong',
    [None, 7, ['a.csv'], b'a.csv', np.zeros(3), 'a\0b', 'x' * 5000, '/dev/null', '/nowhere/at/all'],
)
def test_what_is_no_path_is_a_data_error(wrong):
    with pytest.raises(DataError): read_dataset(wrong)

# data files as people have them

def kinds_of_data(folder, x, y):
    "(name, path) of the same images in many forms, all of which must come out as they are"
    import h5py, pandas as pd, scipy.io
    from PIL import Image
    turned, one_hot, tenth = x.transpose(0,2,1), np.eye(10)[y], np.where(y == 0, 10, y)
    arrays = dict(
        upper=dict(X=x, Y=y),
        flat=dict(data=x.reshape(-1, 784), target=y),
        dark=dict(x=255 - x, y=y),
        one_hot=dict(x=x, y=one_hot),
        unit=dict(images=1 - x[:, None] / 255, labels=y[:, None]),
        standard=dict(x=(x / 255 - 0.1307) / 0.3081, y=y),
        signed=dict(x=x / 127.5 - 1, y=y.astype(float)),
        alpha=dict(x=np.stack([0 * x] * 3 + [x], -1), y=y),
        wide=dict(x=x.astype('u2') * 257, y=y.astype(str)),
        odd=dict(a=x, b=y),
    )
    for name,held in arrays.items():
        np.savez(folder/f'{name}.npz', **held)
        yield name, folder/f'{name}.npz'
    matlab = dict(
        course=dict(X=turned.reshape(-1, 784) / 255, y=tenth[:, None]),
        cube=dict(X=np.moveaxis(np.stack([x] * 3, -1), 0, -1), y=tenth[:, None]),
        original=dict(data=x.reshape(-1, 784).T, label=y[None]),
    )
    for name,held in matlab.items():
        scipy.io.savemat(folder/f'{name}.mat', held)
        yield name, folder/f'{name}.mat'
    with h5py.File(folder / 'tree.h5', 'w') as f:
        f['digits/images'], f['digits/labels'] = turned, one_hot
    yield 'tree', folder/'tree.h5'
    for name, images, labels, pack in (
        ('emnist-images-idx3-ubyte', turned, 'emnist-labels-idx1-ubyte', bytes),
        ('t.images.idx3-ubyte', x, 't-labels-idx1-ubyte.gz', gzip.compress),
    ):
        (folder / name).write_bytes(
            pack(write_idx(images))
        )  # the second is gzip, and does not say so
        (folder/labels).write_bytes(pack(write_idx(y)))
        yield name, folder/name
    table = pd.DataFrame(
        np.column_stack([y, x.reshape(-1, 784)]),
        columns=['label', *(f'{r}x{c}' for r in range(1, 29) for c in range(1, 29))],
    )
    bare, last = dict(header=False, index=False), table[[*table.columns[1:], 'label']]
    texts = dict(
        plain=table.to_csv(index=False),
        bare=table.to_csv(**bare),
        last=last.to_csv(**bare),
        indexed=table.to_csv(),
        tabs=table.to_csv(sep='\t', **bare),
        semicolons=(table / [1, *[255] * 784])
        .astype({'label': int})
        .to_csv(sep=';', decimal=',', index=False),
        side=table.assign(**dict(zip(table.columns[1:], turned.reshape(-1, 784).T))).to_csv(**bare),
    )
    for name,text in texts.items():
        (folder/f'{name}.csv').write_text(text)
        yield name, folder/f'{name}.csv'
    (folder/'test.csv').write_text(table.drop(columns='label').to_csv(index=False))
    with zipfile.ZipFile(folder/'kaggle.zip', 'w') as z:
        for name, inside in ('plain.csv', 'train.csv'), ('test.csv', 'test.csv'):
            z.write(folder / name, inside)
        z.writestr('sample_submission.csv', 'ImageId,Label\n1,0\n')
    yield 'kaggle', folder/'kaggle.zip'
    words = 'zero one two three four five six seven eight nine'.split()
    paths = dict(
        words=lambda i: f'{words[y[i]]}/{i:03}.png',
        named=lambda i: f'{i:03}_{y[i]}.png',
        table=lambda i: f'images/{i:03}.png',
    )
    ways = dict(
        words=lambda a: Image.merge('LA', [Image.new('L', (28, 28)), Image.fromarray(a)]),
        named=lambda a: Image.fromarray(255 - a),
        table=lambda a: Image.fromarray(a.astype(np.uint16) * 257),
    )
    for name,path in paths.items():
        for i in range(len(x)):
            (folder/name/path(i)).parent.mkdir(parents=True, exist_ok=True)
            ways[name](x[i]).save(folder/name/path(i))
        if name == 'table':
            pd.DataFrame(dict(file=[f'{i:03}.png' for i in range(len(x))], digit=y)).to_csv(
                folder / name / 'labels.csv', index=False
            )
        yield name, folder/name

def test_data_files_as_people_have_them(tmp_path):
    "The images as they are, their labels beside them, whatever the order; or an error, but never something else"
    x, y = (a[:120] for a in data.parts()['validation'])
    key = lambda images, labels: sorted((a.tobytes(), int(k)) for a,k in zip(images, labels))
    for name,path in kinds_of_data(tmp_path, x, y):
        a, b = read_dataset(path, assumed=[])
        assert b is not None and a.shape == x.shape and key(a, b) == key(x, y), name

def test_one_line_says_what_was_assumed(tmp_path, capsys):
    np.savez(tmp_path/'dark.npz', x=255 - data.parts()['validation'][0][:20])
    read_dataset(tmp_path/'dark.npz')
    assert capsys.readouterr().err.splitlines()[-1:] == [
        f'{tmp_path / "dark.npz"}: dark on light: inverted'
    ]

def test_pickles_are_never_opened(tmp_path):
    "Whatever they are packed in: what would be run on opening is not run"
    import pickle
    class Trap:
        def __reduce__(self): return Path.touch, (tmp_path/'opened',)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps(Trap(), protocol)
        for name, packed in (
            ('a.pkl', content),
            ('a.pkl.gz', gzip.compress(content)),
            ('a.npy', npy((), '|O') + content),
        ):
            (tmp_path/name).write_bytes(packed)
            with pytest.raises(DataError): read_dataset(tmp_path/name)
    np.savez(tmp_path/'a.npz', x=np.array([Trap()]*3, object), y=np.arange(3))
    with zipfile.ZipFile(tmp_path/'a.pt', 'w') as z: z.writestr('archive/data.pkl', content)
    for name in 'a.npz', 'a.pt':
        with pytest.raises(DataError): read_dataset(tmp_path/name)
    assert not (tmp_path/'opened').exists()

def test_archives_write_nowhere_else(tmp_path, monkeypatch):
    "Members that lead outside are left alone, and nothing stays behind"
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path/'temporary'))
    (tmp_path/'temporary').mkdir()
    from hdr.image import png_bytes
    picture = png_bytes(data.parts()['validation'][0][0])
    with zipfile.ZipFile(tmp_path/'a.zip', 'w') as z:
        for name in (
            '../../out/1.png',
            str(tmp_path / 'abs' / '1.png'),
            '7/ok.png',
            '7/../../up.png',
        ):
            z.writestr(name, picture)
    before = {p for p in tmp_path.rglob('*')}
    try: read_dataset(tmp_path/'a.zip', assumed=[])
    except DataError as e: assert 'a.zip' in str(e) and str(tmp_path/'temporary') not in str(e)
    assert {p for p in tmp_path.rglob('*')} == before

def test_own_digits_from_files_to_answers(tmp_path):
    "`hdr train --data` killed within an epoch goes on when started again; `hdr classify --weights` takes what it leaves"
    import signal, time
    from PIL import Image
    x, y = (a[:200] for a in data.parts()['validation'])
    for i in range(len(x)):
        (tmp_path/'mine'/str(y[i])).mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - x[i]).save(tmp_path/'mine'/str(y[i])/f'{i}.png')
    env = {**os.environ, 'HDR_CACHE': str(tmp_path/'cache'), 'TF_CPP_MIN_LOG_LEVEL': '3'}
    code = 'import sys; from hdr.cli import main; sys.exit(main(sys.argv[1:]))'
    words = ['train', '--data', 'mine', '--model', 'quick', '--epochs', '8', '--out', 'net']
    (tmp_path/'cache').mkdir()
    where = data.configured('HDR_DATA') or data.cache_dir()/'mnist'
    if not os.environ.get('HDR_DATA'): env['HDR_DATA'] = str(where)
    child = subprocess.Popen(
        [sys.executable, '-c', code, *words],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while child.poll() is None and not list((tmp_path / 'cache').glob('checkpoints/[!.]*.npz')):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = python(code, *words, cwd=tmp_path, env=env)
    assert done.returncode == 0 and 'dark on light: inverted' in done.stdout, done.stderr
    assert child.returncode != -signal.SIGKILL or 'going on after epoch' in done.stdout
    run, = [p.stem for p in (tmp_path/'net').glob('*.json')]
    assert run.startswith('quick-s1-e8-of-mine-') and {
        p.suffix for p in (tmp_path / 'net').glob(f'{run}.*')
    } == {'.json', '.npz', '.tflite'}
    done = python(
        code,
        'classify',
        'mine/3',
        '--weights',
        'net',
        '--format',
        'csv',
        '--always',
        cwd=tmp_path,
        env=env,
    )
    said = [line.split(',')[1] for line in done.stdout.splitlines()[1:]]
    assert done.returncode == 0 and said.count('3') > len(said)/2, done.stdout
    assert json.loads((tmp_path / 'net' / f'{run}.json').read_text())['assumed'] == [
        'dark on light: inverted'
    ]
    done = python(code, 'data', '--check', 'mine', '--out', 'look', cwd=tmp_path, env=env)
    assert (
        done.returncode == 0
        and 'all 200 images' in done.stdout
        and (tmp_path / 'look' / 'samples_mine.png').exists()
    ), done.stderr
    again = python(code, *words, '--resume', cwd=tmp_path, env=env)
    assert again.returncode == 0 and 'epoch' not in again.stdout
