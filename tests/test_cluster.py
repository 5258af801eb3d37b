"""Runs that are disturbed: workers and the command killed, a decoder that crashes, a full disk, a scheduler that is gone

`HDR_KILLS` and `HDR_TINY` are the counts of kills and of tiny files; CI takes few."""
import json, os, random, shutil, signal, subprocess, sys, tarfile, time, zipfile
from multiprocessing import get_context
from pathlib import Path
import cv2, numpy as np, pandas as pd, pytest
from conftest import COMMAND
from hdr.data import parts
from hdr.forms import read_form
from hdr.image import png_bytes
from hdr.sample_forms import filled_forms
from hdr.samples import sample_string
from hdr.scale import columns, Reader
from hdr.templates import Template
from test_workers import alive, children, needs_proc, until

KILLS, TINY = int(os.environ.get('HDR_KILLS', 2)), int(os.environ.get('HDR_TINY', 300))
CRASH = '''import os, signal
if os.environ.get('HDR_TEST_CRASH'):
    import hdr.image
    whole = hdr.image.open_file
    def open_file(source):
        file = whole(source)
        if file.read(6) == b'crash!': os.kill(os.getpid(), signal.SIGKILL)
        file.seek(0)
        return file
    hdr.image.open_file = open_file
if os.environ.get('HDR_TEST_NO_DASK'):
    import sys
    sys.modules['distributed'] = None
'''  # sitecustomize.py: what some processes of these tests begin with

def field_line(source, out, part, jobs):
    "Words of `hdr read` for fields into Parquet"
    size = '--part', str(part), '--jobs', str(jobs)
    return 'read', source, '--kind', 'field', '--format', 'parquet', '--out', out, *size

@pytest.fixture(scope='module')
def fields(tmp_path_factory):
    "Twenty-four strings, one of them damaged"
    (x, y), folder = parts()['validation'], tmp_path_factory.mktemp('archive')/'fields'
    folder.mkdir()
    for i in range(24):
        grey, _ = sample_string(x, y, np.random.default_rng(i), digits=(2,5), scale=1.5)
        (folder/f'{i:02}.png').write_bytes(png_bytes(grey))
    (folder/'07.png').write_bytes(b'damaged')
    return folder

@pytest.fixture(scope='module')
def expected(fields):
    "What an undisturbed process reads"
    paths = sorted(map(str, fields.iterdir()))
    return plain(Reader()(pd.DataFrame(dict(id=paths))))

def plain(frame):
    "In the order of ids, comparable"
    frame = frame.sort_values('id', ignore_index=True)
    return {
        c: [None if pd.isna(v) else v for v in frame[c].tolist()]
        for c in columns
        if c not in ('alternatives', 'digits')
    }

def read_back(folder): return plain(pd.read_parquet(folder))

@pytest.fixture
def env(tmp_path):
    "An environment for processes that may crash"
    (tmp_path/'site').mkdir()
    (tmp_path/'site'/'sitecustomize.py').write_text(CRASH)
    path = os.pathsep.join(
        filter(
            None,
            [
                str(tmp_path / 'site'),
                os.environ.get('PYTHONPATH'),
                str(Path(__file__).parent.parent),
            ],
        )
    )
    return {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}

def start(env, *words, **more):
    "`hdr` as a process"
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=env,
        **more,
    )

def ended(p, seconds=300):
    "Its exit status and what it said"
    said = p.communicate(timeout=seconds)[1]
    return p.returncode, said

def parts_of(folder): return sorted(Path(folder).glob('part-*.parquet'))

def readers(pid):
    "Processes that read: Dask's and ours are both spawned"
    found = []
    for c in children(pid):
        try: line = (Path('/proc')/str(c)/'cmdline').read_bytes()
        except OSError: continue
        if b'spawn_main' in line: found.append(c)
    return found

# Engines that call the reader themselves

