"How the house is built: which room may use which, how long lines and rooms are, what is public, and that all links lead somewhere"
import ast, json, re
from pathlib import Path
import pytest, yaml

ROOT = Path(__file__).parent.parent
NBS = sorted((ROOT/'nbs').glob('*.ipynb'))
ROOMS = {
    p.stem.partition('_')[2]: int(p.stem[:2]) for p in NBS if p.stem[:2].isdigit()
}  # name -> number
MODULES = sorted(p for p in (ROOT/'hdr').glob('*.py') if p.stem in ROOMS)
names = lambda p: p.stem

def cells(path, kind):
    "Sources of a notebook's cells"
    return [
        ''.join(c['source'])
        for c in json.loads(path.read_text(encoding='utf-8'))['cells']
        if c['cell_type'] == kind
    ]

# Which room may use which

TRAIN = {15, 29, 31}  # rooms that train: they may use the experiment
EXCEPTIONS = {  # (room, what it imports): why
    (
        'ship',
        'networks',
    ): 'what is shipped is what 12_networks reads: its files have one definition',
    ('own', 'networks'): 'the same, of networks for data of one\'s own',
    ('people', 'results'): 'intervals have one definition',
    ('scans', 'results'): 'intervals have one definition',
}

def imports(path):
    "(room that is imported, inside a function?, inside a method of these classes?) for each import of a module"
    def walk(node, inside, owner):
        for child in ast.iter_child_nodes(node):
            deep = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            of = node.name if isinstance(node, ast.ClassDef) else owner
            yield from found(child, deep, of)
            yield from walk(child, deep, of)
    def found(node, deep, of):
        if isinstance(node, ast.ImportFrom):
            base = '.' * node.level + (node.module or '')
            if base in ('.', 'hdr'):
                rooms = [a.name for a in node.names]
            else:
                rooms = (
                    [base.removeprefix('hdr.').removeprefix('.')]
                    if base.startswith(('.', 'hdr.'))
                    else []
                )
        elif isinstance(node, ast.Import):
            rooms = [a.name.removeprefix('hdr.') for a in node.names if a.name.startswith('hdr.')]
        else: rooms = []
        yield from ((r, deep, of) for r in rooms if r in ROOMS)
    return set(walk(ast.parse(path.read_text(encoding='utf-8')), False, ''))

def allowed(room, other, deep, owner):
    "The rule of the house"
    a, b = ROOMS[room], ROOMS[other]
    if (room, other) in EXCEPTIONS: return True
    if room == 'data': return other == 'datasets' and deep  # its door to data of one's own
    if other == 'data': return True
    if a >= 10 and b < 10: return a in TRAIN or a >= 40
    if owner in ('Page', 'Table') and deep: return True  # a method that belongs to a later room
    return b < a or a//10 == b//10

@pytest.mark.parametrize('path', MODULES, ids=names)
def test_a_room_uses_lower_rooms(path):
    wrong = {
        (other, deep, of)
        for other, deep, of in imports(path)
        if not allowed(path.stem, other, deep, of)
    }
    assert not wrong

def test_no_circles():
    "Among what is imported as a module is: a room is ready before another needs it"
    needs = {p.stem: {other for other,deep,_ in imports(p) if not deep} for p in MODULES}
    while free := [r for r,others in needs.items() if not others]:
        needs = {r: others - set(free) for r,others in needs.items() if r not in free}
    assert not needs

def test_data_is_light():
    "Anybody may import it, so TensorFlow waits inside functions"
    top = ast.parse((ROOT/'hdr'/'data.py').read_text(encoding='utf-8')).body
    found = {a.name.split('.')[0] for n in top if isinstance(n, ast.Import) for a in n.names}
    found |= {(n.module or '').split('.')[0] for n in top if isinstance(n, ast.ImportFrom)}
    assert not found & {
        'tensorflow',
        'keras',
        'pandas',
        'matplotlib',
        'sklearn',
        'scipy',
        'cv2',
        'PIL',
    }

# Sizes

@pytest.mark.parametrize('path', MODULES, ids=names)
def test_lines_can_be_read(path):
    "What nbdev lists as public is its own affair"
    text = re.sub(r"^__all__ = \[.*?\]$", '', path.read_text(encoding='utf-8'), flags=re.S | re.M)
    long = [line for line in text.splitlines() if len(line) > 110]
    assert not long, '\n'.join(long)

@pytest.mark.parametrize('path', NBS, ids=names)
def test_lines_of_notebooks_can_be_read(path):
    "Of code; the cell that installs in Colab is hidden"
    long = [
        line
        for source in cells(path, 'code')
        if '/content/hdr' not in source
        for line in source.splitlines()
        if len(line) > 110
    ]
    assert not long, '\n'.join(long)

@pytest.mark.parametrize('path', MODULES, ids=names)
def test_rooms_are_small(path): assert len(path.read_text(encoding='utf-8').splitlines()) <= 600

def definitions(path):
    "name -> node, of all that a module defines"
    found = {}
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if hasattr(node, 'name'): found[node.name] = node
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        found.update({n.id: node for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)})
    return found

