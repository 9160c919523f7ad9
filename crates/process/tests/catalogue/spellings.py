"""Writes a catalogue of a layout that is not CASU's, or computes its archived columns again from it."""

import sys

import numpy as np
import pyarrow.parquet as pq
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.wcs import WCS

ROWS = 600
FIRST_ID = 2**62 + 5


def wcs():
    """The coordinates of the test's detectors."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---ZPN", "DEC--ZPN"]
    wcs.wcs.crpix = [2953.8, -905.4]
    wcs.wcs.crval = [66.0, 25.0]
    wcs.wcs.cd = [[-1.114e-4, 1.3e-7], [1.3e-7, 1.114e-4]]
    wcs.wcs.set_pv([(2, 1, 1.0), (2, 3, -50.0)])
    wcs.wcs.set()
    return wcs


def write(path):
    random = np.random.default_rng(20151219)
    x, y = random.uniform(1, 2000, (2, ROWS))
    ra, dec = wcs().wcs_pix2world(x, y, 0)
    flux = random.uniform(-10, 1e5, (ROWS, 3)).astype("f4")
    mag = random.uniform(10, 20, ROWS).astype("f4")
    mag[::7] = 99.0
    background = random.normal(200, 10, ROWS).astype("f4")
    background[::11] = -99.99
    variance = random.uniform(1e-6, 1e-2, ROWS)
    variance[::13] = -1.0
    text = [f"{m:8.4f}" if n % 5 else "INDEF" for n, m in enumerate(random.uniform(10, 20, ROWS))]
    flags = random.integers(0, 2**30, ROWS, dtype="i4")
    columns = [
        fits.Column("sourceid", "K", array=FIRST_ID + np.arange(ROWS)),
        fits.Column("xcentroid", "D", array=x),
        fits.Column("ycentroid", "D", array=y),
        fits.Column("RA_TEXT", "16A", array=Angle(ra, "deg").to_string("hour", sep=":", precision=6)),
        fits.Column("DEC_TEXT", "16A", array=Angle(dec, "deg").to_string("deg", sep=":", precision=5)),
        fits.Column("FLUX_APER", "3E", array=flux),
        fits.Column("FLUXERR_APER", "3E", array=np.abs(flux) ** 0.5 + 1),
        fits.Column("MAG_AUTO", "E", unit="mag", array=mag),
        fits.Column("MAGERR_AUTO", "E", array=random.uniform(1, 100, ROWS)),
        fits.Column("e_MAG_PSF", "E", unit="mmag", array=random.uniform(1, 100, ROWS)),
        fits.Column("MAG_TEXT", "8A", array=text),
        fits.Column("THETA", "E", unit="deg", array=random.uniform(-1.5, 1.5, ROWS)),
        fits.Column("ERRX2", "D", unit="pixel**2", array=variance),
        fits.Column("BACKGROUND", "E", array=background),
        fits.Column("FLAGS", "J", array=flags),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header["MAGZP"] = 25.3125
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    print("written", ROWS)


def compare(path, staged, delivered):
    data = fits.getdata(path, 1)
    header = fits.getheader(path, 1)
    table = pq.read_table(staged)
    assert table.num_rows == ROWS, table.num_rows

    def got(name):
        return table.column(name).to_numpy(zero_copy_only=False).astype(float)

    def equal(name, wanted):
        found = got(name)
        wanted = np.asarray(wanted, dtype=float).astype("f4").astype(float)
        assert (np.isnan(found) == np.isnan(wanted)).all(), name
        off = np.abs(found - wanted) / np.spacing(np.abs(wanted).astype("f4"))
        assert np.nanmax(off, initial=0) <= 1, (name, np.nanmax(off))

    assert (got("seq_num") == np.arange(1, ROWS + 1)).all()
    assert (got("x") == data["xcentroid"] + 1).all() and (got("y") == data["ycentroid"] + 1).all()
    ra, dec = Angle(data["RA_TEXT"], "hourangle").deg, Angle(data["DEC_TEXT"], "deg").deg
    assert np.abs(got("ra") - ra).max() < 1e-12 and np.abs(got("dec") - dec).max() < 1e-12
    for n in (1, 2, 3):
        assert (got(f"aper_flux{n}") == data["FLUX_APER"][:, n - 1]).all(), n
        assert (got(f"aper_flux{n}_err") == data["FLUXERR_APER"][:, n - 1]).all(), n
    equal("pa", np.degrees(data["THETA"].astype(float)) + 90)
    with np.errstate(all="ignore"):
        equal("x_err", np.where(data["ERRX2"] < 0, np.nan, np.sqrt(data["ERRX2"])))
    unknown = data["BACKGROUND"] == np.float32(-99.99)
    assert unknown.sum() > 50
    equal("sky", np.where(unknown, np.nan, data["BACKGROUND"].astype(float)))
    assert (got("err_bits") == data["FLAGS"].astype("f4")).all()
    flags, bits = data["FLAGS"], np.zeros(ROWS, dtype=int)
    for bit, those in [(16, (0, 1)), (64, (3, 28)), (65536, (2,))]:
        bits |= np.where(sum(flags >> n & 1 for n in those) > 0, bit, 0)
    assert (got("pp_err_bits") == bits).all() and len(set(bits)) == 8
    if delivered:
        unknown = data["MAG_AUTO"] == 99
        zero = header["MAGZP"]
        equal("kron_mag", np.where(unknown, np.nan, data["MAG_AUTO"].astype(float) + zero))
        equal("kron_mag_err", data["MAGERR_AUTO"].astype(float) / 1000)
        equal("psf_mag_err", data["e_MAG_PSF"].astype(float) / 1000)
        texts = [float(t) if t != "INDEF" else np.nan for t in data["MAG_TEXT"]]
        equal("petro_mag", np.array(texts) + zero)
        for name in ("aper_mag1", "aper_mag1_err", "delta_mag", "distort_corr"):
            assert table.column(name).null_count == ROWS, name
    else:
        for n in (1, 2, 3):
            flux = data["FLUX_APER"][:, n - 1].astype(float)
            error = data["FLUXERR_APER"][:, n - 1].astype(float)
            with np.errstate(all="ignore"):
                equal(f"aper_mag_no_aper_corr{n}", np.where(flux > 0, 25 - 2.5 * np.log10(flux), np.nan))
                equal(f"aper_mag{n}_err", np.where(flux > 0, 2.5 / np.log(10) * error / flux, np.nan))
        assert table.column("kron_mag").null_count == ROWS
    print("rows", ROWS)


mode, *paths = sys.argv[1:]
if mode == "write":
    write(paths[0])
else:
    compare(*paths, delivered=mode == "delivered")
