"""Positions of the ICRS in other frames, by astropy: `frames_oracle.py INPUT OUTPUT`.

Input: lines `FRAME EQUINOX RA,RA,... DEC,DEC,...` in degrees. Output: a line `LON,LON,... LAT,LAT,...` for each.
"""
import sys
import warnings

warnings.simplefilter("ignore")

import astropy.units as u
import numpy as np
from astropy.coordinates import (
    FK4, FK5, ICRS, BarycentricMeanEcliptic, FK4NoETerms, Galactic, SkyCoord, Supergalactic,
)
from astropy.time import Time


def frame(name, equinox):
    besselian, julian = Time(equinox, format="byear"), Time(equinox, format="jyear")
    match name:
        case "icrs":
            return ICRS()
        case "fk4":
            return FK4(equinox=besselian)
        case "fk4-no-e":
            return FK4NoETerms(equinox=besselian)
        case "fk5":
            return FK5(equinox=julian)
        case "galactic":
            return Galactic()
        case "supergalactic":
            return Supergalactic()
        case "ecliptic":
            return BarycentricMeanEcliptic(equinox=julian)
        case "ecliptic-fk4":
            return BarycentricMeanEcliptic(equinox=besselian)


with open(sys.argv[2], "w") as out:
    for line in open(sys.argv[1]):
        name, equinox, ra, dec = line.split()
        ra, dec = (np.array([float(n) for n in text.split(",")]) for text in (ra, dec))
        sky = SkyCoord(ra * u.deg, dec * u.deg, frame=ICRS()).transform_to(frame(name, float(equinox)))
        columns = (sky.spherical.lon.wrap_at(360 * u.deg).deg, sky.spherical.lat.deg)
        out.write(" ".join(",".join(repr(float(n)) for n in column) for column in columns) + "\n")