def test_plain_multiprocessing(fields, expected):
    paths = sorted(map(str, fields.iterdir()))
    with get_context('spawn').Pool(2) as pool:
        frames = pool.map(
            Reader(), [pd.DataFrame(dict(id=paths[i : i + 5])) for i in range(0, len(paths), 5)]
        )
    assert plain(pd.concat(frames)) == expected

def test_dask_map_partitions(fields, expected):
    dd = pytest.importorskip('dask.dataframe')
    frame = dd.from_pandas(pd.DataFrame(dict(id=sorted(map(str, fields.iterdir())))), npartitions=3)
    assert (
        plain(
            frame.map_partitions(Reader(), meta=Reader().meta).compute(
                scheduler='processes', num_workers=1
            )
        )
        == expected
    )

# The command, disturbed

def test_without_dask(fields, expected, env, tmp_path):
    "Processes of this machine; the manifest says what was read"
    status, said = ended(
        start(
            env | {'HDR_TEST_NO_DASK': '1'},
            'read',
            fields,
            '--kind',
            'field',
            '--format',
            'parquet',
            '--out',
            tmp_path / 'out',
            '--part',
            '5',
            '--jobs',
            '2',
        )
    )
    assert (
        status == 1 and '24 pictures, 23 fields read' in said and '1 error: 1 not a picture' in said
    ), said
    assert read_back(tmp_path/'out') == expected
    known = json.loads((tmp_path/'out'/'_manifest.json').read_text())
    assert (
        known['complete']
        and known['pictures'] == 24
        and len(known['files']) == 5
        and known['weights']
        and known['hdr']
    )
    assert (
        sorted(p.name for p in (tmp_path / 'out').iterdir() if not p.name.startswith(('part', '_')))
        == []
    )

@needs_proc
@pytest.mark.parametrize('dask', [True, False], ids=['dask', 'processes'])
def test_the_command_is_killed_and_goes_on(fields, expected, env, tmp_path, dask):
    more, out = {} if dask else {'HDR_TEST_NO_DASK': '1'}, tmp_path/'out'
    line = field_line(fields, out, part=2, jobs=2)
    p = start(env | more, *line)
    until(lambda: len(parts_of(out)) > 2, 120)
    all_ = children(p.pid)
    p.kill()
    p.communicate(timeout=30)
    until(lambda: not any(map(alive, all_)), 60)
    before = {f: f.stat().st_mtime_ns for f in parts_of(out)}
    assert 2 < len(before) < 12
    status, said = ended(start(env | more, *line, '--resume'))
    assert status == 1 and read_back(out) == expected, said
    assert all(f.stat().st_mtime_ns == t for f,t in before.items())

@needs_proc
@pytest.mark.parametrize('dask', [True, False], ids=['dask', 'processes'])
def test_a_picture_that_crashes_the_decoder_is_a_row(fields, env, tmp_path, dask):
    "The others are read as if it were not there"
    shutil.copytree(fields, tmp_path/'fields')
    (tmp_path/'fields'/'11.png').write_bytes(b'crash!')
    more = {'HDR_TEST_CRASH': '1'} | ({} if dask else {'HDR_TEST_NO_DASK': '1'})
    status, said = ended(
        start(
            env | more,
            'read',
            tmp_path / 'fields',
            '--kind',
            'field',
            '--format',
            'parquet',
            '--out',
            tmp_path / 'out',
            '--part',
            '8',
            '--jobs',
            '2',
        )
    )
    frame = pd.read_parquet(tmp_path/'out').set_index('id')
    assert status == 1 and '2 errors' in said and 'the process that read it was lost' in said, said
    assert frame.error[str(tmp_path/'fields'/'11.png')] == 'the process that read it was lost'
    assert (
        len(frame) == 24
        and frame.error.notna().sum() == 2
        and not (tmp_path / 'out' / '_pieces').exists()
    )

