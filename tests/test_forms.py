"Forms by template: what goes wrong is said in clear words, and nothing is half written"
import csv, json
import cv2, numpy as np, pytest
from hdr import rules
from hdr.data import load_mnist
from hdr.documents import from_json
from hdr.forms import read_form, read_forms, Template
from hdr.page import json_schema
from hdr.read import read
from hdr.rows import form, Journal
from hdr.rules import Length, Luhn, obey, obey_together, OneOf, Range, Sum
from hdr.run import UsageError
from hdr.sample_forms import filled_forms
from hdr.tables import page_rules
from hdr.templates import TemplateError, template_from_json, template_schema, template_to_json

x, y = load_mnist()[1]  # no choice was made on these

@pytest.fixture(scope='module')
def made():
    "A blank, its template, and two sheets of it"
    blank, sheets = filled_forms(x, y, np.random.default_rng(5), 'lines', ['scan', 'photo'])
    return blank, Template.from_blank(blank, 'order'), sheets

@pytest.fixture(scope='module')
def folder(made, tmp_path_factory):
    "The same as files"
    place = tmp_path_factory.mktemp('forms')
    made[1].save(place/'form.json')
    (place/'scans').mkdir()
    cv2.imwrite(str(place/'blank.png'), made[0])
    for n,s in enumerate(made[2]): cv2.imwrite(str(place/'scans'/f'{n}.jpg'), s.image)
    return place

def fit(image, template):
    "What is said of a sheet"
    return read_form(image, template)

# Sheets

def test_a_filled_sheet_is_read_and_fits_the_design(made):
    _, template, sheets = made
    both = [read_form(s.image, template) for s in sheets]
    texts = [[f.text for f in found.fields] for found in both]
    right = [f['text'] in said for s,said in zip(sheets, texts) for f in s.fields]
    assert np.mean(right) > .6
    found = both[0]
    jsonschema = pytest.importorskip('jsonschema')
    pages = json.loads(found.to_json())
    jsonschema.validate(pages, json_schema)
    jsonschema.validate(template_to_json(template), template_schema)
    page, = from_json(found.to_json())
    digits = {d.id for l in page.lines for d in l.digits}
    assert {i for f in page.fields for i in f.digits} <= digits

def test_no_form_is_known_as_such(made):
    _, template, sheets = made
    other, _ = filled_forms(x, y, np.random.default_rng(6), 'grades', [])
    for image in (
        np.full((900, 700), 240, np.uint8),
        other,
        np.random.default_rng(0).integers(0, 255, (600, 500)).astype(np.uint8),
    ):
        found = fit(image, template)
        assert found.template is None and found.fields == [] and found.reason
    assert fit(np.full((900,700), 240, np.uint8), template).reason == 'an empty sheet'

def test_another_form_of_the_same_kind_is_known_as_such():
    (_, (own,)), (other, _) = (
        filled_forms(x, y, np.random.default_rng(s), 'meters', ['scan']) for s in (7, 8)
    )
    found = fit(own.image, Template.from_blank(other, 'other'))
    assert found.template is None and found.reason.startswith('another form')

def test_of_several_templates_the_one_that_fits_is_taken(made):
    others = [
        Template.from_blank(filled_forms(x, y, np.random.default_rng(s), 'lines', [])[0], str(s))
        for s in (6, 7)
    ]
    assert read_form(made[2][0].image, [*others, made[1]]).template is made[1]

def test_a_sheet_cut_off_flags_what_is_not_there(made):
    blank, template, _ = made
    low = max(f.box[3] for f in template.fields)
    half = blank[:int(.75*low*len(blank)/len(template.pages[0]))]
    found = fit(half, template)
    assert found.template is template
    assert any(f.flagged and f.reason.startswith('cut off') for f in found.fields) and not all(
        f.flagged for f in found.fields
    )

def test_two_sheets_in_one_picture_are_said(made):
    _, template, sheets = made
    assert 'two sheets' in fit(np.hstack([made[0], made[0]]), template).reason

