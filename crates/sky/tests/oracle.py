"""What others compute: wcslib (through astropy), astropy-healpix, rows of a real archive.

Run by the foreign_* tests as `oracle.py TASK INPUT OUTPUT`. Numbers go as text that reads back exactly (wcs),
or as little-endian arrays (healpix). Exit code 77: a module is not installed.
"""
import sys
import warnings

warnings.simplefilter("ignore")


def wcs(source, target):
    """Input: `HEADER [x_column y_column]`, cards, `END`, then lines `P x y` or `S ra dec`, for any number of headers."""
    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS

    out = open(target, "w")
    lines = open(source).read().split("\n")
    at = 0
    while at < len(lines) and lines[at].startswith("HEADER"):
        columns = [int(n) for n in lines[at].split()[1:]]
        at += 1
        header = fits.Header()
        while lines[at] != "END":
            header.append(fits.Card.fromstring(lines[at]))
            at += 1
        at += 1
        if columns:
            transform = WCS(header, keysel=["pixel"], colsel=columns)
        else:
            transform = WCS(header)
        pixels, places = [], []
        while at < len(lines) and lines[at][:1] in ("P", "S"):
            kind, first, second = lines[at].split()
            (pixels if kind == "P" else places).append((float(first), float(second)))
            at += 1
        if pixels:
            for lon, lat in transform.all_pix2world(np.array(pixels), 1):
                out.write(f"{float(lon)!r} {float(lat)!r}\n")
        if places:
            for x, y in transform.wcs_world2pix(np.array(places), 1):
                out.write(f"{float(x)!r} {float(y)!r}\n")
    out.close()


def healpix(source, target):
    """Input: ra and dec in degrees, alternating float64; output: nested pixel numbers of order 29, int64."""
    import numpy as np
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    points = np.fromfile(source, "<f8").reshape(-1, 2)
    pixels = lonlat_to_healpix(
        points[:, 0] * units.deg, points[:, 1] * units.deg, 1 << 29, order="nested"
    )
    pixels.astype("<i8").tofile(target)


def rows(source, target):
    """Input: paths of Parquet files; output: one line of ra dec cx cy cz htmID l b lambda eta per row."""
    import pyarrow.parquet

    names = ["ra", "dec", "cx", "cy", "cz", "htmID", "l", "b", "lambda", "eta"]
    with open(target, "w") as out:
        for path in open(source).read().split("\n"):
            if path:
                columns = pyarrow.parquet.read_table(path, columns=names).to_pydict()
                for row in zip(*(columns[name] for name in names)):
                    out.write(" ".join(repr(value) for value in row) + "\n")


def distances(source, target):
    """Input: lines ra1 dec1 ra2 dec2; output: their separations in degrees (Vincenty's formula)."""
    from astropy.coordinates import angular_separation
    import numpy as np

    with open(target, "w") as out:
        for line in open(source):
            a, b, c, d = np.radians([float(v) for v in line.split()])
            out.write(f"{float(np.degrees(angular_separation(a, b, c, d)))!r}\n")


def frames(source, target):
    """Input: lines `frame equinox lon lat`; output: right ascension and declination in the ICRS."""
    import astropy.units as u
    from astropy.coordinates import (
        FK4, FK5, BarycentricMeanEcliptic, FK4NoETerms, Galactic, SkyCoord, Supergalactic,
    )
    from astropy.time import Time

    groups = {}
    for number, line in enumerate(open(source)):
        name, equinox, lon, lat = line.split()
        groups.setdefault((name, float(equinox)), []).append((number, float(lon), float(lat)))
    answers = {}
    for (name, equinox), points in groups.items():
        besselian, julian = Time(equinox, format="byear"), Time(equinox, format="jyear")
        frame = {
            "FK4": FK4(equinox=besselian), "FK4-NO-E": FK4NoETerms(equinox=besselian), "FK5": FK5(equinox=julian),
            "GALACTIC": Galactic(), "SUPERGALACTIC": Supergalactic(),
            "ECLIPTIC": BarycentricMeanEcliptic(equinox=julian),
        }[name]
        lon, lat = [p[1] for p in points] * u.deg, [p[2] for p in points] * u.deg
        sky = SkyCoord(lon, lat, frame=frame).icrs
        for (number, _, _), ra, dec in zip(points, sky.ra.deg, sky.dec.deg):
            answers[number] = f"{float(ra)!r} {float(dec)!r}\n"
    with open(target, "w") as out:
        out.writelines(answers[number] for number in sorted(answers))


if __name__ == "__main__":
    try:
        tasks = {"wcs": wcs, "healpix": healpix, "rows": rows, "distances": distances, "frames": frames}
        tasks[sys.argv[1]](*sys.argv[2:])
    except ImportError as missing:
        print(missing)
        sys.exit(77)
