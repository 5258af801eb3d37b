"Processes of `--jobs` that are killed, streams, and files that are written: what a notebook can't hold"
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from PIL import Image
from conftest import COMMAND, hdr
from hdr.data import load_mnist

@pytest.fixture(scope='module')
def seven(): return Image.fromarray(255-load_mnist()[1][0][0]).resize((84,84))

@pytest.fixture
def scans(seven, tmp_path):
    "A folder of small pages"
    (tmp_path/'scans').mkdir()
    for i in range(8): seven.save(tmp_path/'scans'/f'{i}.png')
    return tmp_path/'scans'

def children(pid):
    "Processes that a process started, with those that they started"
    found = []
    for p in Path('/proc').glob('[0-9]*'):
        try: parent = int((p/'stat').read_text().rpartition(')')[2].split()[1])
        except OSError: continue
        if parent == pid: found += [int(p.name), *children(int(p.name))]
    return found

def workers(pid):
    "Those that read files: Python starts one more, to look after resources"
    lines = {c: (Path('/proc')/str(c)/'cmdline').read_bytes() for c in children(pid)}
    return sorted(c for c,line in lines.items() if b'spawn_main' in line)

def alive(pid):
    "Is there such a process, other than dead and not yet fetched?"
    try: return (Path('/proc')/str(pid)/'stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError: return False

def until(what, seconds=60):
    "Wait for something"
    end = time.monotonic()+seconds
    while time.monotonic() < end:
        try:
            if found := what(): return found
        except OSError: pass  # a process that just ended
        time.sleep(.02)
    raise AssertionError('waited in vain')

def start(*words):
    "`hdr` as a process that goes on by itself"
    line = [*COMMAND, *map(str, words)]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )

needs_proc = pytest.mark.skipif(
    not Path('/proc/self/stat').exists(), reason='looks for processes in /proc'
)

@needs_proc
@pytest.mark.parametrize('sign, status', [('SIGTERM', 143), ('SIGKILL', -9), ('SIGINT', 130)])
def test_no_worker_outlives_its_parent(scans, sign, status):
    "And nobody holds the pipe open: communicate() comes to an end"
    for i in range(300): os.link(scans/'0.png', scans/f'more{i}.png')
    p = start('read', scans, '--jobs', '2', '--out', scans/'out')
    until(lambda: (scans/'out').exists() and len(list((scans/'out').iterdir())) > 3)
    all_ = children(p.pid)
    assert len(workers(p.pid)) == 2
    p.send_signal(signal.Signals[sign])
    p.communicate(timeout=120)
    assert p.returncode == status
    until(lambda: not any(map(alive, all_)), 60)
    left = list((scans/'out').iterdir())
    assert len(left) < 300 and all(
        f.read_text() == '7\n' for f in left if not f.name.startswith('.')
    )

@needs_proc
def test_a_killed_worker_costs_one_file_which_is_named(scans):
    p = start('read', scans, '--jobs', '2', '--out', scans/'out')
    stuck = until(lambda: len(w := workers(p.pid)) == 2 and w)[0]
    os.kill(stuck, signal.SIGSTOP)
    until(lambda: (scans/'out').exists() and len(list((scans/'out').glob('[0-9].txt'))) == 7)
    os.kill(stuck, signal.SIGKILL)
    said = p.communicate(timeout=60)[1]
    lost = [
        line for line in said.splitlines() if 'lost: its process ended (killed by SIGKILL)' in line
    ]
    assert (
        p.returncode == 1
        and len(lost) == 1
        and '.png' in lost[0]
        and '1 of 8 could not be read' in said
    ), said

def test_a_reader_that_stops_early_is_no_error(scans):
    "As `hdr info | head -1` with pipefail; help is printed by argparse itself"
    for words in ['info'], ['--help'], ['classify', scans], ['read', scans, '--format', 'json']:
        p = start(*words)
        p.stdout.close()
        said = p.stderr.read()
        assert p.wait(60) == 0 and 'rror' not in said and 'Broken' not in said, (words, said)

def test_streams_are_one_document(scans, tmp_path):
    "Two files, with one between them that is none"
    line = [scans/'0.png', tmp_path/'none.png', scans/'1.png']
    done = hdr('read', *line, '--format', 'json')
    assert done.returncode == 1 and [Path(p['file']).name for p in json.loads(done.stdout)] == [
        '0.png',
        '1.png',
    ]
    for jobs in '1', '2':
        done = hdr('read', *line, '--format', 'csv', '--jobs', jobs)
        rows = done.stdout.splitlines()
        assert (
            done.returncode == 1
            and len(rows) == 3
            and rows[0].startswith('file,')
            and rows[2].startswith(str(scans / '1.png'))
        )
    done = hdr('read', *line, '--format', 'json', '-o', tmp_path/'all.json')
    assert (
        done.returncode == 1
        and done.stdout == ''
        and len(json.loads((tmp_path / 'all.json').read_text())) == 2
    )

