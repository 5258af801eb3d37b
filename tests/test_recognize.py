"Any bytes, any array: a named error or an answer, never a crash, and bounded"
import io, json, os
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from conftest import hdr
from hdr.data import load_mnist
from hdr.image import ImageError, read_image
from hdr.networks import WeightsError
from hdr.recognize import Recognizer, side

often = settings(max_examples=int(os.environ.get('HDR_FUZZ', 300)), deadline=None, suppress_health_check=list(HealthCheck))
digits = load_mnist()[1][0]
rec = Recognizer(threads=1)

def judged(source):
    "An answer that makes sense, or None for a named error"
    try: (row, p), = rec.answers([source])
    except ImageError as e: assert str(e); return None
    assert 0 <= row['confidence'] <= 1 and (row['digit'] is None) == row['rejected'] and np.isfinite(p).all()
    return row

def encoded(form, digit=0):
    data = io.BytesIO()
    Image.fromarray(digits[digit]).resize((60,60)).convert('RGB').save(data, form)
    return data.getvalue()

files = {form: encoded(form) for form in ('PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'WEBP')}

@often
@given(st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.float64, bool]).flatmap(lambda t: arrays(t, st.lists(st.integers(0, 40), min_size=0, max_size=4).map(tuple))))
def test_any_array(a): judged(a)

@often
@given(st.sampled_from(sorted(files)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), st.floats(0, 1))
def test_damaged_files(form, changes, end):
    data = bytearray(files[form])
    for at,value in changes: data[int(at*(len(data)-1))] = value
    judged(bytes(data[:int(end*len(data))] if end < .9 else data))

@often
@given(st.binary(max_size=200))
def test_any_bytes(data): judged(data)

@pytest.mark.parametrize('form', sorted(files))
def test_each_format_is_read(form): assert judged(files[form])['digit'] == 7

@pytest.mark.parametrize('a', [np.zeros((1,1), np.uint8), np.full((50,50), 128, np.uint8), np.zeros((30,4000), np.uint8), np.random.default_rng(0).integers(0, 256, (200,200)).astype(np.uint8),
    np.random.default_rng(1).integers(0, 256, (28,28)).astype(np.uint8)], ids=['one pixel', 'blank', 'wide', 'noise', 'small noise'])
def test_nothing_there_is_no_digit(a): assert judged(a)['rejected']

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

def test_first_picture_of_a_moving_one(tmp_path):
    a, b = (Image.fromarray(digits[i]).resize((60,60)) for i in (0, 1))
    a.save(tmp_path/'a.gif', save_all=True, append_images=[b])
    assert rec.classify(tmp_path/'a.gif').digit[0] == 7

def test_a_changed_weights_file_is_refused(tmp_path):
    from hdr.networks import weights_dir
    for end in 'json', 'tflite': (tmp_path/f'reader.{end}').write_bytes((weights_dir()/f'reader.{end}').read_bytes())
    (tmp_path/'reader.tflite').write_bytes((tmp_path/'reader.tflite').read_bytes()[:-1] + b'?')
    with pytest.raises(WeightsError, match='SHA-256'): Recognizer(folder=tmp_path)

def test_command_line_goes_on_after_a_bad_file(tmp_path):
    (tmp_path/'a.png').write_bytes(files['PNG'])
    (tmp_path/'b.png').write_bytes(files['PNG'][:100])
    (tmp_path/'c.gif').write_bytes(files['GIF'])
    done = hdr('classify', tmp_path, '--format', 'json')
    rows = json.loads(done.stdout)
    assert done.returncode == 1 and [r['digit'] for r in rows] == [7, 7] and len(rows[0]['probabilities']) == 10
    assert done.stderr.count('hdr: error:') == 1 and 'b.png' in done.stderr and 'Traceback' not in done.stderr

def test_command_line_reads_standard_input(tmp_path):
    import subprocess, sys
    from pathlib import Path
    done = subprocess.run([Path(sys.executable).with_name('hdr'), 'classify', '-'], input=files['PNG'], capture_output=True)
    assert done.returncode == 0 and b'standard input      7' in done.stdout

@pytest.mark.parametrize('line, status', [(['classify', 'nowhere.png'], 1), (['classify', 'no*.png'], 2), (['classify', '.'], 2), (['classify'], 2), (['classify', '-', '--model', 'nosuch'], 1)])
def test_bad_requests(tmp_path, line, status):
    done = hdr(*line, cwd=tmp_path)
    assert done.returncode == status and done.stderr.startswith('hdr: error:') and done.stderr.count('\n') == 1
