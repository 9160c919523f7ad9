"""What astropy and wcslib make of generated headers: `headers_oracle.py INPUT OUTPUT`.

Input: for each header its cards and a line `END`. Output: for each header one line of two halves, separated by
`|`. First half: right ascension and declination in the ICRS of the image's centre and of its outer corners, and the
centre's galactic coordinates, or `NONE reason` where there are none. Second half: the start of the observation as MJD in UTC, or `NONE reason`.
"""
import logging
import re
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord, Supergalactic
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame


def frame_of(wcs, header):
    """As astropy has it, but for ecliptic and supergalactic axes, which it takes for other frames or none."""
    axis = wcs.wcs.ctype[wcs.wcs.lng][:4]
    if axis == "SLON":
        return Supergalactic()
    if axis == "ELON":
        system = header.get("RADESYS", header.get("RADECSYS"))
        equinox = header.get("EQUINOX", header.get("EPOCH"))
        besselian = (system or "").startswith("FK4") or (system is None and (equinox or 2000) < 1984)
        if system not in (None, "ICRS", "FK5", "FK4", "FK4-NO-E"):
            raise ValueError("unknown frame")
        default = 1950.0 if besselian else 2000.0
        time = Time(equinox or default, format="byear" if besselian else "jyear")
        return BarycentricMeanEcliptic(equinox=time)
    if axis == "HLON":
        raise ValueError("helioecliptic")
    return wcs_to_celestial_frame(wcs)


def positions(header):
    wcs = WCS(header)
    wcs.wcs.set()
    width, height = header["NAXIS1"], header["NAXIS2"]
    points = [
        ((width + 1) / 2, (height + 1) / 2),
        (0.5, 0.5),
        (width + 0.5, 0.5),
        (width + 0.5, height + 0.5),
        (0.5, height + 0.5),
    ]
    world = wcs.all_pix2world(np.array(points), 1)
    if not np.all(np.isfinite(world)):
        raise ValueError("off the sky")
    frame = frame_of(wcs, header)
    sky = SkyCoord(world[:, wcs.wcs.lng] * u.deg, world[:, wcs.wcs.lat] * u.deg, frame=frame).icrs
    galactic = sky[0].galactic
    pairs = [*zip(sky.ra.deg, sky.dec.deg), (galactic.l.deg, galactic.b.deg)]
    return " ".join(f"{float(a)!r} {float(b)!r}" for a, b in pairs)


SCALES = {
    "UTC": "utc", "UT": "utc", "GMT": "utc", "TAI": "tai", "IAT": "tai", "GPS": "tai", "TT": "tt", "TDT": "tt",
    "ET": "tt", "TDB": "tdb", "TCG": "tcg", "TCB": "tcb",
}


def start(header):
    system = header.get("TIMESYS", "UTC")
    if system not in SCALES:
        raise ValueError("no known relation to UTC")
    scale = SCALES[system]
    date = header.get("DATE-OBS", "")
    if re.fullmatch(r"\d\d/\d\d/\d\d", date):
        day, month, year = date.split("/")
        date = f"19{year}-{month}-{day}"
    if "MJD-OBS" in header:
        time = Time(int(header["MJD-OBS"]), header["MJD-OBS"] % 1, format="mjd", scale=scale)
    elif "T" in date or " " in date:
        time = Time(date, scale=scale)
    elif "TIME-OBS" in header:
        time = Time(f"{date}T{header['TIME-OBS']}", scale=scale)
    elif "UT" in header or "UTC-OBS" in header:
        time, system = Time(f"{date}T{header.get('UT', header.get('UTC-OBS'))}", scale="utc"), "UTC"
    elif "UTSTART" in header:
        time, system = Time(date, scale="utc") + header["UTSTART"] * u.hour, "UTC"
    elif "JD-OBS" in header:
        whole = int(header["JD-OBS"])
        time = Time(whole, header["JD-OBS"] - whole, format="jd", scale=scale)
    elif "DATE-BEG" in header:
        time = Time(header["DATE-BEG"], scale=scale)
    elif not date and "JEPOCH" in header:
        time, system = Time(header["JEPOCH"], format="jyear", scale="tdb"), "TDB"
    elif not date and "BEPOCH" in header:
        time, system = Time(header["BEPOCH"], format="byear", scale="tt"), "TT"
    else:
        raise ValueError("no time of day")
    if system == "GPS":
        time = time + 19 * u.s
    text = time.utc
    text.precision = 9
    day, clock = text.isot.split("T")
    hours, minutes, seconds = clock.split(":")
    # The MJD of astropy stretches days with a leap second.
    return repr(float(Time(day).mjd) + (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) / 86400)


def attempt(work, header):
    try:
        return work(header)
    except Exception as fault:
        return f"NONE {type(fault).__name__} {fault}".replace("\n", " ").replace("|", " ")[:200]


def main(source, target):
    with open(target, "w") as out:
        cards = []
        for line in open(source).read().split("\n"):
            if line == "END":
                header = fits.Header([fits.Card.fromstring(card) for card in cards])
                out.write(f"{attempt(positions, header)}|{attempt(start, header)}\n")
                cards = []
            elif line:
                cards.append(line)


main(*sys.argv[1:])
