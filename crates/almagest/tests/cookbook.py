"""Checks the answers of docs/cookbook.md with astropy and numpy: `cookbook.py INBOX ANSWERS DIRECTORY`.

INBOX has the FITS files of the nights, ANSWERS is a JSON object: the rows of each query, and what each script printed, by the
number of the question and of the block within it, e.g. "1.0". DIRECTORY is where the scripts wrote their files. Nothing here
comes from Almagest but the answers."""

import ast
import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from astropy_healpix import HEALPix
from pyarrow import parquet

inbox, answers = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
# Version 2 superseded version 1.
CURRENT = ['20071011_v2', '20071012_v1']
PROGRAMMES = {'U/UKIDSS/GPS5': 'GPS', 'U/UKIDSS/LAS': 'LAS', 'U/UKIDSS/GCS21': 'GCS', 'U/UKIDSS/DXS': 'DXS',
              'U/UKIDSS/UDS': 'UDS', 'UKIRTCAL': 'CAL', 'u/07b/12': 'U07B12'}
checked = set()


def answer(key):
    checked.add(key)
    found = answers[key]
    return ast.literal_eval(found) if isinstance(found, str) and found.startswith('[') else found


def distance_deg(ra, dec, ra0, dec0):
    ra, dec, ra0, dec0 = map(np.radians, (ra, dec, ra0, dec0))
    a = np.sin((dec - dec0) / 2)**2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2)**2
    return np.degrees(2 * np.arcsin(np.sqrt(a)))


def same(found, wanted, what, tolerance=2e-3):
    """Rows are equal, numbers within a tolerance."""
    assert len(found) == len(wanted), f'{what}: {len(found)} rows instead of {len(wanted)}'
    for n, (row, other) in enumerate(zip(found, wanted)):
        assert len(row) == len(other), f'{what}, row {n}: {row} {other}'
        for value, expected in zip(row, other):
            if isinstance(expected, (float, np.floating)):
                close = value is not None and abs(value - expected) <= tolerance
                assert close or value is None and math.isnan(expected), f'{what}, row {n}: {row} instead of {other}'
            else:
                assert value == expected, f'{what}, row {n}: {row} instead of {other}'


class Frame:
    def __init__(self, delivery, path):
        self.delivery, self.name, self.night = delivery, path.name, int(delivery[:8])
        with fits.open(path) as image:
            self.primary = image[0].header
            self.headers = [hdu.header for hdu in image[1:]]
        self.filter, self.mjd = self.primary['FILTER'].strip(), self.primary['MJD-OBS']
        self.catalogue = path.with_name(path.stem + '_cat.fits')
        self.tables = []
        if self.catalogue.exists():
            with fits.open(self.catalogue) as tables:
                self.tables = [(hdu.header, np.array(hdu.data)) for hdu in tables[1:]]


def detections(frame):
    """Positions by the WCS of the image, magnitudes by CASU's rules: see check_night.py."""
    for n, (image, (header, rows)) in enumerate(zip(frame.headers, frame.tables)):
        x, y = (rows[f'{axis}_coordinate'].astype(float) for axis in 'XY')
        ra, dec = WCS(image).all_pix2world(x, y, 1)
        zero = header['MAGZPT'] - (0.5 * (header['AMSTART'] + header['AMEND']) - 1) * header['EXTINCT']
        zero += 2.5 * math.log10(header['EXP_TIME'])
        dx, dy = x - header['CRPIX1'], y - header['CRPIX2']
        r2 = np.radians(header['CD1_1'] * dx + header['CD1_2'] * dy)**2
        r2 += np.radians(header['CD2_1'] * dx + header['CD2_2'] * dy)**2
        k = header['PV2_3'] * r2
        flux, error = (rows[f'Aper_flux_3{end}'].astype(float) for end in ('', '_err'))
        with np.errstate(invalid='ignore', divide='ignore'):
            mag = zero - 2.5 * np.log10(flux * 10**(0.4 * header['APCOR3']) / ((1 + 3 * k) * (1 + k)))
            mag_err = 2.5 * np.log10(1 + error / flux)
        mag[flux <= 0] = np.nan
        bits = 16 * (rows['Parent_or_child'] != 0) + 64 * (rows['Error_bit_flag'] > 0)
        for i in range(len(rows)):
            yield (frame, n + 1, int(rows['Sequence_number'][i]), x[i], y[i], ra[i], dec[i], mag[i], mag_err[i],
                   int(rows['Classification'][i]), int(bits[i]))


