"""Writes images whose right values are known: `pixels_oracle.py DIRECTORY SEED COUNT`.

Prints for each a line `name hdu blanks smallest largest mean` of the physical values, computed with numpy from the
integers before they were written. A case with a name of its own is a line of NAMED; COUNT more are made at random.
"""
import gzip
import os
import sys
import warnings

warnings.simplefilter("ignore")

import numpy as np
from astropy.io import fits

# name: type, scale, zero, blank, keyword of the blank, compression
NAMED = {
    "ps1_zblank": ("i2", 0.5, 100.0, -32768, "ZBLANK", "RICE_1"),
    "blank_of_a_compressed_image": ("i2", 0.5, 100.0, -32768, "BLANK", "RICE_1"),
    "blank_of_a_plain_image": ("i4", 1.0, 0.0, -1, "BLANK", None),
}


def cards(header, scale, zero, blank, keyword):
    if (scale, zero) != (1.0, 0.0):
        header["BSCALE"], header["BZERO"] = scale, zero
    if blank is not None:
        header[keyword] = blank


def write(path, raw, scale, zero, blank, keyword, compression):
    if compression is None:
        hdu = fits.PrimaryHDU(raw)
        cards(hdu.header, scale, zero, blank, keyword)
        # Integers as they are: astropy would scale them again.
        header = hdu.header.tostring().encode()
        data = raw.astype(raw.dtype.newbyteorder(">")).tobytes()
        content = header + data + bytes(-len(data) % 2880)
        if path.endswith(".gz"):
            content = gzip.compress(content)
        with open(path, "wb") as out:
            out.write(content)
        return 0
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(raw, compression_type=compression)]).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as file:
        cards(file[1].header, scale, zero, blank, keyword)
    return 1


def case(directory, name, raw, scale, zero, blank, keyword, compression):
    suffix = ".fits.gz" if name.endswith("_gz") else ".fits"
    hdu = write(os.path.join(directory, name + suffix), raw, scale, zero, blank, keyword, compression)
    values = raw.astype(np.float64) * scale + zero
    if blank is not None:
        values[raw == blank] = np.nan
    known = values[~np.isnan(values)]
    print(name + suffix, hdu, int(np.isnan(values).sum()), known.min(), known.max(), known.mean())


def main(directory, seed, count):
    random = np.random.default_rng(int(seed))
    for name, (kind, scale, zero, blank, keyword, compression) in NAMED.items():
        raw = random.integers(901, 1094, (40, 60)).astype(kind)
        raw.flat[:564] = blank
        case(directory, name, raw, scale, zero, blank, keyword, compression)
    case(directory, "blank_mask_gz", np.zeros((2048, 2048), "u1"), 1.0, 0.0, None, "BLANK", None)
    for number in range(int(count)):
        kind = random.choice(["u1", "i2", "i4", "i8"])
        compression = random.choice([None, "RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
        if kind == "i8":
            compression = None
        # HCOMPRESS has only 24 bits or so to itself.
        low, high = (0, 250) if kind == "u1" else (-20_000, 20_000)
        # Tiles of less than 4 x 4 pixels are not for HCOMPRESS.
        shape = random.integers(1, 15, 2) * 4
        raw = random.integers(low, high, shape).astype(kind)
        blank = None
        if random.random() < 0.6:
            blank = 255 if kind == "u1" else -32_768
            share = random.random() * 0.5
            raw[random.random(raw.shape) < share] = blank
            raw.flat[0] = 1
        keyword = "ZBLANK" if compression and random.random() < 0.5 else "BLANK"
        scale, zero = random.choice([1.0, 0.5, 2.5, -0.1]), random.choice([0.0, 100.0, 32768.0])
        name = f"made_{number}_{kind}_{compression}_{keyword if blank is not None else 'all'}"
        case(directory, name, raw, scale, zero, blank, keyword, compression)


main(*sys.argv[1:])
