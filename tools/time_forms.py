"""How much faster two processes read the sheets of a form than one

    python tools/time_forms.py [SHEETS] [TURNS] [RESULTS]

Made sheets of one form are read by `hdr form read`, with `--jobs 2` and `--jobs 1` in turns; medians go to
forms_jobs.csv in the results folder. Wants two cores that nothing else uses.
"""
import sys, tempfile
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image

def main(sheets: str = '100', turns: str = '5', out: str = ''):
    from hdr.bench import alternate, hardware, hdr_command, keep_table
    from hdr.data import parts
    from hdr.sample_forms import filled_forms
    from hdr.templates import Template

    n, jobs = int(sheets), (2, 1)
    modes = [('scan', 'photo', 'fold', 'cut')[i % 4] for i in range(n)]
    blank, made = filled_forms(*parts()['validation'], np.random.default_rng(100), 'combs', modes)
    with tempfile.TemporaryDirectory() as folder:
        home, form = Path(folder) / 'scans', Path(folder) / 'form.json'
        home.mkdir()
        for i, s in enumerate(made): Image.fromarray(s.image).save(home / f'{i:03d}.png')
        Template.from_blank(blank, 'form').save(form)

        def seconds(k):
            for old in Path(folder).glob('rows*'): old.unlink()  # else a second start goes on
            return hdr_command(
                'form', 'read', form, home, '-o', Path(folder) / 'rows.csv', '--jobs', str(k)
            )()[0]

        took = alternate(int(turns), **{f'jobs_{k}': lambda k=k: seconds(k) for k in jobs}).median()
    row = dict(sheets=n, turns=int(turns), hardware=hardware(), **took.round(2).to_dict())
    row['times'] = round(took.jobs_1 / took.jobs_2, 3)
    print(row)
    keep_table(pd.DataFrame([row]).set_index('sheets'), 'forms_jobs', out, 'sheets')

if __name__ == '__main__': main(*sys.argv[1:])