frames = [Frame(d, path) for d in CURRENT for path in sorted((inbox / d).glob('*.fit'))]
rows = [row for frame in frames for row in detections(frame)]
frame, hdu, seq, x, y, ra, dec, mag, mag_err, kind, bits = (np.array(c) for c in zip(*rows))
ra, dec, mag, mag_err = (column.astype(float) for column in (ra, dec, mag, mag_err))
night = np.array([f.night for f in frame])
band = np.array([f.filter for f in frame])
mjd = np.array([f.mjd for f in frame])
stacks = [f for f in frames if f.tables]
STAR = (284.08462, 2.58626)

# 1: a cone.
inside = (distance_deg(ra, dec, 284.085, 2.587) <= 20 / 3600) & (kind == -1) & (night == 20071011)
order = [i for i in np.nonzero(inside)[0] if not np.isnan(mag[i])]
order.sort(key=lambda i: mag[i])
found = [row for row in answer('1.0') if row[4] is not None]
same(sorted([[r[0], *r[2:]] for r in found], key=lambda r: r[1]),
     sorted([[band[i], ra[i], dec[i], mag[i], mag_err[i]] for i in order], key=lambda r: r[1]), 'question 1')
assert [r[4] for r in found] == sorted(r[4] for r in found) and len(found) > 50

# 2 and 3: a list of your own.
mine = {'A': STAR, 'B': (284.11371, 2.58250), 'C': (284.1, 2.7)}
wanted, short = [], []
for name, place in mine.items():
    arcsec = 3600 * distance_deg(ra, dec, *place)
    near = np.nonzero(arcsec <= 1)[0]
    near = sorted(near, key=lambda i: (night[i], band[i]))
    wanted += [[name, int(night[i]), band[i], mag[i], arcsec[i]] for i in near] or [[name, None, None, None, None]]
    short.append((name, len(near), float(min(mag[near])) if near else None))
same(answer('2.0'), wanted, 'question 2')
assert [row[0] for row in answer('2.0')].count('A') >= 4 and wanted[-1][1] is None
same(answer('3.0'), short, 'question 3')

# 4: colours.
stars = (kind == -1) & (night == 20071011)
ks = np.nonzero(stars & (band == 'K') & (distance_deg(ra, dec, 284.085, 2.587) <= 20 / 3600))[0]
hs = np.nonzero(stars & (band == 'H'))[0]
pairs = [(k, h) for k in ks for h in hs[distance_deg(ra[hs], dec[hs], ra[k], dec[k]) <= 0.5 / 3600]]
found = answer('4.0')
assert len(pairs) == len(found) > 50
both = [(k, h) for k, h in pairs if not np.isnan(mag[k]) and not np.isnan(mag[h])]
same(sorted(r for r in found if r[2] is not None),
     sorted([ra[k], dec[k], mag[h] - mag[k], mag[k]] for k, h in both), 'question 4')

# 5: a light curve.
near = sorted(np.nonzero(distance_deg(ra, dec, *STAR) <= 1 / 3600)[0], key=lambda i: mjd[i])
same(answer('5.0'), [[float(mjd[i]), band[i], mag[i], mag_err[i], int(bits[i])] for i in near], 'question 5')
assert len(near) == 4

# 6: depth and seeing.
wanted = []
for f in stacks:
    if not f.primary['OBJECT'].startswith('gps_l36'):
        continue
    seeing, depth = [], []
    for image, (h, _) in zip(f.headers, f.tables):
        scale = 3600 * math.sqrt(proj_plane_pixel_area(WCS(image)))
        seeing.append(h['SEEING'] * scale)
        depth.append(h['MAGZPT'] + 2.5 * math.log10(h['EXP_TIME']) - h['EXTINCT'] * ((h['AMSTART'] + h['AMEND']) / 2 - 1)
                     - 2.5 * math.log10(5 * h['SKYNOISE'] * h['RCORE'] * math.sqrt(math.pi)) - h['APCOR3'])
    wanted.append([f.night, f.name, f.filter, float(np.mean(seeing)), float(np.mean(depth))])
