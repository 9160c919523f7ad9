"""Compares an archive with the files of a delivery: `pipelines.py PIPELINE DELIVERY ARCHIVE TRUTH`.

ARCHIVE is a JSON object with rows of the archive, TRUTH the planted sources. Everything else is read by astropy."""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS, FITSFixedWarning

# wcslib derives MJD-OBS from DATE-OBS, and says so.
warnings.simplefilter('ignore', FITSFixedWarning)
pipeline, delivery = sys.argv[1], Path(sys.argv[2])
archive, truth = (json.loads(Path(path).read_text()) for path in sys.argv[3:5])

SEXTRACTOR = {'ell': 'ELLIPTICITY', 'pa': 'THETA_IMAGE', 'sky': 'BACKGROUND', 'err_bits': 'FLAGS'}
SEX_BITS = {16: [1], 65536: [2], 64: [3, 4, 5]}


def frame_zero(image):
    """Magnitude of one count in the frame, by the headers of the image."""
    if pipeline == 'photutils':
        return 25.0
    if 'L1ZP' in image:
        return image['L1ZP'] + 2.5 * np.log10(image['EXPTIME'])
    return image['MAGZERO']


class Kind:
    """The catalogues of a pipeline: which columns the archive has from them."""

    def __init__(self, id, position, columns, magnitudes=(), delivered=None, first=1, bits=None, id_add=0):
        self.id, self.position, self.columns = id, position, columns
        self.magnitudes, self.delivered = magnitudes, delivered or {}
        self.first, self.bits, self.id_add = first, bits or {}, id_add


KINDS = {
    'banzai': [
        Kind(None, ('x', 'y', 'ra', 'dec'),
             {'kron_flux': 'flux', 'kron_flux_err': 'fluxerr', 'aper_flux3': 'fluxaper3', 'aper_flux6': 'fluxaper6',
              'aper_flux4_err': 'fluxerr4', 'p_height': 'peak', 'sky': 'background', 'err_bits': 'flag',
              'half_rad': 'fluxrad50', 'pa': 'theta', 'ell': 'ellipticity', 'fwhm': 'fwhm'},
             ['kron', 'aper3'], {'kron_mag': ('mag', 0)},
             bits={16: [0], 64: [1, 5]}),
    ],
    'ldac': [
        Kind('NUMBER', ('X_IMAGE', 'Y_IMAGE', 'ALPHA_J2000', 'DELTA_J2000'),
             {'kron_flux': 'FLUX_AUTO', 'kron_flux_err': 'FLUXERR_AUTO', 'aper_flux1': ('FLUX_APER', 0),
              'aper_flux2': ('FLUX_APER', 1), 'aper_flux3': ('FLUX_APER', 2), 'aper_flux2_err': ('FLUXERR_APER', 1),
              'half_rad': 'FLUX_RADIUS', 'fwhm': 'FWHM_IMAGE', **SEXTRACTOR},
             ['kron', 'aper2'], bits=SEX_BITS),
    ],
    'sextractor': [
        Kind('NUMBER', ('X_IMAGE', 'Y_IMAGE', 'ALPHA_J2000', 'DELTA_J2000'),
             {'iso_flux': 'FLUX_ISO', 'kron_flux': 'FLUX_AUTO', 'kron_flux_err': 'FLUXERR_AUTO',
              'aper_flux3': 'FLUX_APER3', 'aper_flux4_err': 'FLUXERR_APER4', 'p_height': 'FLUX_MAX', **SEXTRACTOR},
             ['kron', 'aper3'], bits=SEX_BITS),
    ],
    'decam': [],
    'ztf': [
        Kind('sourceid', ('xpos', 'ypos', 'ra', 'dec'),
             {'psf_flux': 'flux', 'psf_flux_err': 'sigflux', 'psf_mag_err': 'sigmag', 'psf_fit_chi2': 'chi'},
             delivered={'psf_mag': ('mag', 'MAGZP')}, id_add=1),
    ],
    'photutils': [
        Kind('label', ('xcentroid', 'ycentroid', 'sky_centroid.ra', 'sky_centroid.dec'),
             {'iso_flux': 'segment_flux', 'kron_flux': 'kron_flux', 'kron_flux_err': 'kron_fluxerr',
              'p_height': 'max_value', 'pa': 'orientation', 'sky': 'local_background'},
             ['kron'], first=0),
    ],
}[pipeline]
# Hours of local time minus UTC where the night is that of DATE-OBS; None where it is in the name.
OFFSET = {'ldac': -7, 'decam': -4, 'photutils': 1}.get(pipeline)
FILTER = {'banzai': 'rp', 'ldac': 'r', 'sextractor': 'rp', 'decam': 'z', 'ztf': 'r', 'photutils': 'G'}[pipeline]


def arcsec(ra, dec, ra2, dec2):
    dra = ((ra - ra2 + 180) % 360 - 180) * np.cos(np.radians(dec2))
    return np.hypot(dra, dec - dec2) * 3600