def test_many_sheets_in_one_file(made, tmp_path):
    from PIL import Image

    small = [
        Image.fromarray(made[0]),
        Image.fromarray(np.full((600, 500), 255, np.uint8)),
        Image.fromarray(made[0]),
    ]
    small[0].save(tmp_path/'all.pdf', save_all=True, append_images=small[1:], resolution=150)
    found = list(read_forms(tmp_path/'all.pdf', made[1]))
    assert [f.template is not None for f in found] == [True, False, True] and [
        f.pages[0].page for f in found
    ] == [1, 2, 3]

# Templates

FAULTS = {  # a change to JSON, and what the message names
    'fields[0].kind': lambda d: d['fields'][0].update(kind='nummer'),
    'fields[0].box': lambda d: d['fields'][0].update(box=[0, 0, 99999, 20]),
    'fields[1].box': lambda d: d['fields'][1].update(box=[50, 50, 20, 60]),
    'fields[0].name': lambda d: d['fields'][0].pop('name'),
    'fields[0].page': lambda d: d['fields'][0].update(page=3),
    'fields[0].colour': lambda d: d['fields'][0].update(colour='red'),
    'fields[0].rules[0]: no rule': lambda d: d['fields'][0].update(
        rules=[{'rule': 'lenght', 'least': 3}]
    ),
    'fields[0].rules: two rules range': lambda d: d['fields'][0].update(
        rules=[{'rule': 'range', 'max': 3}, {'rule': 'range', 'min': 7}]
    ),
    "no field 'nobody'": lambda d: d.update(rules=[{'rule': 'equal', 'a': 'nobody', 'b': 'f1'}]),
    'pages[0].blank': lambda d: d['pages'][0].update(blank='nowhere.png'),
}

@pytest.mark.parametrize('words', FAULTS)
def test_a_fault_in_a_template_names_its_place(made, words):
    d = template_to_json(made[1])
    FAULTS[words](d)
    with pytest.raises(TemplateError) as e: template_from_json(d, 'form.json')
    assert words in str(e.value) and 'form.json' in str(e.value)

def test_a_template_by_hand(made, tmp_path):
    cv2.imwrite(str(tmp_path/'blank.png'), made[0])
    by_hand = dict(
        pages=[{'blank': 'blank.png'}],
        fields=[
            dict(name='n', kind='comb', box=[100, 300, 400, 350], places=6),
            dict(
                name='t',
                kind='table',
                box=[100, 400, 400, 600],
                rows=4,
                columns=['no', 'reading'],
                rules={'reading': [{'rule': 'ascending'}]},
            ),
        ],
    )
    (tmp_path/'form.json').write_text(json.dumps(by_hand))
    t = Template.load(tmp_path/'form.json')
    assert (
        len(t.fields[0].cells) == 6
        and len(t.fields[1].cells) == 8
        and t.names[:2] == ['n', 't.r1c1']
    )
    (tmp_path/'form.json').write_text('{"pages": ')
    with pytest.raises(TemplateError, match='form.json: no JSON'):
        Template.load(tmp_path / 'form.json')
    with pytest.raises(TemplateError, match='too few'): Template.from_filled([made[0]])

# Rules

def test_rules_change_flag_or_leave():
    said = [['72', .7], ['12', .25], ['71', .05]]
    assert obey(said, []).text == '72' and not obey(said, [Range(0, 99)]).reason.startswith(
        'changed'
    )
    assert obey(said, [Range(0, 20)]).text == '12' and obey(said, [Range(0, 20)]).reason.startswith(
        'changed by rule Range'
    )
    none = obey(said, [Range(500, 600)])
    assert none.text == '72' and none.flagged and 'Range' in none.reason
    sums = obey_together(
        {'a': [['1', 1.0]], 'b': [['2', 1.0]], 'c': [['9', 1.0]]}, {}, [Sum(['a', 'b'], 'c')]
    )
    assert all(r.flagged for r in sums.values()) and sums['c'].text == '9'
    many = obey_together(
        {str(k): [['7', 1.0]] for k in range(4)}, dict.fromkeys('0123', [OneOf([7, 8], once=True)])
    )
    assert sum(r.text == '7' and not r.flagged for r in many.values()) == 1

