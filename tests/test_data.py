"Getting MNIST when the network and other processes do their worst"
import gzip, hashlib, json, subprocess, sys, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
import numpy as np
import pytest
from hdr.data import published, write_idx

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
        content = write_idx(random.integers(0, 10, (5000,28,28) if 'images' in name else 5000, np.uint8))
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
    return subprocess.Popen([sys.executable, '-c', CODE, mirror[0], json.dumps(mirror[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**env, 'HDR_CACHE': str(cache)})

@pytest.fixture
def env(monkeypatch):
    "An environment in which MNIST is nowhere yet"
    import os
    monkeypatch.delenv('HDR_DATA', raising=False)
    return dict(os.environ)

def test_processes_at_once(mirror, env, tmp_path):
    "Three processes fill one empty cache at the same time"
    children = [start(mirror, tmp_path/'cache', env) for _ in range(3)]
    for c in children: c.stdin.write('go\n'); c.stdin.flush()
    for c in children:
        out, err = c.communicate(timeout=120)
        assert c.returncode == 0 and out.endswith('True\n'), err
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path/'cache'/'mnist').iterdir() if not p.name.endswith('.lock')}
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
    assert child.returncode == 1 and 'ChecksumError' in err and not list((tmp_path/'cache'/'mnist').iterdir())