def close(name, found, wanted, relative=2e-6, absolute=1e-9):
    found = np.array([np.nan if v is None else v for v in found], dtype=float)
    wanted = np.array(wanted, dtype=float)
    assert found.shape == wanted.shape, (name, found.shape, wanted.shape)
    assert np.allclose(found, wanted, rtol=relative, atol=absolute, equal_nan=True), (name, found[:5], wanted[:5])


def column(table, name):
    return np.array(table.data[name] if isinstance(name, str) else table.data[name[0]][:, name[1]], dtype=float)


def tables(frame):
    """The tables of each catalogue, in the order of the detectors."""
    # The archive has one catalogue of an image.
    for file in frame['catalogues'][:1] or [frame['file']]:
        with fits.open(delivery / file, memmap=False) as hdus:
            found = [h for h in hdus if isinstance(h, fits.BinTableHDU) and not isinstance(h, fits.CompImageHDU)
                     and h.name != 'LDAC_IMHEAD']
            if found:
                yield found


def sexagesimal(text):
    sign = -1 if text.startswith('-') else 1
    parts = [float(part) for part in text.lstrip('+-').split(':')]
    return sign * (parts[0] + parts[1] / 60 + parts[2] / 3600)


def check_frame(row, cards, detectors):
    assert row['num_detectors'] == detectors == row['previews'], row
    exposure = cards.get('EXPTIME', cards.get('EXPOSURE'))
    assert row['exp_time'] == exposure and row['filter'] == FILTER, row
    mjd = cards.get('OBSMJD', cards.get('MJD-OBS'))
    mjd = Time(cards['DATE-OBS']).mjd if mjd is None else mjd
    assert abs(row['mjd_obs'] - mjd) < 2e-8, (row['mjd_obs'], mjd)
    if OFFSET is None:
        night = Time(int(mjd), format='mjd')
    else:
        # A night begins at noon.
        night = Time(np.floor(mjd + OFFSET / 24 - 0.5), format='mjd')
    assert row['night'] == int(night.strftime('%Y%m%d')), (row['night'], night.iso)
    ra, dec = cards.get('RA', cards.get('OBSRA')), cards.get('DEC', cards.get('OBSDEC'))
    if ra is not None:
        close('tel_ra', [row['tel_ra']], [sexagesimal(ra)])
        close('tel_dec', [row['tel_dec']], [sexagesimal(dec)])
    if 'UTSTART' in cards:
        close('ut_start', [row['ut_start']], [sexagesimal(cards['UTSTART'])])
    project = cards.get('PROPID', cards.get('PROGRMID'))
    assert row['project'] == (None if project is None else str(project)), row
    runs = {'banzai': -2, 'sextractor': -2}
    if pipeline in runs:
        assert row['run_no'] == int(row['file_name'].split('-')[runs[pipeline]]), row
    if pipeline in ('ldac', 'decam'):
        assert row['run_no'] is None, row
    if pipeline == 'ztf':
        assert row['run_no'] == int(row['file_name'][12:18]), row
    if pipeline == 'photutils':
        assert row['run_no'] == int(row['file_name'].split('.')[0].split('_')[2]), row


def check_detector(row, hdu, is_companion):
    wcs = WCS(hdu.header)
    # The header of a compressed image is that of the image.
    height, width = hdu.data.shape
    places = [('central_ra', 'central_dec', (width + 1) / 2, (height + 1) / 2), ('ra1', 'dec1', 0.5, 0.5),
              ('ra3', 'dec3', width + 0.5, height + 0.5)]
    for ra, dec, x, y in places:
        wanted = wcs.all_pix2world(x, y, 1)
        assert arcsec(row[ra], row[dec], *wanted) < 1e-3, (ra, row[ra], row[dec], wanted)
    number = hdu.header.get('CCDNUM', hdu.header.get('RCID'))
    assert number is None or row['cam_num'] == number, row
    if is_companion:
        # What the header of a mask repeats was measured on the image.
        assert row['seeing'] is row['sky_level'] is row['phot_zp_ext'] is None, row
    elif pipeline == 'decam':
        close('seeing', [row['seeing']], [hdu.header['FWHM']])
        close('sky_level', [row['sky_level']], [hdu.header['AVSKY']])
        close('phot_zp_ext', [row['phot_zp_ext']], [hdu.header['MAGZERO']])
    elif pipeline == 'ldac':
        # The catalogue's table has no such card, but the text of the image's header has it.
        close('phot_zp_cat', [row['phot_zp_cat']], [hdu.header['MAGZERO']])