def test_full_disk(fields, expected, env, tmp_path):
    "A word, and what was done stays; with more room it goes on"
    (out := tmp_path/'small').mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', out], capture_output=True
        ).returncode
    ):
        pytest.skip('no small disk can be mounted here')
    try:
        line = field_line(fields, out, part=2, jobs=1)
        status, said = ended(start(env, *line))
        assert (
            status == 1
            and 'the disk is full' in said
            and 'stay: --resume' in said
            and 'Traceback' not in said
        ), said
        kept = parts_of(out)
        assert 0 < len(kept) < 12 and len(pd.read_parquet(out)) == 2*len(kept)
        subprocess.run(['mount', '-o', 'remount,size=8m', out], check=True)
        status, said = ended(start(env, *line, '--resume'))
        assert status == 1 and read_back(out) == expected, said
    finally: subprocess.run(['umount', '-l', out])

def test_many_tiny_files(env, tmp_path):
    (tmp_path/'tiny').mkdir()
    (tmp_path/'tiny'/'0.png').write_bytes(png_bytes(np.full((8,8), 255, np.uint8)))
    for i in range(1, TINY): os.link(tmp_path/'tiny'/'0.png', tmp_path/'tiny'/f'{i}.png')
    status, said = ended(
        start(env, 'classify', tmp_path / 'tiny', '--format', 'parquet', '--out', tmp_path / 'out'),
        3000,
    )
    assert (
        status == 0
        and f'{TINY:,} digits read, {TINY:,} flagged' in said
        and pd.read_parquet(tmp_path / 'out').id.nunique() == TINY
    ), said

def test_shards(fields, expected, env, tmp_path):
    "TAR, packed TAR, ZIP and Parquet hold the same pictures, and say where each came from"
    os.makedirs(tmp_path/'s')
    with tarfile.open(tmp_path/'s'/'a.tar', 'w') as tar: tar.add(fields, 'x')
    with tarfile.open(tmp_path/'s'/'b.tar.gz', 'w:gz') as tar: tar.add(fields, 'x')
    with zipfile.ZipFile(tmp_path / 's' / 'c.zip', 'w') as z:
        [z.write(p, p.name) for p in sorted(fields.iterdir())]
    some = sorted(fields.iterdir())
    pd.DataFrame(
        dict(id=[f'd/{p.name}' for p in some], image=[p.read_bytes() for p in some])
    ).to_parquet(tmp_path / 's' / 'd.parquet')
    status, said = ended(
        start(
            env | {'HDR_TEST_NO_DASK': '1'},
            'read',
            *sorted((tmp_path / 's').iterdir()),
            '--field',
            '--out',
            tmp_path / 'out',
            '--part',
            '9',
        )
    )
    frame = pd.read_parquet(tmp_path/'out')
    assert status == 1 and len(frame) == 4*24 == frame.id.nunique() and '4 errors' in said, said
    kinds = frame.id.str.extract(r'(a\.tar|b\.tar\.gz|c\.zip|^d)')[0]
    for kind,rows in frame.groupby(kinds):
        texts = dict(zip(rows.id.map(lambda i: Path(i.rpartition('::')[2]).name), rows.text))
        assert [texts[Path(i).name] for i in expected['id']] == expected['text'], kind