same(answer('6.0'), wanted, 'question 6')

# 7: frames that cover a position. Frames without celestial axes cover none.
wanted = []
for f in frames:
    for n, header in enumerate(f.headers):
        if 'CTYPE1' not in header:
            continue
        px, py = WCS(header).all_world2pix(*STAR, 1, quiet=True)
        width, height = header.get('ZNAXIS1', header['NAXIS1']), header.get('ZNAXIS2', header['NAXIS2'])
        if distance_deg(header['CRVAL1'], header['CRVAL2'], *STAR) < 2 and 0.5 <= px <= width + 0.5 and 0.5 <= py <= height + 0.5:
            wanted.append([f.delivery, f.name, n + 2])
assert sorted([r[0], r[1], r[3]] for r in answer('7.0')) == sorted(wanted) and len(wanted) > 10

# 8: flags.
usable = ~np.isin(kind, [-9, -7, 0])
assert answer('8.0') == [[b, int((band == b).sum()), int((usable & (bits & 64 == 0) & (band == b)).sum()),
                          int((usable & (bits == 0) & (band == b)).sum())] for b in 'HJK']

# 9: number counts. A magnitude next to a limit of a bin may fall on either side of it.
of_k = mag[(band == 'K') & (night == 20071011) & (kind == -1) & ~np.isnan(mag)]
bins, counts = np.unique(np.floor(of_k * 2) / 2, return_counts=True)
close = int((np.abs(of_k * 2 - np.round(of_k * 2)) < 2e-5).sum())
found = answer('9.0')
assert [r[0] for r in found] == list(bins) and sum(r[1] for r in found) == len(of_k)
assert sum(abs(r[1] - c) for r, c in zip(found, counts)) <= 2 * close, (found, counts, close)

# 10: zero points.
wanted = []
for f in sorted((f for f in stacks if f.night == 20071011), key=lambda f: f.mjd):
    points = [h['MAGZPT'] for h, _ in f.tables]
    airmass = (f.primary['AMSTART'] + f.primary['AMEND']) / 2
    wanted.append([f.mjd, f.filter, airmass, float(np.mean(points)), max(points) - min(points)])
same(answer('10.0'), wanted, 'question 10', 1e-6)

# 11: versions.
of_version = {d: sorted((inbox / d).glob('*.fit')) for d in ('20071011_v1', '20071011_v2')}
assert answer('11.0') == [['20071011_v1', len(of_version['20071011_v1']), 0],
                          ['20071011_v2', len(of_version['20071011_v2']), len(of_version['20071011_v2'])]]
before = [['delivery', 'detections']]
for delivery in ('20071011_v1', '20071012_v1'):
    catalogues = (inbox / delivery).glob('*_cat.fits')
    lengths = [fits.getheader(path, n)['NAXIS2'] for path in catalogues for n in range(1, 5)]
    before.append([delivery, str(sum(lengths))])
assert list(csv.reader(answer('11.1').splitlines())) == before

# 12: file, HDU and row of a detection.
wanted = sorted([frame[i].delivery, frame[i].name, frame[i].catalogue.name, int(hdu[i]), int(seq[i]), float(x[i]), float(y[i])]
                for i in near)
same(answer('12.0'), wanted, 'question 12')
for delivery, _, catalogue, number, sequence, *_ in answer('12.0'):
    row = fits.getdata(inbox / delivery / catalogue, number)[sequence - 1]
    assert row['Sequence_number'] == sequence
    assert distance_deg(*np.degrees([float(row['RA']), float(row['DEC'])]), *STAR) < 1 / 3600

# 13: frames by programme, filter and night.
groups = {}
for f in stacks:
    key = (PROGRAMMES[f.primary['PROJECT'].strip()], f.filter, f.night)
    groups.setdefault(key, []).append(f.primary['EXP_TIME'])
