"""The page of `hdr pad` and the widgets of `hdr.pad` in a real browser

HDR_PARITY=2000 compares so many pictures with Python. Pictures of the page go into the folder that HDR_PICTURES names.
"""
import base64, functools, http.server, json, os, re, shutil, threading, zlib
import numpy as np, pytest
from PIL import Image
from conftest import CHROMIUM, FLAGS
from hdr.data import load_mnist
from hdr.image import png_bytes
from hdr.pad import (
    ask_page,
    constants,
    constants_file,
    differences,
    draw,
    mirrored,
    mount,
    Pad,
    Viewer,
    write_pad,
)
from hdr.page import Cell, Digit, Line, Page, Table
from hdr.people import hostile
from hdr.recognize import Recognizer
from hdr.samples import hard_pictures

digits, labels = load_mnist()[1]
FOUR = [[(.55,.2), (.3,.58), (.75,.58)], [(.6,.38), (.55,.85)]]

@pytest.fixture(scope='module')
def file(tmp_path_factory): return write_pad(tmp_path_factory.mktemp('pad')/'hdr.html')

def says(page): return page.locator('.digit').inner_text()
def shows(page, text): page.locator('.digit', has_text=re.compile(f'^{text}$')).wait_for()
def word(page, *some):
    "What the page says at last"
    page.locator('.status', has_text=re.compile('|'.join(map(re.escape, some)))).wait_for()
    return page.locator('.status').inner_text()

DROP = """([name, type, data]) => {
  const all = new DataTransfer(), bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0))
  if (name) all.items.add(new File([bytes], name, {type}))
  else all.setData('text/plain', 'seven')
  document.querySelector('#pad').dispatchEvent(new DragEvent('drop', {dataTransfer: all, bubbles: true, cancelable: true}))
}"""
def drop(page, name, type='', data=b''):
    page.evaluate(DROP, [name, type, base64.b64encode(data).decode()])

# The same as in Python

def test_constants_have_not_drifted():
    kept, now = json.loads(constants_file().read_text()), constants()
    changed = [n for n in now['sources'] if now['sources'][n] != kept['sources'].get(n)]
    assert not changed, (
        f'look at their twins in hdr/web/, then run hdr.pad.write_constants(): {changed}'
    )
    assert kept == now

def test_every_twin_is_there():
    "Functions have the same names in both languages, but for those that are one there"
    scripts = ''.join(
        (constants_file().parent / f'{n}.js').read_text()
        for n in ('pixels', 'ink', 'network', 'recognize')
    )
    merged = {'_bar': 'bar', 'rescale': 'rescaled', 'on_paper': 'to_grey',
        'mixtures': 'slightly_changed'}
    for n in (n for names in mirrored.values() for n in names):
        assert (
            f'function {merged.get(n, n)}(' in scripts or f'const {merged.get(n, n)} =' in scripts
        ), n