def test_forms(env, tmp_path):
    "A row a field, as `read_forms` has it"
    (x, y) = parts()['validation']
    blank, sheets = filled_forms(x, y, np.random.default_rng(3), 'lines', ['scan'])
    (tmp_path/'scans').mkdir()
    cv2.imwrite(str(tmp_path/'scans'/'0.png'), sheets[0].image)
    cv2.imwrite(str(tmp_path/'scans'/'1.png'), np.full((300,200), 255, np.uint8))
    cv2.imwrite(str(tmp_path/'blank.png'), blank)
    template = Template.from_blank(tmp_path/'blank.png')
    template.save(tmp_path/'form.json')
    status, said = ended(
        start(
            env | {'HDR_TEST_NO_DASK': '1'},
            'form',
            'read',
            tmp_path / 'form.json',
            tmp_path / 'scans',
            '--format',
            'parquet',
            '--out',
            tmp_path / 'out',
        )
    )
    frame, form = (
        pd.read_parquet(tmp_path / 'out'),
        read_form(tmp_path / 'scans' / '0.png', Template.load(tmp_path / 'form.json')),
    )
    assert status == 0, said
    first, other = (frame[frame.id.str.endswith(n)] for n in ('0.png', '1.png'))
    assert first.field.tolist() == [f.name for f in form.fields] and first.text.tolist() == [
        f.text for f in form.fields
    ]
    assert first.value.tolist() == [None if f.value is None else str(f.value) for f in form.fields]
    assert len(other) == 1 and other.flagged.all() and other.reason.iloc[0] == 'an empty sheet'

# A scheduler and two workers, as on a cluster

@pytest.fixture
def cluster(env, tmp_path):
    "(address, scheduler, workers): processes of their own on loopback"
    pytest.importorskip('distributed')
    file, all_ = tmp_path/'scheduler.json', []
    def process(*words):
        words = sys.executable, '-m', 'distributed.cli.'+words[0], *words[1:]
        all_.append(
            subprocess.Popen(
                [*map(str, words)],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=tmp_path,
            )
        )
        return all_[-1]

    scheduler = process(
        'dask_scheduler',
        '--host',
        '127.0.0.1',
        '--port',
        '0',
        '--no-dashboard',
        '--scheduler-file',
        file,
    )
    until(lambda: file.exists() and file.read_text(), 60)
    workers = [
        process(
            'dask_worker',
            '--scheduler-file',
            file,
            '--nthreads',
            '1',
            '--no-dashboard',
            '--memory-limit',
            '0',
        )
        for _ in range(2)
    ]
    yield json.loads(file.read_text())['address'], scheduler, workers
    for p in all_: p.terminate()
    for p in all_:
        try: p.wait(20)
        except subprocess.TimeoutExpired: p.kill()

@needs_proc
def test_workers_of_a_cluster_are_killed(cluster, fields, expected, env, tmp_path):
    "At random, while they read: every row is there once, and the same"
    address, _, workers = cluster
    out, rng, killed = tmp_path/'out', random.Random(0), 0
    p = start(
        env,
        'read',
        fields,
        '--kind',
        'field',
        '--format',
        'parquet',
        '--out',
        out,
        '--part',
        '1',
        '--scheduler',
        address,
    )
    for n in range(KILLS):
        until(lambda: p.poll() is not None or len(parts_of(out)) > 2*n, 120)
        if p.poll() is not None: break
        pids = [c for w in workers for c in readers(w.pid)]
        if pids:
            os.kill(rng.choice(pids), signal.SIGKILL)
            killed += 1
        time.sleep(rng.random())
    status, said = ended(p)
    assert status == 1 and killed and read_back(out) == expected, said

@needs_proc
def test_the_scheduler_is_gone(cluster, fields, expected, env, tmp_path):
    address, scheduler, _ = cluster
    out = tmp_path/'out'
    line = 'read', fields, '--kind', 'field', '--format', 'parquet', '--out', out, '--part', '1'
    p = start(env, *line, '--scheduler', address)
    until(lambda: len(parts_of(out)) > 2, 120)
    scheduler.kill()
    status, said = ended(p)
    assert (
        status == 1
        and f'{address}: gone' in said
        and 'stay: --resume' in said
        and 'Traceback' not in said
    ), said
    kept = len(parts_of(out))
    assert 2 < kept <= 24 and len(pd.read_parquet(out)) == kept
    status, said = ended(start(env, *line, '--scheduler', address, '--resume'))
    assert status == 2 and 'no scheduler answers there' in said, said
    status, said = ended(start(env, *line, '--resume'))
    assert status == 1 and read_back(out) == expected, said