def test_a_check_digit_is_that_of_a_number_not_of_an_amount():
    said = [['4539578763621.486', .9], ['4539578763621486', .1]]
    assert obey(said, [Luhn()]).text == said[1][0]
    assert Luhn().obeys('4539-5787-6362-1486') and Luhn().obeys('4539 5787.6362.1486')

@pytest.mark.parametrize('rule', [Length(4), Range(0, 9999)])
def test_a_rule_against_what_was_read_surely_is_flagged(rule):
    found = obey([['66119', .7], ['6619', .3]], [rule])
    assert found.text == '6619' and found.flagged and found.confidence < .8
    agreed = obey([['6619', .97], ['66119', .03]], [rule])
    assert agreed.confidence > .97 and not agreed.flagged

@pytest.mark.parametrize(
    'wrong',
    [
        {'column': {}},
        {'columns': []},
        [{'rule': 'date', 'after': 'tomorrow'}],
        7,
        [{'rule': 'check', 'weights': [1], 'modulus': 0}],
    ],
)
def test_wrong_rules_are_refused(wrong):
    with pytest.raises(rules.RuleError, match='rules.json'): page_rules(wrong, 'rules.json')

def test_a_pattern_for_what_is_read():
    from hdr.samples import sample_string
    grey, text = sample_string(x, y, np.random.default_rng(4), digits=(5,5), gap=(3,8), scale=2)
    free = read(grey, field=True).text
    assert len(read(grey, field=True, pattern=r'\d{5}').text) == 5
    page = read(grey, field=True, pattern=r'[a-z]+')
    assert page.text == free and 'Pattern' in ' '.join(page.notes)
    with pytest.raises(rules.RuleError, match='regular expression'): read(grey, pattern='(')

# The command

def test_from_a_blank_and_scans_to_rows(folder, made, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert not form('new', ['blank.png'], 'new.json', 'drawn.png') and (folder/'drawn.png').exists()
    assert form('read', ['new.json', 'scans', 'blank.png'], 'rows.csv', crops='crops') == 0
    rows = list(csv.DictReader(open('rows.csv')))
    assert len(rows) == 3 and all(r['form'] == 'blank' for r in rows) and 'f1.confidence' in rows[0]
    assert len(json.loads((folder / 'rows.json').read_text())) == 3 and len(
        list((folder / 'crops').iterdir())
    ) == 3 * len(made[1].fields)
    assert not list(folder.glob('.rows*'))
    with pytest.raises(UsageError, match='is there already'):
        form('read', ['new.json', 'scans'], 'rows.csv')

def test_a_second_start_goes_on(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    journal = Journal(folder/'again.csv', ['form.json'], '0.5 ')
    known = [
        dict(
            file=str(folder / 'scans' / '0.jpg'),
            page=1,
            sheet=1,
            form='order',
            score=1,
            reason='from before',
            fields=[],
        )
    ]
    journal.add((folder/'scans'/'0.jpg').relative_to(folder), known)
    assert form('read', ['form.json', 'scans'], 'again.csv') == 0
    assert '1 of 2 files were read before' in capsys.readouterr().err
    assert [r['reason'] for r in csv.DictReader(open('again.csv'))][0] == 'from before'

@pytest.mark.parametrize(
    'paths, output, words',
    [
        (['scans'], 'r.csv', 'needs a template'),
        (['form.json'], 'r.csv', 'no scans'),
        (['form.json', 'scans'], '', 'needs -o'),
        (['form.json', 'scans'], 'r.txt', 'ends in'),
        (['form.json', 'scans'], 'no/r.csv', 'no such folder'),
    ],
)
def test_wrong_words(folder, monkeypatch, paths, output, words):
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match=words): form('read', paths, output)
    assert not list(folder.glob('r.*')) and not list(folder.glob('.r.*'))

def test_a_file_that_is_none_is_a_row(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(folder)
    (tmp_path/'broken.jpg').write_bytes(b'no picture')
    assert form('read', ['form.json', str(tmp_path/'broken.jpg')], 'lost.xlsx') == 1
    openpyxl = pytest.importorskip('openpyxl')
    sheet = openpyxl.load_workbook(folder/'lost.xlsx')['sheets']
    assert 'broken.jpg' in str(sheet.cell(2, 1).value)