@pytest.mark.parametrize('name', ['reader', 'small'])
def test_parity(tab, file, name):
    n, rng = int(os.environ.get('HDR_PARITY', 100)), np.random.default_rng(7)
    pictures = [png_bytes(digits[i]) for i in range(n//2)]
    pictures += [
        png_bytes(np.asarray(list(hostile.values())[i % len(hostile)](digits[i], rng)))
        for i in range(n // 2, n)
    ]
    pictures += [png_bytes(a) for a in hard_pictures().values()]
    page, found = tab(file), []
    for i in range(0, len(pictures), 50): found += ask_page(page, pictures[i:i+50], name)
    d = differences(pictures, found, Recognizer(name, threads=1))
    assert d['same'].mean() >= .997 and d['notes'].mean() > .98
    assert (
        np.median(d['probability']) <= 0.001
        and np.percentile(d['probability'], 99) <= 0.02
        and d['levels'].mean() < 2
    )

def test_colours_and_transparency(tab, file):
    "As Pillow turns them into grey"
    rng, d = np.random.default_rng(1), digits[0]
    clear = np.zeros((28,28,4), np.uint8)
    clear[...,3] = d
    coloured = np.stack([255-d//2, 240-d*.6, 255-d], -1).astype(np.uint8)
    large = np.kron(255-d, np.ones((48,48), np.uint8))  # 1344 pixels: shrunk
    blanks = (
        np.full((64, 64), 7, np.uint8),
        np.full((1, 1), 200, np.uint8),
        rng.integers(0, 256, (90, 90)).astype(np.uint8),
    )
    pictures = [png_bytes(Image.fromarray(a)) for a in (clear, coloured, large, *blanks)]
    d = differences(pictures, ask_page(tab(file), pictures), Recognizer(threads=1))
    assert (
        d['same'].all()
        and d['probability'].max() < 0.02
        and d['levels'].max() < 2
        and d['notes'].all()
    )

# Used

def test_draw_undo_clear(tab, file):
    page = tab(file)
    assert (
        says(page) == ''
        and page.locator('.hint').is_visible()
        and not page.locator('.bar.best').count()
    )
    draw(page, FOUR)
    shows(page, '4')
    assert (
        page.locator('.bar.best .name').inner_text() == '4'
        and 'sure' in page.locator('.sure').inner_text()
    )
    page.keyboard.press('Delete')
    assert says(page) == '' and page.locator('.hint').is_visible()
    page.keyboard.press('z')
    assert says(page) == '4'
    page.locator('button', has_text='eraser').click()
    draw(page, [[(.1,y/20), (.9,y/20)] for y in range(2, 19)])
    page.wait_for_timeout(400)
    assert says(page) != '4'
    page.select_option('select', 'small')
    for _ in range(17): page.locator('button', has_text='undo').click()
    assert says(page) == '4' and page.locator('.time').inner_text().startswith('small')

def test_a_finger_draws_and_nothing_scrolls(tab, file):
    page = tab(file, viewport=dict(width=390, height=700), has_touch=True, is_mobile=True)
    client, box = page.context.new_cdp_session(page), page.locator('canvas.paper').bounding_box()
    def touch(kind, *points):
        client.send(
            'Input.dispatchTouchEvent',
            dict(
                type=kind,
                touchPoints=[
                    dict(x=box['x'] + x * box['width'], y=box['y'] + y * box['height'])
                    for x, y in points
                ],
            ),
        )
    touch('touchStart', (.5,.2))
    for y in range(21, 85, 3): touch('touchMove', (.5,y/100))
    touch('touchEnd')
    shows(page, '1')
    assert page.evaluate('scrollY') == 0

# What may come

@pytest.mark.parametrize(
    'name, type, data, says_',
    [
        ('notes.txt', 'text/plain', b'seven', 'notes.txt: not a picture'),
        ('notes', '', b'seven', 'no picture that this browser can read'),
        ('empty.png', 'image/png', b'', 'empty.png: an empty file'),
        (
            'half.png',
            'image/png',
            png_bytes(digits[0])[:60],
            'half.png: no picture that this browser can read',
        ),
        ('', '', b'', 'no file'),
    ],
)
def test_bad_files_get_a_word(tab, file, name, type, data, says_):
    page = tab(file)
    drop(page, name, type, data)
    assert says_ in word(page, says_)
    drop(page, 'seven.png', 'image/png', png_bytes(digits[0]))
    shows(page, '7')
    assert page.locator('.status').inner_text() == ''

def huge_png(side):
    "A white square that is a small file"

    def chunk(kind, data):
        return (
            len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')
        )
    head = side.to_bytes(4, 'big')*2+b'\x08\0\0\0\0'
    pack = zlib.compressobj(9)
    body = b''.join(pack.compress(b'\0'+b'\xff'*side) for _ in range(side))+pack.flush()
    return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', head)+chunk(b'IDAT', body)+chunk(b'IEND', b'')

def test_a_huge_photograph_gets_a_word(tab, file):
    page = tab(file)
    drop(page, 'huge.png', 'image/png', huge_png(9000))
    assert 'huge.png' in word(page, 'million', 'too large', 'too many', 'too long')

def test_a_large_photograph_is_read(tab, file):
    page, a = tab(file), np.full((4000,3000), 235, np.uint8)
    a[1000:2960,500:2460] = np.kron(255-digits[0]//2, np.ones((70,70), np.uint8))
    drop(page, 'large.png', 'image/png', png_bytes(a))
    shows(page, '7')

def test_paste(tab, file):
    page = tab(file)
    paste = """([name, data]) => { const all = new DataTransfer()
      if (name) all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type: 'image/png'}))
      document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: all, bubbles: true, cancelable: true})) }"""
    page.evaluate(paste, ['', ''])
    assert 'no picture to paste' in word(page, 'paste')
    page.evaluate(paste, ['a.png', base64.b64encode(png_bytes(255-digits[0])).decode()])
    shows(page, '7')

def test_no_camera_from_disk(tab, file):
    page = tab(file)
    page.locator('button', has_text='camera').click()
    assert 'from disk gets no camera' in word(page, 'camera')

@pytest.fixture
def served(file):
    "The page on a server, its address"
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_): pass

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Quiet, directory=file.parent)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/{file.name}'
    server.shutdown()
    server.server_close()

@pytest.mark.parametrize('open_', [True, False])
def test_camera(browser, served, open_):
    "One that shows a test picture, and one that is closed"
    flags = [
        *FLAGS,
        '--use-fake-device-for-media-stream',
        *(['--use-fake-ui-for-media-stream'] if open_ else ['--deny-permission-prompts']),
    ]
    b = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    try:
        page = b.new_page()
        page.goto(served)
        page.locator('button', has_text='camera').click()
        if not open_: assert 'camera' in word(page, 'closed', 'no camera'); return
        page.locator('.take').click()
        page.locator('.sure', has_text=re.compile('.')).wait_for()
        assert (
            not page.locator('video').is_visible()
            and page.evaluate('hdr.pad.drawing.items.length') == 1
        )
    finally: b.close()

# Looked at

@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [320, 400, 1300])
def test_fits_the_window(tab, file, tmp_path, width, scheme):
    page = tab(file, viewport=dict(width=width, height=800), color_scheme=scheme)
    draw(page, FOUR)
    page.wait_for_timeout(300)
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.screenshot(path=(picture := tmp_path/f'pad_{width}_{scheme}.png'))
    assert (np.asarray(Image.open(picture).convert('L')).mean() < 110) == (scheme == 'dark')
    if folder := os.environ.get('HDR_PICTURES'): shutil.copy(picture, folder)

def test_one_small_file_that_asks_nobody(file):
    text = file.read_text()
    assert (
        file.stat().st_size < 1.5e6
        and "default-src 'none'" in text
        and not any(s in text for s in ('https:', 'import(', 'fetch(', 'XMLHttp'))
    )

# In a notebook: what anywidget does, without it

@pytest.fixture
def empty(tmp_path):
    (tmp_path/'empty.html').write_text('<!DOCTYPE html><html lang="en"><body></body></html>')
    return tmp_path/'empty.html'

def test_pad_in_a_notebook(tab, empty):
    page = tab(empty)
    mount(page, Pad(255-digits[0]))
    shows(page, '7')
    page.keyboard.press('Tab')
    page.locator('button', has_text='clear').click()
    draw(page, FOUR)
    shows(page, '4')
    page.wait_for_timeout(300)
    last = page.evaluate('saved()')[-1]
    assert (
        last['bytes'] == last['shape'][0] * last['shape'][1] > 0
        and len(last['answer']['probabilities']) == 11
    )

def test_viewer_in_a_notebook(tab, empty, tmp_path):
    grey = np.full((200,300), 240, np.uint8)
    grey[20:48,30:58] = 255-digits[0]
    grey[20:48,90:118] = 255-digits[1]
    two = [
        Digit(7, 0.98, [32, 22, 56, 46], top=[[7, 0.98], [1, 0.02]]),
        Digit(2, 0.6, [92, 22, 116, 46], top=[[2, 0.6], [3, 0.4]]),
    ]
    page = Page('a.png', 1, 300, 200, 0, [Line('7 2', two)], grey)
    page.tables = [
        Table(
            1,
            2,
            [
                Cell(text='7', row=1, column=1, box=[20, 10, 70, 60]),
                Cell(text='2', row=1, column=2, box=[70, 10, 130, 60]),
            ],
            [20, 10, 130, 60],
        )
    ]
    tab_ = tab(empty, viewport=dict(width=1000, height=700))
    mount(tab_, Viewer(page, .7))
    assert tab_.locator('.digit-box').count() == 2 and tab_.locator('.digit-box.low').count() == 1
    tab_.locator('.digit-box').nth(1).hover()
    assert says(tab_) == '2' and tab_.locator('.bar').nth(3).locator('.says').inner_text() == '40%'
    tab_.locator('input[type=range]').fill('99')
    assert tab_.locator('.digit-box.low').count() == 2
    tab_.locator('button', has_text='copy table 1').click()
    assert word(tab_, 'copied') == 'copied'
    if folder := os.environ.get('HDR_PICTURES'): tab_.screenshot(path=f'{folder}/viewer.png')