@pytest.mark.parametrize(
    'words',
    ['--format alto', '--format hocr', '--format page', '--grid auto', '--format pdf -o x.pdf'],
)
def test_what_can_not_be_one_document_names_the_way_out(scans, words):
    done = hdr('read', *words.split(), scans/'0.png', scans/'1.png', cwd=scans)
    assert (
        done.returncode == 2
        and '--out' in done.stderr
        and done.stderr.count('\n') == 1
        and not done.stdout
    )

def test_pages_of_one_file_that_have_a_root_each(scans, seven):
    seven.save(scans/'two.tif', save_all=True, append_images=[seven])
    done = hdr('read', '--format', 'page', scans/'two.tif')
    assert (
        done.returncode == 1
        and 'two.tif: several pages' in done.stderr
        and '--out' in done.stderr
        and not done.stdout
    )

def test_output_never_replaces_what_is_read(scans):
    before = (scans/'0.png').read_bytes()
    os.symlink(scans/'0.png', scans/'link.png')
    os.link(scans/'0.png', scans/'hard.png')
    for name in '0.png', 'link.png', 'hard.png':
        done = hdr('read', scans/'0.png', '-o', scans/name)
        assert (
            done.returncode == 2
            and 'to be read' in done.stderr
            and (scans / '0.png').read_bytes() == before
        )

def test_output_through_links_pipes_and_devices(scans, tmp_path):
    (tmp_path/'kept.txt').write_text('old')
    os.symlink('kept.txt', tmp_path/'link.txt')
    assert hdr('read', scans/'0.png', '-o', tmp_path/'link.txt').returncode == 0
    assert (tmp_path/'link.txt').is_symlink() and (tmp_path/'kept.txt').read_text() == '7\n'
    os.mkfifo(tmp_path/'fifo')
    p = start('read', scans/'0.png', '-o', tmp_path/'fifo')
    with open(tmp_path/'fifo') as f: assert f.read() == '7\n'
    assert p.communicate()[0] == '' and p.returncode == 0 and (tmp_path/'fifo').is_fifo()
    for place in '/dev/null', '-', '/dev/stdout':
        done = hdr('read', scans/'0.png', '-o', place)
        assert done.returncode == 0 and done.stdout == ('' if 'null' in place else '7\n')
    assert not Path('/dev/null').is_file() and Path('/dev/null').exists()

ODD = [b'a\nb.png', b'bell\x07.png', b'caf\xe9.png', b'$x_1$ \xff.png', 'é "q", x.png'.encode()]

def test_odd_names_stay_in_their_cells(scans, tmp_path):
    "Line feeds, a bell, bytes that are no UTF-8, quotes: a row each, in a terminal that knows ASCII alone"
    odd = tmp_path/'odd'
    odd.mkdir()
    for name in ODD: os.link(scans/'0.png', os.fsencode(odd)+b'/'+name)
    for form in 'table', 'csv', 'json':
        done = hdr(
            'classify',
            odd,
            '--format',
            form,
            '--explain',
            tmp_path / 'seen',
            env=dict(PYTHONIOENCODING='ascii:strict'),
        )
        assert done.returncode == 0 and '\x07' not in done.stdout, done.stderr
        if form == 'json': assert [r['digit'] for r in json.loads(done.stdout)] == [7]*len(ODD)
        else: assert len(done.stdout.splitlines()) == 1+len(ODD)
    assert len(list((tmp_path/'seen').glob('*.png'))) == 3*len(ODD)

def test_one_that_fails_does_not_cost_the_others(scans, tmp_path, monkeypatch, capsys):
    "A bad picture, and a drawing that can't be made, whatever is raised"
    from hdr import cli, read_cli
    (scans/'3.png').write_bytes(b'no')
    draw = read_cli.draw_explanation
    def stumble(rec, source, name, path):
        if name.endswith('5.png'): raise RuntimeError('no font')
        draw(rec, source, name, path)
    monkeypatch.setattr(read_cli, 'draw_explanation', stumble)
    assert (
        cli.main(['classify', str(scans), '--format', 'csv', '--explain', str(tmp_path / 'seen')])
        == 1
    )
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1+7 and '3.png' in err and f'{scans/"5.png"}: no font' in err
    assert len(list((tmp_path/'seen').iterdir())) == 6
