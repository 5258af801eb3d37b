"Any bytes, any array: a named error or an answer, never a crash, and bounded in memory and time"
import io, json, os, pickle, struct, sys, time, zlib
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, features
from conftest import hdr, python
from hdr.data import load_mnist
from hdr.image import ImageError, page_images, read_image
from hdr.networks import Network, WeightsError
from hdr.recognize import Recognizer, side

count = int(os.environ.get('HDR_FUZZ', 300))  # of examples; HDR_FUZZ=2000 for a thorough run
often = settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
digits = load_mnist()[1][0]
rec = Recognizer(threads=1)

def highest_memory():
    "Megabytes that this process has held at most; none where the system does not tell"
    try: import resource
    except ImportError: return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == 'darwin' else 1e3
    )

def judged(source):
    "An answer that makes sense, or None for a named error, within ten seconds of work"
    start = time.process_time()
    try: (row, p), = rec.answers([source])
    except ImageError as e: assert str(e).startswith('image 0: '); return None
    finally: assert time.process_time() - start < 10
    assert (
        0 <= row['confidence'] <= 1
        and (row['digit'] is None) == row['rejected']
        and np.isfinite(p).all()
    )
    return row

def encoded(form, digit=0, size=60, **more):
    data = io.BytesIO()
    Image.fromarray(digits[digit]).resize((size,size)).convert('RGB').save(data, form, **more)
    return data.getvalue()

files = {form: encoded(form) for form in ('PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM')}
if features.check('avif'): files['AVIF'] = encoded('AVIF')
try:
    import pillow_heif
    pillow_heif.register_heif_opener()
    files['HEIF'] = encoded('HEIF')
except ImportError: pass
documents = {'PDF': encoded('PDF'), 'TIFF of LZW': encoded('TIFF', compression='tiff_lzw')}

def damaged(data, changes, end):
    "Some bytes changed, and perhaps the end cut off"
    data = bytearray(data)
    for at,value in changes: data[int(at*(len(data)-1))] = value
    return bytes(data[:int(end*len(data))] if end < .9 else data)

changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), st.floats(0, 1)
types = [
    np.uint8,
    np.int8,
    np.uint16,
    np.int16,
    np.uint32,
    np.int32,
    np.int64,
    np.float16,
    np.float32,
    np.float64,
    bool,
    np.complex64,
    'S3',
    'datetime64[s]',
]
shapes = st.lists(st.integers(0, 40), min_size=0, max_size=4).map(tuple)

@often
@given(st.sampled_from(types).flatmap(lambda t: arrays(t, shapes)))
def test_any_array(a): judged(a)

@often
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    st.sampled_from(types[:10]),
    st.floats(-1e6, 1e6),
    st.floats(-10, 10),
)
def test_any_scale(a, kind, scale, shift): judged(((a/255+shift)*scale).astype(kind))

few = settings(often, max_examples=int(os.environ.get('HDR_FUZZ', 60)))  # of each format

@pytest.mark.parametrize('form', sorted(files))
def test_damaged_files(form):
    "An answer or a named error, in time and in memory; HDR_FUZZ=2000 for as many of each format"
    before = highest_memory()
    def one(changed, end): judged(damaged(files[form], changed, end))
    few(given(*changes)(one))()
    assert highest_memory() - before < 500

@pytest.mark.parametrize('form', sorted(documents))
def test_damaged_documents(form):
    "The same of files that have pages: what is whole is read, what is not is named"
    def one(changed, end):
        faults, start = [], time.process_time()
        try:
            pages = list(
                page_images(damaged(documents[form], changed, end), 'a document', faults=faults)
            )
        except ImageError as e:
            faults.append(e)
        else: assert all(p.grey.dtype == np.uint8 and p.grey.size for p in pages)
        assert (
            all(str(e).startswith('a document: ') for e in faults)
            and time.process_time() - start < 10
        )
    before = highest_memory()
    few(given(*changes)(one))()
    assert highest_memory() - before < 500

