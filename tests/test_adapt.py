"A hand that the reader does not know: corrected, learned, and read better by the folder that comes out"
import base64, json
import cv2, numpy as np, pytest
from hdr.adapt import adapt
from hdr.cli import main
from hdr.data import load_mnist
from hdr.image import png_bytes
from hdr.networks import card, keras_model, Network, weights_from, WeightsError
from hdr.read import read
from hdr.recognize import look, Recognizer
from hdr.samples import sample_string

def strange_hand(n, seed=0, skip=0):
    "Digits that lean far to the left: pictures on white paper, and what they are"
    x, y = load_mnist()[1]
    pick = np.random.default_rng(seed).permutation(len(x))[skip:skip+n]
    leant = [
        cv2.warpAffine(
            np.pad(a, ((0, 0), (8, 8))), np.array([[1.0, 1.0, -14], [0, 1, 0]]), (44, 28)
        )
        for a in x[pick]
    ]
    return [np.pad(255-a, 8, constant_values=255) for a in leant], y[pick]

def corrections(path, pictures, y):
    "What a browser saves of them"
    was = Recognizer().predict_proba(np.stack([look(a).x for a in pictures])).argmax(1)
    items = [
        dict(
            page=1,
            id=f'p1.l1.d{k}',
            was=str(w),
            picture=base64.b64encode(png_bytes(a)).decode(),
            **{'is': str(d)},
        )
        for k, (a, w, d) in enumerate(zip(pictures, was, y))
    ]
    path.write_text(json.dumps(dict(results=dict(path='', sha256='0'), items=items)))
    return int((was != y).sum())

@pytest.fixture(scope='module')
def mine(tmp_path_factory):
    "A folder that `hdr adapt` made"
    home = tmp_path_factory.mktemp('adapt')
    changed = corrections(home/'c.json', *strange_hand(300))
    assert main(['adapt', str(home/'c.json'), '--out', str(home/'mine')]) == 0
    about = json.loads((home/'mine'/'reader.json').read_text())
    assert (about['corrections'], about['corrected']) == (300, changed) and about['parent'] == card(
        'reader'
    )['sha256']
    assert about['held_out_errors']['after'] < about['held_out_errors']['before']
    assert about['mnist']['before']-about['mnist']['after'] <= .001
    return home/'mine'

def test_it_is_read_better(mine):
    "On marks that were neither corrected nor confirmed"
    pictures, y = strange_hand(400, skip=300)
    x = np.stack([look(a).x for a in pictures])
    errors = [int((Recognizer(folder=f).predict_proba(x).argmax(1) != y).sum()) for f in ('', mine)]
    assert errors[1] < .8*errors[0], errors

def test_all_its_files_say_the_same(mine):
    x = load_mnist()[1][0][:40]
    asked = Network('reader', mine).outputs(x)
    assert np.abs(asked-Network('reader').outputs(x)).max() > 1e-3
    assert (
        np.abs(keras_model('reader', mine).predict(x[..., None] / 255.0, verbose=0) - asked).max()
        < 1e-3
    )

def test_weights_of_ones_own(mine, tmp_path, capsys):
    "`--weights` and `folder=`; what the folder lacks is as shipped, and afterwards all is as it was"
    pictures, y = strange_hand(40, skip=700)
    for k,a in enumerate(pictures): (tmp_path/f'{k:02}.png').write_bytes(png_bytes(a))
    line = np.concatenate(pictures[:6], 1)
    pages = [read(line, folder=f) for f in ('', mine, '')]
    used = [p.weights for p in pages]
    assert (
        used[0] == used[2]
        and used[1]['strings'] == used[0]['strings']
        and used[1]['reader'] == card('reader', mine)['sha256']
    )
    with weights_from(mine): assert card('reader')['parent'] and 'parent' not in card('strings')
    said = []
    for more in [], ['--weights', str(mine)], []:
        assert main(['classify', str(tmp_path), '--format', 'csv', '--always', *more]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[2] != said[1]
    assert main(['read', str(tmp_path/'00.png'), '--weights', str(tmp_path)]) == 1
    with pytest.raises(WeightsError): read(line, folder=tmp_path/'nowhere')

def test_nothing_to_learn(tmp_path):
    "The old weights are kept, and that is said"
    x, y = load_mnist()[1]
    corrections(tmp_path/'c.json', [np.pad(255-a, 8, constant_values=255) for a in x[:40]], y[:40])
    report = adapt(tmp_path/'c.json', tmp_path/'mine')
    assert not report.kept and 'not read better' in str(report) and not (tmp_path/'mine').exists()
    assert main(['adapt', str(tmp_path/'c.json'), '--out', str(tmp_path/'mine')]) == 1

def strange_strings(n, seed):
    "Strings whose digits lean far to the left: pictures, and what they are"
    rng, lean = np.random.default_rng(seed), np.array([[1, 1.0, 0], [0, 1, 0]])
    made = [sample_string(*load_mnist()[1], rng, digits=(3, 6), scale=2) for _ in range(n)]
    return [
        (cv2.warpAffine(a, lean, (a.shape[1]+40, len(a)), borderMode=cv2.BORDER_REPLICATE), t)
        for a, t in made
    ]

def string_errors(some, folder=''):
    "How many are read wrong"
    texts = [read(a, threshold=0.0, field=True, folder=folder).text for a, _ in some]
    return sum(text != t for text, (_, t) in zip(texts, some))

def test_strings_are_learned(tmp_path):
    "Lines that were corrected or confirmed teach the network for strings, and only that"
    items = [
        dict(page=1, id=f'p1.l{k}', was='', picture=base64.b64encode(png_bytes(a)).decode(), **{'is': t})
        for k, (a, t) in enumerate(strange_strings(16, 0))
    ]
    (tmp_path/'c.json').write_text(
        json.dumps(dict(results=dict(path='', sha256='0'), items=items))
    )
    report = adapt(tmp_path/'c.json', tmp_path/'mine')
    assert report.kept and report.strings.kept and report.strings.strings == 16
    assert str(report) == f'{report.strings}; kept in {tmp_path/"mine"}' and report.marks == 0
    about = card('strings', tmp_path/'mine')
    assert about['parent'] == card('strings')['sha256'] and about['corrections'] == 16
    assert not (tmp_path/'mine'/'reader.json').exists()
    assert report.strings.whole and 'all its layers' in about['trained_on']
    strip = np.pad(load_mnist()[1][0][:1], ((0, 0), (2, 2), (2, 2)))[..., None]/np.float32(255)
    said = [
        Network('strings', tmp_path/'mine').ask(strip),
        keras_model('strings', tmp_path/'mine').predict(strip, verbose=0),
    ]
    assert np.abs(said[0]-said[1]).max() < 5e-3
    others = strange_strings(120, 1)
    errors = [string_errors(others, f) for f in ('', tmp_path/'mine')]
    assert errors[1] < 0.8*errors[0], errors
