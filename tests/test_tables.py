"Ruled paper: what is found, what is left alone, and input that is not as it should be"
import json
import cv2, numpy as np, pytest
from hdr.data import load_mnist
from hdr.documents import from_json, to_json
from hdr.page import json_schema
from hdr.read import convert, read, read_page
from hdr.sample_forms import form_layouts, sample_form
from hdr.sheet import find_sheet
from hdr.tables import read_tables

x, y = load_mnist()[1]  # no choice was made on these

def form(layout, mode='scan', seed=0, **how):
    return sample_form(x, y, np.random.default_rng(seed), layout, mode, **how)

def share_right(made, tables):
    "Of the written cells, in their row and column"
    want = {
        (c['row'], c['column']): c['text']
        for c in made.tables[0]['cells']
        if c['kind'] == 'write' and c['text']
    }
    have = max(tables, key=lambda t: t.rows*t.columns).texts() if tables else [[]]
    there = {(r,c): text for r,row in enumerate(have) for c,text in enumerate(row)}
    return sum(there.get(k) == v for k,v in want.items())/len(want)

@pytest.mark.parametrize('layout', ['grades', 'meters', 'sudoku', 'open', 'merged'])
@pytest.mark.parametrize('mode', ['scan', 'photo'])
def test_cells_are_where_they_belong(layout, mode):
    made = form(layout, mode, 3)
    assert share_right(made, read_tables(made.image)) > .7

def test_another_layout_is_refused_with_the_list():
    with pytest.raises(ValueError, match='grades'): form('nothing')

def test_a_blank_sheet_has_no_tables_and_no_fields():
    page = read(np.full((1100,850), 240, np.uint8))
    assert page.tables == page.fields == page.lines == []

def test_a_table_cut_at_the_edge_is_read_as_far_as_it_goes():
    made = form('grades', seed=5, turns=False)
    x0, y0, x1, y1 = made.tables[0]['box']
    cut = made.image[
        : int(cv2.perspectiveTransform(np.float32([[[x0, (y0 + y1) / 2]]]), made.to_image)[0, 0, 1])
    ]
    assert any(
        t.columns == made.tables[0]['columns'] for t in read_tables(np.ascontiguousarray(cut))
    )

def test_nothing_but_lines_reads_nothing():
    page = np.full((900,700), 245, np.uint8)
    page[60::40,30:670] = 120
    assert read(page).text == ''

def ruled(rows, columns, side):
    "An empty table with a margin, light paper"
    page = np.full((rows*side[0]+120, columns*side[1]+120), 240, np.uint8)
    for r in range(rows + 1):
        cv2.line(page, (60, 60 + r * side[0]), (60 + columns * side[1], 60 + r * side[0]), 60, 2)
    for c in range(columns + 1):
        cv2.line(page, (60 + c * side[1], 60), (60 + c * side[1], 60 + rows * side[0]), 60, 2)
    return page

def test_a_crossword_has_no_digits():
    "Of letters that are none whichever side is up: M and W lie like 3, N like 2"
    page, rng = ruled(9, 9, (64, 64)), np.random.default_rng(0)
    for r,c in np.ndindex(9, 9):
        x0, y0 = 60+64*c, 60+64*r
        if rng.random() < .2:
            page[y0 : y0 + 64, x0 : x0 + 64] = 20
        else:
            cv2.putText(
                page,
                str(rng.choice(list('AHKRXY'))),
                (x0 + 14, y0 + 48),
                cv2.FONT_HERSHEY_SIMPLEX,
                1.4,
                60,
                3,
            )
    page = read(page)
    assert page.tables
    assert sum(d.confidence > .9 and not d.rejected for l in page.lines for d in l.digits) <= 2

def write_number(page, text, left, top, rng):
    "A number in digits of MNIST"
    for k,c in enumerate(text):
        part = page[top:top+42,left+34*k:left+34*k+42]
        np.minimum(
            part,
            240 - cv2.resize(x[rng.choice(np.flatnonzero(y == int(c)))], (42, 42)) // 1.2,
            out=part,
            casting='unsafe',
        )

def test_what_is_struck_out_is_not_read_and_its_cell_is_flagged():
    page, rng = ruled(5, 2, (80, 340)), np.random.default_rng(2)
    for r, c in np.ndindex(5, 2):
        write_number(page, str(rng.integers(100, 1000)), 90 + 340 * c, 80 + 80 * r, rng)
    write_number(page, '58', 240, 80, rng)
    cv2.line(page, (84, 104), (206, 98), 50, 3)
    cells = {(c.row, c.column): c for c in read_tables(page)[0].cells}
    assert cells[1,1].text == '58' and cells[1,1].flagged and 'struck out' in cells[1,1].reason
    assert not any('struck' in c.reason for at,c in cells.items() if at != (1,1))

def test_two_sheets_are_no_fault():
    both = np.hstack([form('grades', seed=s, turns=False).image[:1500,:1080] for s in (1, 2)])
    assert read_page(both).width > 0

def test_json_has_fields_and_tables_and_comes_back():
    page = read(form('merged', seed=4).image, tables=True)
    jsonschema = pytest.importorskip('jsonschema')
    data = to_json([page])
    jsonschema.validate(json.loads(data), json_schema)
    again, = from_json(data)
    assert (
        again.tables[0].texts() == page.tables[0].texts()
        and again.tables[0].cells[0].id == 'p1.t1.r1c1'
    )
    digits = {d.id for l in again.lines for d in l.digits}
    assert {i for t in again.tables for c in t.cells for i in c.digits} <= digits  # all by id

def test_spreadsheets(tmp_path):
    openpyxl = pytest.importorskip('openpyxl')
    made = form('grades', seed=3, turns=False)
    tables = read_tables(made.image)
    tables[0].to_xlsx(tmp_path/'t.xlsx')
    sheet = openpyxl.load_workbook(tmp_path/'t.xlsx')['Table 1']
    texts = {(c.row, c.column): c.text for c in tables[0].cells}
    for (r,c),text in texts.items():
        if text.isdigit() and text[0] != '0': assert sheet.cell(r, c).value == int(text)

def test_tables_of_several_pages_have_names_of_their_own(tmp_path):
    cv2.imwrite(str(tmp_path/'a.png'), form('several', seed=4, turns=False).image)
    convert(tmp_path/'a.png', tmp_path/'a.csv', 'csv', grid='tables')
    assert (tmp_path/'a.p1.t1.csv').exists() and (tmp_path/'a.p1.t2.csv').exists()

def test_a_photographed_sheet_is_found_and_a_flat_one_is_left():
    made = form('lines', 'photo', 2, turns=False)
    true = cv2.perspectiveTransform(
        np.float32([[[0, 0], [1240, 0], [1240, 1754], [0, 1754]]]), made.to_image
    )[0]
    assert np.abs(find_sheet(made.image)-true).max() < 12
    assert find_sheet(form('lines', 'flat', turns=False).image) is None

def test_light_writing_on_dark_ground_is_a_matter_of_the_region():
    "Two rows of a table in reverse; the rest as it was"
    made = form('grades', 'flat', 5, turns=False)
    table, = made.tables
    tops = sorted({c['box'][1] for c in table['cells']})
    x0, _, x1, _ = map(int, table['box'])
    rows = np.s_[int(tops[1]):int(tops[3]),x0:x1]
    made.image[rows] = (240-.85*made.image[rows]).astype(np.uint8)
    assert share_right(made, read_tables(made.image)) > .7