@often
@given(st.binary(max_size=200))
def test_any_bytes(data): judged(data)

@pytest.mark.parametrize('form', sorted(files))
def test_each_format_is_read(form): assert judged(files[form])['digit'] == 7

@pytest.mark.parametrize(
    'thing',
    [None, [], [[0, 1], [1, 0]], {}, 7, 'a\0b.png', object()],
    ids=lambda thing: repr(thing).partition(' at ')[0],
)
def test_what_is_no_picture_is_named(thing):
    with pytest.raises(ImageError, match='sketch: '): read_image(thing, 'sketch')
    with pytest.raises(ImageError, match='sketch: '): list(page_images(thing, 'sketch'))

@pytest.mark.parametrize('kind', [bytearray, memoryview, io.BytesIO])
def test_bytes_of_every_kind(kind): assert judged(kind(files['PNG']))['digit'] == 7

blanks = {
    'one pixel': np.zeros((1, 1), np.uint8),
    'blank': np.full((50, 50), 128, np.uint8),
    'wide': np.zeros((30, 4000), np.uint8),
    'noise': np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8),
    'small noise': np.random.default_rng(1).integers(0, 256, (28, 28)).astype(np.uint8),
}
@pytest.mark.parametrize('name', blanks)
def test_nothing_there_is_no_digit(name): assert judged(blanks[name])['rejected']

# one scale

d = digits[0]
scales = {
    'floats': d / 255,
    'rounded up': d / 255 * 1.0001,
    'a hair': d / 255 * 1.0000001,
    'uint8 0/1': (d > 99).astype(np.uint8),
    'int64 0/1': (d > 99).astype(int),
    'bool': d > 99,
    '0..16': d / 255 * 16,
    'int 0..16': (d / 255 * 16).astype(int),
    'overshoot': d / 255 * 1.16,
    'bytes with overshoot': d / 255 * 296,
    '12 bits': d.astype(np.uint16) * 16,
    '16 bits': d.astype(np.uint16) * 257,
    'float16': (d / 255).astype(np.float16),
    'below 0': np.where(d > 0, d / 255, -0.1),
}
@pytest.mark.parametrize('name', scales)
def test_every_scale_is_the_same_digit(name): assert judged(scales[name])['digit'] == 7

@pytest.mark.parametrize(
    'name, note', [('0..16', 'taken for 0..16'), ('12 bits', 'taken for 0..4095'), ('floats', None)]
)
def test_a_doubtful_scale_is_noted(name, note):
    assert (
        (note in judged(scales[name])['notes'])
        if note
        else 'taken' not in judged(scales[name])['notes']
    )

@pytest.mark.parametrize(
    'a',
    [d / 127.5 - 1, (d / 255 - 0.1307) / 0.3081, d * 1e4, np.where(d > 0, d, np.nan)],
    ids=['-1..1', 'standardised', 'huge', 'nan'],
)
def test_other_scales_are_refused(a): assert judged(a) is None

def test_a_dark_file_is_a_dark_file():
    "In a file 255 is white: a lens cap with a little noise is no picture of black and white"
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (60, 60)).astype(np.uint8)).save(
        data, 'PNG'
    )
    assert read_image(data.getvalue()).max() == 1

# threads and processes

def test_eight_threads_share_a_recognizer():
    pictures = [255-np.pad(a, 20+i%5) for i,a in enumerate(digits[:96])]
    alone = [row['digit'] for row,_ in rec.answers(pictures, reject=False)]
    def ask(i): return [row['digit'] for row,_ in rec.answers(pictures[i:i+1+i%7], reject=False)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert list(pool.map(ask, range(90))) == [alone[i : i + 1 + i % 7] for i in range(90)]

def test_eight_threads_read_pages():
    from hdr.read import read_page
    from hdr.samples import validation_string
    made = [validation_string(i, scale=2) for i in range(8)]
    alone = [read_page(grey, field=True).text for grey,_ in made]
    with ThreadPoolExecutor(8) as pool:
        assert (
            list(pool.map(lambda i: read_page(made[i % 8][0], field=True).text, range(24)))
            == alone * 3
        )
    assert np.mean([text.replace(' ', '') == truth for text,(_,truth) in zip(alone, made)]) > .5

def test_eight_threads_draw_pdfs():
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: next(page_images(documents['PDF'])).grey, range(32)))
    assert all(np.array_equal(p, pages[0]) for p in pages)