def public(path):
    "Names that a module exports"
    return ast.literal_eval(definitions(path)['__all__'].value)

def test_the_public_face_is_small(): assert sum(len(public(p)) for p in MODULES) <= 150

@pytest.mark.parametrize('path', MODULES, ids=names)
def test_what_is_public_is_documented(path):
    known = definitions(path)
    defined = [
        known[n] for n in public(path) if isinstance(known[n], (ast.FunctionDef, ast.ClassDef))
    ]
    assert not [node.name for node in defined if not ast.get_docstring(node)]

# Links

def links(text):
    "Targets of Markdown links and pictures"
    return re.findall(
        r'\]\(([^()\s]+(?:\([^()\s]*\))?)\)', re.sub(r'```.*?```', '', text, flags=re.S)
    )

PAGES = {
    'index': 'index',
    'howto': 'howto',
    'try': 'try',
    **{n: n for n in ROOMS},
}  # of the site: named by module
DOCUMENTS = [ROOT/'README.md', ROOT/'CONTRIBUTING.md', *NBS]

def lost(target, folder):
    "Does a link lead nowhere? Only our own are looked at"
    target, _, anchor = target.partition('#')
    if found := re.match(r'https://hdr-digits\.github\.io/hdr/(\w*)(?:\.html)?$', target):
        return bool(found[1]) and found[1] not in PAGES
    if found := re.search(r'hdr-digits/hdr/(?:blob|tree)/main/(.*)', target):
        return not (ROOT / found[1]).exists()
    if target.startswith(('http:', 'https:', 'mailto:', 'data:', 'attachment:')) or not target:
        return False
    if target.endswith('.html'): return target.removesuffix('.html') not in PAGES
    return not (folder / target).exists() and not (
        folder.name == 'nbs' and (ROOT / target).exists()
    )  # README is one higher


@pytest.mark.parametrize('path', DOCUMENTS, ids=names)
def test_links_lead_somewhere(path):
    text = (
        '\n'.join(cells(path, 'markdown'))
        if path.suffix == '.ipynb'
        else path.read_text(encoding='utf-8')
    )
    assert not [t for t in links(text) if lost(t, path.parent)]

@pytest.mark.parametrize('path', [*DOCUMENTS, *MODULES], ids=names)
def test_notebooks_that_are_named_exist(path):
    "As `16_people` or nbs/16_people.ipynb, in prose, comments and help"
    text = (
        '\n'.join(cells(path, 'markdown'))
        if path.suffix == '.ipynb'
        else path.read_text(encoding='utf-8')
    )
    stems = {p.stem for p in NBS}
    named = re.findall(
        r'`(?:nbs/)?(\d\d_[a-z_]+)(?:\.ipynb)?`|nbs/(\d\d_[a-z_]+)\.ipynb|--only (\d\d_[a-z_]+)',
        text,
    )
    assert {n for found in named for n in found if n} <= stems | {'04_nothing'}

@pytest.mark.parametrize('path', [*DOCUMENTS], ids=names)
def test_names_of_the_library_exist(path):
    "What prose calls `hdr.room.name`"
    text = (
        '\n'.join(cells(path, 'markdown'))
        if path.suffix == '.ipynb'
        else path.read_text(encoding='utf-8')
    )
    for room,name in set(re.findall(r'`hdr\.(\w+)(?:\.(\w+))?', text)):
        assert room in ROOMS or room == 'weights', room
        if name: assert name in definitions(ROOT/'hdr'/f'{room}.py'), f'hdr.{room}.{name}'

def test_executed_notebooks_lead_to_their_sources():
    "The badge of each in results/notebooks/"
    for path in (ROOT/'results'/'notebooks').glob('*.ipynb'):
        text = '\n'.join(cells(path, 'markdown'))
        assert not [
            t for t in re.findall(r'blob/main/(nbs/\w+\.ipynb)', text) if not (ROOT / t).exists()
        ], path.stem
        assert (ROOT/'nbs'/path.name).exists(), path.stem

# Navigation

GROUPS = {
    'The experiment': 0,
    'One digit': 1,
    'A page': 2,
    'Using it': 3,
    'Tools': 4,
}  # section -> decade


def test_navigation_has_every_notebook_in_its_group():
    shown = yaml.safe_load((ROOT/'nbs'/'sidebar.yml').read_text())['website']['sidebar']['contents']
    assert shown[:2] == ['index.ipynb', 'howto.ipynb']
    sections = {s['section']: s['contents'] for s in shown[2:]}
    here = {g: [p.name for p in NBS if p.stem[:1] == str(d)] for g,d in GROUPS.items()}
    assert sections == {g: found for g, found in here.items() if found} and list(sections) == [
        g for g in GROUPS if here[g]
    ]

def test_readme_names_each_room():
    listed = re.search(r'## What is where\n+```\n(.*?)\nhdr/ ', (ROOT/'README.md').read_text(), re.S)
    missing = set(ROOMS)-set(re.findall(r'[a-z_]+', listed[1]))
    assert not missing, sorted(missing)
