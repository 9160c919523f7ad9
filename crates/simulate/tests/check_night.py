"""Checks a simulated night with astropy: format, checksums, positions, fluxes, and what the headers say."""
import json
import math
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

night, truth = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
APERTURES = np.array([0.5, 0.5**0.5, 1, 2**0.5, 2, 8**0.5, 4, 5, 6, 7, 8, 10, 12])
assert (night / 'OK_TO_COPY').exists()
names = {p.name for p in night.iterdir()}
known = {f['file'] for f in truth} | {f['catalogue'] for f in truth if f['catalogue']}
assert names == known | {'OK_TO_COPY'}, names ^ known


def arcsec(ra, dec, ra2, dec2):
    dra = np.radians((ra - ra2 + 180) % 360 - 180) / 2
    ddec = np.radians(dec - dec2) / 2
    a = np.sin(ddec)**2 + np.cos(np.radians(dec)) * np.cos(np.radians(dec2)) * np.sin(dra)**2
    return np.degrees(2 * np.arcsin(np.sqrt(a))) * 3600


def aperture(image, x, y, radius, sky):
    """Flux above the sky within a soft-edged circle about a FITS pixel position."""
    reach = int(radius + 2)
    i, j = int(round(x)) - 1, int(round(y)) - 1
    box = image[j - reach:j + reach + 1, i - reach:i + reach + 1] - sky
    rows, columns = np.mgrid[j - reach:j + reach + 1, i - reach:i + reach + 1]
    distance = np.hypot(columns + 1 - x, rows + 1 - y)
    return (box * np.clip(radius - distance + 0.5, 0, 1)).sum()


def check_stack(frame, image, catalogue):
    chi = {k: [] for k in range(13)}
    for detector in frame['detectors']:
        hdu = detector['hdu']
        header, rows, c = image[hdu].header, catalogue[hdu].data, catalogue[hdu].header
        sources = {k: np.array([s[k] for s in detector['sources']]) for k in detector['sources'][0]}
        assert len(rows) == len(sources['x']) and catalogue[hdu].columns.formats == ['1E'] * 80
        assert (rows['Sequence_number'] == np.arange(1, len(rows) + 1)).all()
        # Positions: planted ones, measured ones, and those of a third party.
        for h in (header, c):
            wcs = WCS(h)
            ra, dec = wcs.all_pix2world(sources['x'], sources['y'], 1)
            assert arcsec(ra, dec, sources['ra_deg'], sources['dec_deg']).max() < 1e-3
        ra, dec = wcs.all_pix2world(rows['X_coordinate'].astype(float), rows['Y_coordinate'].astype(float), 1)
        assert arcsec(ra, dec, np.degrees(rows['RA'].astype(float)), np.degrees(rows['DEC'].astype(float))).max() < 0.15
        off = np.hypot(rows['X_coordinate'] - sources['x'], rows['Y_coordinate'] - sources['y'])
        real = sources['class'] != 0
        assert (off < 6 * np.hypot(rows['X_coordinate_err'], rows['Y_coordinate_err']))[real].all()
        # Magnitudes: what the archive will compute is what was planted.
        zero = c['MAGZPT'] - (0.5 * (c['AMSTART'] + c['AMEND']) - 1) * c['EXTINCT'] + 2.5 * math.log10(c['EXP_TIME'])
        star = (sources['class'] == -1) & (rows['Classification'] > -5)
        x, y = sources['x'] - c['CRPIX1'], sources['y'] - c['CRPIX2']
        r2 = np.radians(c['CD1_1'] * x + c['CD1_2'] * y)**2 + np.radians(c['CD2_1'] * x + c['CD2_2'] * y)**2
        k = c['PV2_3'] * r2
        flux = rows['Aper_flux_3'] * 10**(0.4 * c['APCOR3']) / ((1 + 3 * k) * (1 + k))
        error = 1.0857 * rows['Aper_flux_3_err'] / rows['Aper_flux_3']
        bright = star & (error < 0.05)
        mag = zero - 2.5 * np.log10(flux[bright])
        pulls.extend((mag - sources['mag'][bright]) / np.hypot(error[bright], 0.002))
        # Fluxes: the pixels have them, within the errors of both.
        pixels = image[hdu].data.astype(float)
        alone = star & (sources['isolation_px'] > 24 * (c['RCORE'] / 2.5)) & (rows['Error_bit_flag'] == 0)
        edge = np.minimum.reduce([sources['x'], sources['y'], frame['side'] - sources['x'], frame['side'] - sources['y']])
        for n in np.nonzero(alone & (edge > 40))[0]:
            for a in range(7):
                radius = APERTURES[a] * c['RCORE']
                found = aperture(pixels, sources['x'][n], sources['y'][n], radius, rows['Sky_level'][n])
                flux, error = rows[f'Aper_flux_{a + 1}'][n], rows[f'Aper_flux_{a + 1}_err'][n]
                chi[a].append((found - flux) / math.hypot(error * 2**0.5, 0.01 * flux))
    return chi


seen, pulls = 0, []
chis = {k: [] for k in range(13)}
for frame in truth:
    path = night / frame['file']
    with fits.open(path, checksum=True) as image:
        image.verify('exception')
        h = image[0].header
        assert len(image) == 5 and 165 < len(h) < 190, len(h)
        assert h['PROJECT'] == frame['project'] and h['FILTER'] == frame['filter']
        assert h['OBSERVER'] == '' and h['WIND_DIR'] > 360 and len(h['COMMENT']) == 8
        for hdu in image[1:]:
            assert isinstance(hdu, fits.CompImageHDU) and hdu.data.shape == (frame['side'],) * 2
            for keyword in ('CIR_CPM', 'PROV0001'):
                if keyword in hdu.header and frame['components']:
                    assert hdu.header[keyword].split('[')[0] in names
        for detector in frame['detectors']:
            pixels = image[detector['hdu']].data
            if frame['kind'] in ('stack', 'superstack', 'superframe', 'raw'):
                assert abs(np.median(pixels) / detector['sky'] - 1) < 0.12
            if frame['kind'] == 'confidence':
                assert 80 < np.median(pixels) < 110 and pixels.min() == 0
            if frame['kind'] == 'flat':
                assert 0.9 < np.median(pixels) < 1.1
        if frame['catalogue']:
            with fits.open(night / frame['catalogue'], checksum=True) as catalogue:
                catalogue.verify('exception')
                assert catalogue[0].header['MJD-OBS'] == h['MJD-OBS']
                for k, values in check_stack(frame, image, catalogue).items():
                    chis[k] += values
                seen += 1
assert seen
print(f'magnitudes: {len(pulls)} stars, mean pull {np.mean(pulls):.2f}, width {np.std(pulls):.2f}')
assert abs(np.mean(pulls)) < 0.25 and np.std(pulls) < 1.3
for k in range(7):
    c = np.array(chis[k])
    assert len(c) > 20, 'too few stars stand alone'
    middle, width = np.median(c), np.percentile(np.abs(c - np.median(c)), 68)
    print(f'aperture {k + 1}: {len(c)} stars, median pull {middle:.2f}, width {width:.2f}')
    # Neighbours reach into the larger apertures.
    assert abs(middle) < 0.5 and 0.5 < width < (1.4 if k < 4 else 1.9)