def test_recognizers_and_networks_pickle():
    again = pickle.loads(pickle.dumps(rec))
    assert [r['digit'] for r, _ in again.answers(digits[:20])] == [
        r['digit'] for r, _ in rec.answers(digits[:20])
    ]
    small = Network('tiny')
    assert np.allclose(
        pickle.loads(pickle.dumps(small)).predict_proba(digits[:9]),
        small.predict_proba(digits[:9]),
        atol=1e-6,
    )

def test_a_network_works_in_a_forked_process():
    done = python(
        '''import multiprocessing as m, numpy as np
from hdr.networks import Network
net, x = Network("tiny"), np.zeros((3,28,28), np.uint8)
net.predict_proba(x)
with m.get_context("fork").Pool(1) as pool: print(pool.apply_async(net.predict_proba, (x,)).get(60).shape)''',
        timeout=120,
    )
    assert '(3, 10)' in done.stdout, done.stderr

# unsafe files

def test_postscript_is_refused_at_once(tmp_path):
    (tmp_path / 'endless.png').write_bytes(
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n'
    )
    start = time.monotonic()
    for read in read_image, lambda p: list(page_images(p)):
        with pytest.raises(ImageError, match='endless.png'): read(tmp_path/'endless.png')
    assert time.monotonic() - start < 2

def pdf_of(width, height, filter, data):
    "A PDF of one page with one picture"
    picture = (
        b'<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8'
        % (width, height)
    )
    bodies = [
        b'<</Type/Catalog/Pages 2 0 R>>',
        b'<</Type/Pages/Kids[3 0 R]/Count 1>>',
        b'<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</XObject<</I 5 0 R>>>>/Contents 4 0 R>>',
        b'<</Length 27>>\nstream\nq 600 0 0 800 0 0 cm /I Do Q\nendstream',
        picture + b'/Filter/%s/Length %d>>\nstream\n' % (filter, len(data)) + data + b'\nendstream',
    ]
    out, places = b'%PDF-1.4\n', []
    for i,body in enumerate(bodies, 1):
        places.append(len(out))
        out += b'%d 0 obj\n%s\nendobj\n' % (i, body)
    table = b''.join(b'%010d 00000 n \n' % p for p in places)
    return (
        out
        + b'xref\n0 6\n0000000000 65535 f \n'
        + table
        + b'trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF' % len(out)
    )

