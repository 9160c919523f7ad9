"""Checks a simulated delivery of another pipeline with astropy: `check_like.py PIPELINE DELIVERY TRUTH`."""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning

# wcslib derives MJD-OBS from DATE-OBS, and says so.
warnings.simplefilter('ignore', FITSFixedWarning)
pipeline, delivery, truth = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
# Names of the columns x, y, ra, dec, flux, the calibrated or instrumental magnitude, and the pixel of the first centre.
COLUMNS = {
    'banzai': [('x', 'y', 'ra', 'dec', 'flux', 'mag', 1)],
    'ldac': [('X_IMAGE', 'Y_IMAGE', 'ALPHA_J2000', 'DELTA_J2000', 'FLUX_AUTO', None, 1)],
    'sextractor': [('X_IMAGE', 'Y_IMAGE', 'ALPHA_J2000', 'DELTA_J2000', 'FLUX_AUTO', None, 1)],
    'decam': [],
    'ztf': [
        ('xpos', 'ypos', 'ra', 'dec', 'flux', 'mag', 1),
        ('X_IMAGE', 'Y_IMAGE', 'ALPHAWIN_J2000', 'DELTAWIN_J2000', 'FLUX_AUTO', 'MAG_AUTO', 1),
    ],
    'photutils': [('xcentroid', 'ycentroid', 'sky_centroid.ra', 'sky_centroid.dec', 'kron_flux', None, 0)],
}[pipeline]
EXPOSURE = {'ztf': 'EXPOSURE'}.get(pipeline, 'EXPTIME')


def arcsec(ra, dec, ra2, dec2):
    dra = ((ra - ra2 + 180) % 360 - 180) * np.cos(np.radians(dec2))
    return np.hypot(dra, dec - dec2) * 3600


def tables(image, frame):
    """The catalogues, each a list of tables in the order of the detectors."""
    files = frame['catalogues'] or [frame['file']]
    for file in files:
        with fits.open(delivery / file, memmap=False) as hdus:
            found = [h for h in hdus if isinstance(h, fits.BinTableHDU) and not isinstance(h, fits.CompImageHDU)
                     and h.name != 'LDAC_IMHEAD']
            if found:
                yield found


def check_table(table, detector, wcs, exposure, names):
    x, y, ra, dec, flux, mag, first = names
    for column in table.columns:
        if column.unit:
            u.Unit(column.unit)
    Table.read(table)
    sources = {k: np.array([s[k] for s in detector['sources']]) for k in detector['sources'][0]}
    rows = table.data
    assert len(rows) == len(sources['x'])
    order = np.argsort(rows[y])
    x, y, ra, dec, flux = (np.array(rows[n], dtype=float)[order] for n in (x, y, ra, dec, flux))
    planted = np.argsort(sources['y'])
    # Measured pixels scatter about the planted ones: neighbours in y may have changed places.
    near = np.hypot(x[:, None] - first + 1 - sources['x'], y[:, None] - first + 1 - sources['y'])
    which = near.argmin(axis=1)
    assert sorted(which) == sorted(planted) and near.min(axis=1).max() < 0.1
    wra, wdec = wcs.all_pix2world(x, y, first)
    assert arcsec(wra, wdec, ra, dec).max() < 1e-3, arcsec(wra, wdec, ra, dec).max()
    zero = detector['zero_mag'] + 2.5 * np.log10(exposure)
    off = zero - 2.5 * np.log10(flux) - sources['mag'][which]
    assert np.median(np.abs(off)) < 0.1, off
    if mag:
        delivered = np.array(rows[mag], dtype=float)[order]
        base = zero if pipeline == 'banzai' else 0
        assert np.abs(base - 2.5 * np.log10(flux) - delivered).max() < 1e-4


def check_ldac(file, image, frame):
    """The text of each image's header, as its catalogue holds it."""
    with fits.open(delivery / file, memmap=False) as hdus:
        heads = [h for h in hdus if h.name == 'LDAC_IMHEAD']
        assert len(heads) == len(frame['detectors'])
        for head, detector in zip(heads, frame['detectors']):
            cards = head.data.field(0)[0]
            header = fits.Header.fromstring(''.join(card.ljust(80) for card in cards.ravel()))
            for key in ('CRVAL1', 'CRPIX1', 'CD1_1', 'CRPIX2', 'NAXIS1'):
                assert header[key] == image[detector['hdu']].header[key], key
            assert header.get('EXTNAME') == image[detector['hdu']].header.get('EXTNAME')


for frame in truth:
    for file in [frame['file'], *frame['catalogues'], *frame['companions']]:
        with fits.open(delivery / file, memmap=False, checksum=True) as hdus:
            hdus.verify('exception')
            assert all(h.data is not None or h.header['NAXIS'] == 0 for h in hdus)
    with fits.open(delivery / frame['file'], memmap=False) as image:
        cards = image[frame['detectors'][0]['hdu']].header if EXPOSURE not in image[0].header else image[0].header
        exposure = cards[EXPOSURE]
        solutions = []
        for detector in frame['detectors']:
            hdu = image[detector['hdu']]
            wcs = WCS(hdu.header)
            solutions.append(wcs)
            sources = {k: np.array([s[k] for s in detector['sources']]) for k in detector['sources'][0]}
            ra, dec = wcs.all_pix2world(sources['x'], sources['y'], 1)
            assert arcsec(ra, dec, sources['ra_deg'], sources['dec_deg']).max() < 1e-6
            # The brightest star is where it was planted.
            best = sources['mag'].argmin()
            i, j = round(sources['x'][best]) - 1, round(sources['y'][best]) - 1
            assert hdu.data[j, i] > np.median(hdu.data) + 5 * np.std(hdu.data) / np.sqrt(len(sources['x']))
        assert len(COLUMNS) == len(list(tables(image, frame)))
        for names, found in zip(COLUMNS, tables(image, frame)):
            assert len(found) == len(frame['detectors'])
            for table, detector, wcs in zip(found, frame['detectors'], solutions):
                check_table(table, detector, wcs, exposure, names)
        for file in frame['catalogues']:
            if pipeline == 'ldac' or file.endswith('_sexcat.fits'):
                check_ldac(file, image, frame)
        if pipeline == 'banzai':
            assert [h.name for h in image] == ['PRIMARY', 'SCI', 'CAT', 'BPM', 'ERR']
            assert image['BPM'].data.shape == image['SCI'].data.shape == image['ERR'].data.shape
            assert set(np.unique(image['BPM'].data)) <= {0, 1}
        if pipeline == 'decam':
            assert len({h.header['CCDNUM'] for h in image[1:]}) == len(frame['detectors'])
            for file in frame['companions']:
                with fits.open(delivery / file, memmap=False) as other:
                    assert [h.header['CCDNUM'] for h in other[1:]] == [h.header['CCDNUM'] for h in image[1:]]
        if pipeline == 'photutils':
            positions = Table.read(delivery / frame['catalogues'][0])['sky_centroid']
            rows = fits.getdata(delivery / frame['catalogues'][0], 1)
            assert (positions.ra.deg == rows['sky_centroid.ra']).all() and positions.frame.name == 'icrs'
print(f'{pipeline}: astropy agrees')
