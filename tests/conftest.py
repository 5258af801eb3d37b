"What the tests share: the command line as a process, and a small repository to try it on"
import json, os, subprocess, sys
from pathlib import Path
import pytest
from hdr.run import pipeline

def python(code, *args, **more):
    "Run code in a process of its own; (exit status, stdout, stderr) in one object"
    env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', **more.pop('env', {})}
    return subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, **more)

PEAK = '''def peak():
    "Megabytes that this process has held at most; `ru_maxrss` also knows what its parent held before it began"
    import re, sys
    try: return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])/1e3
    except OSError: import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(1e6 if sys.platform == "darwin" else 1e3)
'''  # for code that runs in a process of its own

COMMAND = [sys.executable, '-c', 'import sys; from hdr.cli import main; sys.exit(main())']

def hdr(*args, **more):
    "The program `hdr`"
    return python(COMMAND[-1], *args, **more)

PARAMETERS = 'epochs: int = 0  # passes over the images\nout: str = ""  # the results folder'

def notebook(path, *cells, parameters=PARAMETERS):
    "Write a small notebook"
    code = lambda source, **metadata: dict(cell_type='code', source=source, metadata=metadata, outputs=[], execution_count=None)
    path.write_text(json.dumps(dict(nbformat=4, nbformat_minor=4, cells=[code(parameters, tags=['parameters']), *map(code, cells)],
        metadata=dict(kernelspec=dict(name='python3', language='python', display_name='python3')))))

@pytest.fixture
def repo(tmp_path):
    "A repository whose notebooks leave their parameters in a file"
    root = tmp_path/'repo'
    (root/'nbs').mkdir(parents=True)
    (root/'settings.ini').write_text('[DEFAULT]\nlib_name = hdr\n')
    for n in pipeline:
        notebook(root/'nbs'/f'{n}.ipynb', f'open("../{n}.txt", "w").write(f"{{epochs}} {{out}}")')
    return root
