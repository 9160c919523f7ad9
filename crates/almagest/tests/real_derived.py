# What the archive derived from the real files, computed a second time by astropy and numpy.
# Arguments: the directory of the real set, a JSON file with rows of the archive.

import json
import sys
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy_healpix import HEALPix

warnings.simplefilter("ignore", FITSFixedWarning)
real = sys.argv[1]
with open(sys.argv[2]) as file:
    rows = json.load(file)


def near(what, found, wanted, by):
    worst = np.nanmax(np.abs(np.asarray(found, float) - np.asarray(wanted, float)))
    assert worst <= by, f"{what}: {worst} apart"
    assert np.array_equal(np.isnan(np.asarray(found, float)), np.isnan(wanted)), f"{what}: NULL"


def column(table, name):
    return np.array([np.nan if row[name] is None else row[name] for row in table], float)


def sky(what, table, ra, dec):
    """Columns that follow from a position alone."""
    icrs = SkyCoord(column(table, ra), column(table, dec), unit="deg")
    galactic = icrs.galactic
    near(f"{what} l", column(table, "l"), galactic.l.deg, 1e-4)
    near(f"{what} b", column(table, "b"), galactic.b.deg, 1e-4)
    for name, wanted in zip(("cx", "cy", "cz"), icrs.cartesian.xyz.value):
        near(f"{what} {name}", column(table, name), wanted, 1e-14)
    wanted = HEALPix(nside=2**29, order="nested").lonlat_to_healpix(icrs.ra, icrs.dec)
    assert [row["healpix29"] for row in table] == wanted.tolist(), f"{what} healpix29"


# Centres and corners of the detectors.
for row in rows["astrometry"]:
    what = f"{row['file']}[{row['ext_num'] - 1}]"
    header = fits.getheader(f"{real}/{row['file']}", row["ext_num"] - 1)
    n1, n2 = header["NAXIS1"], header["NAXIS2"]
    wcs = WCS(header)
    places = [((n1 + 1) / 2, (n2 + 1) / 2, "central_ra", "central_dec")]
    corners = [(0.5, 0.5), (n1 + 0.5, 0.5), (n1 + 0.5, n2 + 0.5), (0.5, n2 + 0.5)]
    places += [(x, y, f"ra{i}", f"dec{i}") for i, (x, y) in enumerate(corners, 1)]
    for x, y, ra, dec in places:
        wanted = wcs.all_pix2world(x, y, 1)
        near(f"{what} {ra}, {dec}", [row[ra], row[dec]], wanted, 1e-9)
sky("detectors", rows["astrometry"], "central_ra", "central_dec")

# Detections: positions of CASU are of four bytes, 1.5e-5 degrees of right ascension.
detections = rows["detection"]
sky("detections", detections, "ra", "dec")
for ext in range(1, 5):
    table = [row for row in detections if row["ext_num"] == ext + 1]
    header = fits.getheader(f"{real}/{rows['catalogue']}", ext)
    wcs = WCS(fits.getheader(f"{real}/{rows['stack']}", ext))
    ra, dec = wcs.all_pix2world(column(table, "x"), column(table, "y"), 1)
    near(f"RA of {ext}", column(table, "ra"), ra, 3e-5)
    near(f"DEC of {ext}", column(table, "dec"), dec, 1e-5)
    # PHOTZP is for the counts of the frame, APCOR brings an aperture to the total flux.
    for n in range(1, 8):
        flux, error = column(table, f"aper_flux{n}"), column(table, f"aper_flux{n}_err")
        with np.errstate(invalid="ignore", divide="ignore"):
            bare = np.where(flux > 0, header["PHOTZP"] - 2.5 * np.log10(flux), np.nan)
            wanted_error = np.where(flux > 0, 2.5 * np.log10(1 + error / flux), np.nan)
        near(f"bare magnitude {n}", column(table, f"aper_mag_no_aper_corr{n}"), bare, 2e-6)
        near(f"magnitude {n}", column(table, f"aper_mag{n}"), bare - header[f"APCOR{n}"], 2e-6)
        near(f"its error {n}", column(table, f"aper_mag{n}_err"), wanted_error, 2e-6)
    # Independent of Almagest: on average the calibrated magnitudes are those of the reference catalogue.
    standards = fits.getdata(f"{real}/{rows['standards']}", ext)
    known = {(s["X_coordinate"], s["Y_coordinate"]): s["refmag"] for s in standards}
    pairs = [(r["aper_mag3"], known[r["x"], r["y"]]) for r in table if (r["x"], r["y"]) in known]
    apart = np.median([ours - theirs for ours, theirs in pairs if ours is not None])
    assert len(pairs) > 70 and abs(apart) < 0.01, f"standards of {ext}: {len(pairs)}, {apart}"

print(len(rows["astrometry"]), len(detections))
