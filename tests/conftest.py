"What the tests share: the command line as a process, a small repository to try it on, and a real browser"
import json, os, shutil, subprocess, sys
from pathlib import Path
import pytest
from hdr.run import pipeline

def python(code, *args, **more):
    "Run code in a process of its own; (exit status, stdout, stderr) in one object"
    env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', **more.pop('env', {})}
    return subprocess.run(
        [sys.executable, '-c', code, *map(str, args)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=env,
        **more,
    )

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
    code = lambda source, **metadata: dict(
        cell_type='code', source=source, metadata=metadata, outputs=[], execution_count=None
    )
    path.write_text(
        json.dumps(
            dict(
                nbformat=4,
                nbformat_minor=4,
                cells=[code(parameters, tags=['parameters']), *map(code, cells)],
                metadata=dict(
                    kernelspec=dict(name='python3', language='python', display_name='python3')
                ),
            )
        )
    )

@pytest.fixture
def repo(tmp_path):
    "A repository whose notebooks leave their parameters in a file"
    root = tmp_path/'repo'
    (root/'nbs').mkdir(parents=True)
    (root/'settings.ini').write_text('[DEFAULT]\nlib_name = hdr\n')
    for n in pipeline:
        notebook(root/'nbs'/f'{n}.ipynb', f'open("../{n}.txt", "w").write(f"{{epochs}} {{out}}")')
    return root

# A real browser

CHROMIUM = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
FLAGS = '--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync'.split()

@pytest.fixture(scope='module')
def browser():
    "One for all tests"
    driver = pytest.importorskip(
        'playwright.sync_api', reason='playwright is not installed: pip install playwright'
    )
    if not CHROMIUM: pytest.skip('there is no Chromium here: apt-get install chromium')
    with driver.sync_playwright() as p:
        b = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield b
        b.close()

@pytest.fixture
def tab(browser):
    "Opens a file in a window of its own, where any fault of the script and any request is a failure"
    contexts, faults = [], []
    def show(path, place='', **how):
        context = browser.new_context(**{'viewport': dict(width=1300, height=900), **how})
        contexts.append(context)
        page = context.new_page()
        page.on('pageerror', lambda e: faults.append(str(e)))
        page.on('console', lambda m: faults.append(m.text) if m.type == 'error' else None)
        page.on(
            'request',
            lambda r: (
                None if r.url.startswith(('file:', 'data:', 'blob:')) else faults.append(r.url)
            ),
        )
        page.goto(path.resolve().as_uri()+place)
        return page
    yield show
    for c in contexts: c.close()
    assert not faults