same(answer('13.0'), [[*key, len(e), float(sum(e))] for key, e in sorted(groups.items())], 'question 13')

# 14: near the edge.
sizes = {f.name: [(h['NXOUT'], h['NYOUT']) for h, _ in f.tables] for f in stacks}
width, height = np.array([sizes[f.name][n - 1] for f, n in zip(frame, hdu)]).T
edge = (x < 20) | (y < 20) | (x > width - 19) | (y > height - 19)
assert answer('14.0') == [[b, int((edge & (band == b)).sum())] for b in 'HJK' if (edge & (band == b)).any()]
assert edge.sum() > 10

# 15: astrometry by camera.
wanted = []
for camera in (1, 2, 3, 4):
    of_camera = [h for f in frames for h in f.headers if 'STDCRMS' in h and h['CAMNUM'] == camera]
    rms = [h['STDCRMS'] for h in of_camera]
    wanted.append([camera, len(rms), float(np.mean(rms)), float(max(rms)), min(h['NUMBRMS'] for h in of_camera)])
same(answer('15.0'), wanted, 'question 15', 1e-6)

# 16: components of a stack.
found = answer('16.0')
for delivery in CURRENT[:1]:
    header = fits.getheader(inbox / delivery / 'w20071011_00071_sf_st.fit', 1)
    combined = [header[f'PROV{n:04}'].split('[')[0] for n in range(1, 4)]
    assert [r[2] for r in found if r[0] == 'combine'] == combined
    others = {'conf': 'CIR_CPM', 'dark': 'DARKCOR', 'flat': 'FLATCOR', 'sky': 'SKYSUB'}
    for role, keyword in others.items():
        (name,) = [r[2] for r in found if r[0] == role]
        assert name in header[keyword], (role, name)
    assert len(found) == len(combined) + len(others)
    for _, _, name, of, component_mjd in found:
        assert of == delivery and component_mjd == fits.getheader(inbox / delivery / name)['MJD-OBS']

# 17: a keyword without a column.
wanted = [[f.name, n + 2, str(h['SATURATE'])] for f in stacks if f.night == 20071012 and f.filter == 'H'
          for n, (h, _) in enumerate(f.tables)]
assert answer('17.0') == wanted and wanted

# 18: density.
cells = HEALPix(nside=2**8, order='nested')
chosen = (ra >= 30) & (ra <= 300)
where = SkyCoord(ra[chosen], dec[chosen], unit='deg')
cell = cells.lonlat_to_healpix(where.ra, where.dec)
numbers, counts = np.unique(cell, return_counts=True)
found = answer('18.0')
assert {r[0]: r[1] for r in found} == dict(zip(numbers.tolist(), counts.tolist()))
assert [r[1] for r in found] == sorted((r[1] for r in found), reverse=True)
for number, _, l, b in found:
    galactic = where[cell == number].galactic
    assert abs(galactic.l.deg.min() - l) < 1e-4 and abs(galactic.b.deg.min() - b) < 1e-4

# 19: medians.
wanted = []
for b in 'HJK':
    values = mag[(band == b) & (kind == -1) & ~np.isnan(mag)]
    wanted.append([b, len(values), float(np.median(values)), float(np.percentile(values, 90))])
same(answer('19.0'), wanted, 'question 19')

# 20: exports.
exported = distance_deg(ra, dec, 284.1, 2.6) <= 0.5
assert int(answer('20.0')) == exported.sum() + 1
assert answer('20.1') == [int((exported & ~np.isnan(mag)).sum()), 'mag']
for name, ending in (('stars.csv', 'csv'), ('stars.parquet', 'parquet'), ('stars.vot', 'votable')):
    path = Path(sys.argv[3]) / name
    columns = parquet.read_table(path) if ending == 'parquet' else Table.read(path, format=ending)
    assert abs(np.mean(np.array(columns['ra'], float)) - ra[exported].mean()) < 1e-3, name

assert checked == set(answers), f'answers without a check: {set(answers) - checked}'
print(f'{len(rows)} detections, {len(checked)} answers')