def check_catalogue(kind, rows, table, hdu, cards, detector):
    number = len(table.data)
    ids = np.arange(1, number + 1) if kind.id is None else table.data[kind.id] + kind.id_add
    rows = sorted(rows, key=lambda row: row['seq_num'])
    table.data = table.data[np.argsort(ids)]
    assert [row['seq_num'] for row in rows] == sorted(ids.tolist())
    x, y, ra, dec = (column(table, name) for name in kind.position)
    get = lambda name: [row[name] for row in rows]
    close('x', get('x'), x + 1 - kind.first)
    close('y', get('y'), y + 1 - kind.first)
    archived = np.array(get('ra'), dtype=float), np.array(get('dec'), dtype=float)
    assert arcsec(*archived, ra, dec).max() < 1e-3, arcsec(*archived, ra, dec).max()
    assert arcsec(*archived, *WCS(hdu.header).all_pix2world(x, y, kind.first)).max() < 1e-3
    for name, source in kind.columns.items():
        close(name, get(name), column(table, source))
    for name, (source, add) in kind.delivered.items():
        add = cards[add] if isinstance(add, str) else add
        close(name, get(name), column(table, source) + add, absolute=2e-4)
    for name in kind.magnitudes:
        flux, mag = ('kron_flux', 'kron_mag') if name == 'kron' else (f'aper_flux{name[4:]}', f'aper_mag{name[4:]}')
        fluxes = column(table, kind.columns[flux])
        close(mag, get(mag), frame_zero(cards) - 2.5 * np.log10(fluxes), absolute=2e-5)
        error = kind.columns.get(f'{flux}_err')
        if error:
            close(f'{mag}_err', get(f'{mag}_err'), 2.5 / np.log(10) * column(table, error) / fluxes, relative=1e-4)
    if kind.bits:
        flags = np.array(get('err_bits'), dtype=int)
        bits = np.array([row['pp_err_bits'] for row in rows])
        for bit, sources in kind.bits.items():
            wanted = np.bitwise_or.reduce([flags >> source & 1 for source in sources]).astype(bool)
            assert ((bits & bit != 0) == wanted).all(), (bit, bits, flags)
    if pipeline == 'sextractor':
        close('x_err', get('x_err'), np.sqrt(column(table, 'ERRX2_IMAGE')))
    # What was planted: measured pixels scatter about it by 0.02.
    sources = {key: np.array([s[key] for s in detector['sources']]) for key in detector['sources'][0]}
    near = np.hypot(np.array(get('x'))[:, None] - sources['x'], np.array(get('y'))[:, None] - sources['y'])
    assert sorted(near.argmin(axis=1)) == list(range(number)) and near.min(axis=1).max() < 0.12
    mags = get('psf_mag' if pipeline == 'ztf' else 'kron_mag')
    off = np.array(mags, dtype=float) - sources['mag'][near.argmin(axis=1)]
    if pipeline == 'photutils':
        # The zero point of the profile is rounded.
        off -= 25.0 - detector['zero_mag'] - 2.5 * np.log10(cards['EXPTIME'])
    assert np.median(np.abs(off)) < 0.1, off


frames = {row['file_name'].split('/')[-1]: row for row in archive['frames']}
images = [frame['file'] for frame in truth]
companions = [file for frame in truth for file in frame['companions']]
assert sorted(frames) == sorted(images + companions)
checked = 0
for frame in truth:
    for file in [frame['file'], *frame['companions']]:
        with fits.open(delivery / file, memmap=False) as hdus:
            first = hdus[frame['detectors'][0]['hdu']].header
            cards = hdus[0].header if 'INSTRUME' in hdus[0].header else first
            check_frame(frames[file], cards, len(frame['detectors']))
            rows = [row for row in archive['detectors'] if row['file_name'].split('/')[-1] == file]
            # The primary HDU has the extension number 1.
            assert [row['ext_num'] for row in rows] == [d['hdu'] + 1 for d in frame['detectors']]
            for row, detector in zip(rows, frame['detectors']):
                check_detector(row, hdus[detector['hdu']], file in companions)
    rows = [row for row in archive['detections'] if row['file_name'].split('/')[-1] == frame['file']]
    with fits.open(delivery / frame['file'], memmap=False) as hdus:
        for kind, found in zip(KINDS, tables(frame), strict=True):
            for table, detector in zip(found, frame['detectors'], strict=True):
                hdu = hdus[detector['hdu']]
                cards = hdu.header if pipeline != 'ldac' else hdus[0].header + hdu.header
                of_detector = [row for row in rows if row['ext_num'] == detector['hdu'] + 1]
                check_catalogue(kind, of_detector, table, hdu, cards, detector)
                checked += len(of_detector)
    linked = [(row['role'], row['component_name']) for row in archive['provenance']
              if row['file_name'].split('/')[-1] == frame['file']]
    roles = {'decam': ['mask', 'weight'], 'ztf': ['mask']}.get(pipeline, [])
    assert sorted(linked) == sorted(zip(roles, frame['companions'])), linked
assert checked == len(archive['detections'])
assert (checked > 0) == bool(KINDS)
print(f'{pipeline}: the archive agrees with astropy, {checked} detections')