def bombs(folder):
    "Small files that declare, or unfold to, a great deal"
    Image.new('P', (16000,16000)).save(folder/'palette.png', transparency=0)
    Image.new('P', (8000,8000)).save(folder/'largest palette.png', transparency=0)
    Image.new('1', (20000,10000)).save(folder/'bits.png')
    whole = io.BytesIO()
    Image.new('RGBA', (8000,8000)).save(whole, 'PNG')
    (folder/'half.png').write_bytes(whole.getvalue()[:len(whole.getvalue())//2])
    Image.new('RGB', (16000,16000)).save(folder/'web.webp', lossless=True, method=0)
    Image.new('L', (12000,9000)).save(folder/'progressive.jpg', progressive=True)
    Image.new('L', (16000,16000)).save(folder/'large.gif')
    (folder / 'stream.pdf').write_bytes(
        pdf_of(34000, 34000, b'FlateDecode', zlib.compress(bytes(1_156_000_000), 1))
    )
    (folder/'declared.pdf').write_bytes(pdf_of(60000, 60000, b'RunLengthDecode', b'\x81\0'*5000))

bounded = '''import sys, time
from hdr.image import ImageError, page_images, read_image
def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])/1024
for path in sys.argv[1:]:
    for read in (lambda p: read_image(p, side=512)), (lambda p: [p.grey for p in page_images(p)]):
        try: read(path)
        except ImageError as e: assert path in str(e), e
        assert peak() < 500, (path, peak())
print(round(peak()), 'MB')'''

@pytest.mark.skipif(
    not os.path.exists('/proc/self/status'), reason='the peak of memory is read from /proc'
)
def test_bombs_take_less_than_500_megabytes(tmp_path):
    bombs(tmp_path)
    done = python(bounded, *sorted(tmp_path.iterdir()), timeout=300)
    assert done.returncode == 0 and done.stdout.endswith('MB\n'), done.stderr

def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    Image.new('1', (20000,10000)).save(tmp_path/'bomb.png')
    Image.new('1', (10000,10000)).save(tmp_path/'large.png')
    for name in 'bomb.png', 'large.png':
        with pytest.raises(ImageError, match=f'{name}.*million pixels'): read_image(tmp_path/name)

def test_a_photograph_of_100_megapixels_is_read_small(tmp_path):
    big = Image.new('L', (11000,9100), 220)
    big.paste(Image.fromarray(255-digits[0]).resize((3000,3000)), (4000,3000))
    big.save(tmp_path/'huge.jpg')
    assert max(read_image(tmp_path/'huge.jpg', side=side).shape) == side
    assert rec.classify(tmp_path/'huge.jpg').digit[0] == 7

# pages and pictures

def test_first_picture_of_a_moving_one(tmp_path):
    a, b = (Image.fromarray(digits[i]).resize((60,60)) for i in (0, 1))
    for name in 'a.gif', 'a.png', 'a.webp':
        a.save(tmp_path/name, save_all=True, append_images=[b])
        row = rec.classify(tmp_path/name).iloc[0]
        assert row.digit == 7 and 'first of several pictures' in row.notes, name

def test_a_callers_picture_stays_as_it_is(tmp_path):
    Image.fromarray(digits[0]).resize((1600,1600)).save(tmp_path/'a.jpg')
    mine = Image.open(tmp_path/'a.jpg')
    assert rec.classify(mine).digit[0] == 7 and mine.size == (1600,1600) and mine.mode == 'L'
    a = digits[0].copy()
    rec.classify(a)
    assert np.array_equal(a, digits[0])

def three_pages(folder):
    "A TIFF of three pages, LZW"
    pages = [Image.fromarray(255-a).resize((140,140)) for a in digits[:3]]
    pages[0].save(
        folder / 'three.tif', save_all=True, append_images=pages[1:], compression='tiff_lzw'
    )
    return folder/'three.tif'

def test_a_damaged_page_is_named_and_the_others_stay(tmp_path):
    path = three_pages(tmp_path)
    with Image.open(path) as tiff:
        tiff.seek(1)
        place, = tiff.tag_v2[273]
    data = bytearray(path.read_bytes())
    data[place:place+50] = b'\xff'*50
    path.write_bytes(data)
    faults = []
    assert [p.number for p in page_images(path, faults=faults)] == [1, 3]
    assert len(faults) == 1 and 'three.tif: page 2' in str(faults[0])
    with pytest.raises(ImageError, match='three.tif: page 2'): list(page_images(path))

@pytest.mark.parametrize('share', np.linspace(.1, .99, 12).round(2))
def test_a_cut_tiff_gives_what_is_whole(tmp_path, share):
    path, faults = three_pages(tmp_path), []
    path.write_bytes(path.read_bytes()[:int(share*path.stat().st_size)])
    try: numbers = [p.number for p in page_images(path, faults=faults)]
    except ImageError as e: assert 'three.tif' in str(e); return
    assert numbers == list(range(1, len(numbers)+1)) and len(numbers) < 3 and faults

def test_pages_of_a_pdf_as_a_viewer_shows_them(tmp_path):
    "Turned by /Rotate, cut by the CropBox, an empty password, a blank page between others"
    import pikepdf
    picture = Image.fromarray(255-digits[0]).resize((280,280))
    blank = Image.new('L', (280,280), 255)
    picture.save(tmp_path/'a.pdf', save_all=True, append_images=[blank, picture])
    with pikepdf.open(tmp_path/'a.pdf') as pdf:
        box = [float(v) for v in pdf.pages[0].mediabox]
        pdf.pages[0].Rotate = 90
        pdf.pages[2].CropBox = [0, 0, box[2], box[3]/2]
        pdf.save(tmp_path/'b.pdf', encryption=pikepdf.Encryption(user='', owner='secret'))
        pdf.save(tmp_path/'c.pdf', encryption=pikepdf.Encryption(user='secret', owner='secret'))
    turned, empty, cut = (p.grey for p in page_images(tmp_path/'b.pdf'))
    assert (
        np.abs(np.rot90(turned, 1).astype(int) - next(page_images(tmp_path / 'a.pdf')).grey).mean()
        < 3
    )
    assert empty.min() == 255 and abs(2*len(cut) - len(turned)) <= 2
    with pytest.raises(ImageError, match='c.pdf.*password'): list(page_images(tmp_path/'c.pdf'))

def test_heic_says_what_to_install(tmp_path):
    if 'HEIF' in files: pytest.skip('pillow-heif is installed')
    (tmp_path / 'phone.jpg').write_bytes(
        struct.pack('>I', 24) + b'ftypheic\0\0\0\0mif1heic' + bytes(100)
    )
    with pytest.raises(ImageError, match='phone.jpg: a HEIC picture.*pillow_heif is missing.*heic'):
        read_image(tmp_path / 'phone.jpg')

def test_a_changed_weights_file_is_refused(tmp_path):
    from hdr.networks import weights_dir

    for end in 'json', 'tflite':
        (tmp_path / f'reader.{end}').write_bytes((weights_dir() / f'reader.{end}').read_bytes())
    (tmp_path/'reader.tflite').write_bytes((tmp_path/'reader.tflite').read_bytes()[:-1] + b'?')
    with pytest.raises(WeightsError, match='SHA-256'): Recognizer(folder=tmp_path)

# the command line

def test_command_line_goes_on_after_a_bad_file(tmp_path):
    (tmp_path/'a.png').write_bytes(files['PNG'])
    (tmp_path/'b.png').write_bytes(files['PNG'][:100])
    (tmp_path/'c.gif').write_bytes(files['GIF'])
    done = hdr('classify', tmp_path, '--format', 'json')
    rows = json.loads(done.stdout)
    assert (
        done.returncode == 1
        and [r['digit'] for r in rows] == [7, 7]
        and len(rows[0]['probabilities']) == 10
    )
    assert (
        done.stderr.count('hdr: error:') == 1
        and 'b.png' in done.stderr
        and 'Traceback' not in done.stderr
    )

def test_command_line_reads_standard_input(tmp_path):
    import subprocess, sys
    from pathlib import Path

    done = subprocess.run(
        [Path(sys.executable).with_name('hdr'), 'classify', '-'],
        input=files['PNG'],
        capture_output=True,
    )
    assert done.returncode == 0 and b'standard input      7' in done.stdout

@pytest.mark.parametrize(
    'line, status',
    [
        (['classify', 'nowhere.png'], 1),
        (['classify', 'no*.png'], 2),
        (['classify', '.'], 2),
        (['classify'], 2),
        (['classify', '-', '--model', 'nosuch'], 1),
    ],
)
def test_bad_requests(tmp_path, line, status):
    done = hdr(*line, cwd=tmp_path)
    assert (
        done.returncode == status
        and done.stderr.startswith('hdr: error:')
        and done.stderr.count('\n') == 1
    )
