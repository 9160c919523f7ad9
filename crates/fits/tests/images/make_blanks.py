"""Spells the blank pixels of compressed images in every way that readers know.

Usage: make_blanks.py DIRECTORY. Prints a line per image: file, its values (as little-endian doubles), how the blank
pixels are spelled. Values of integers are computed by numpy from what was stored, those of floats are cfitsio's; each
reader that knows a spelling must read the same.
"""

import sys
from pathlib import Path

import fitsio
import numpy as np
from astropy.io import fits

out = Path(sys.argv[1])
random = np.random.default_rng(20101224)
made = 0


def taken_apart(path):
    """Primary HDU, header of the table, its rows, its heap."""
    content = path.read_bytes()
    with fits.open(path, disable_image_compression=True) as opened:
        header = opened[1].header.copy()
        start = opened.fileinfo(1)["datLoc"]
        begin = opened.fileinfo(1)["hdrLoc"]
    width, count = header["NAXIS1"], header["NAXIS2"]
    rows = [content[start + n * width : start + (n + 1) * width] for n in range(count)]
    heap = content[start + width * count : start + width * count + header["PCOUNT"]]
    return content[:begin], header, rows, heap


def put_together(path, primary, header, rows, heap):
    def padded(data, fill):
        return data + fill * (-len(data) % 2880)

    header["NAXIS1"] = len(rows[0])
    for keyword in ("CHECKSUM", "DATASUM"):
        header.remove(keyword, ignore_missing=True)
    path.write_bytes(primary + header.tostring().encode() + padded(b"".join(rows) + heap, b"\0"))


def add_column(header, rows, values):
    """The column ZBLANK, one value per tile."""
    number = header["TFIELDS"] + 1
    header["TFIELDS"] = number
    header.set(f"TTYPE{number}", "ZBLANK", after=f"TFORM{number - 1}")
    header.set(f"TFORM{number}", "1J", after=f"TTYPE{number}")
    return [row + int(value).to_bytes(4, "big", signed=True) for row, value in zip(rows, values, strict=True)]


def describe(path, how, wanted, readers):
    """`wanted` are the values; `readers` are those that read blank pixels of this spelling."""
    global made
    for reader in readers:
        if reader == "cfitsio":
            with fitsio.FITS(path) as opened:
                values = opened[1].read()
        else:
            with fits.open(path) as opened:
                values = np.array(opened[1].data)
        assert np.allclose(values, wanted, rtol=1e-6, atol=0, equal_nan=True), (reader, how)
    beside = path.with_suffix(".f64")
    np.asarray(wanted, "<f8").tofile(beside)
    made += 1
    print(path, beside, how.replace(" ", "_"))


def spelled(base, how, wanted, readers=("cfitsio", "astropy"), values=None, **cards):
    """The image `base` with other cards for blank pixels, and perhaps a column of them."""
    primary, header, rows, heap = taken_apart(base)
    header.remove("BLANK", ignore_missing=True)
    header.remove("ZBLANK", ignore_missing=True)
    for keyword, value in cards.items():
        header[keyword] = value
    if values is not None:
        rows = add_column(header, rows, values)
    path = out / f"blank{made}.fits"
    put_together(path, primary, header, rows, heap)
    describe(path, f"{base.stem} {how}", wanted, readers)


def physical(stored, blank, tile):
    """Stored integers as numbers; `blank` has a value per tile, or `None`."""
    values = stored * 0.5 + 600.0
    number = 0
    for y in range(0, stored.shape[0], tile[0]):
        for x in range(0, stored.shape[1], tile[1]):
            place = np.s_[y : y + tile[0], x : x + tile[1]]
            if blank is not None:
                values[place][stored[place] == blank[number]] = np.nan
            number += 1
    return values


def integers():
    """BSCALE and BZERO make floats of them, so that blank pixels can be NaN in every reader."""
    for name in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
        for dtype, blank in ((np.uint8, 255), (np.int16, -32768), (np.int32, -2147483648)):
            if name in ("PLIO_1", "HCOMPRESS_1"):
                blank = 255
            stored = random.integers(0, 9, (21, 34)).astype(dtype)
            stored[random.random(stored.shape) < 0.2] = blank
            tile = (7, 34) if name == "HCOMPRESS_1" else (7, 17)
            base = out / f"{name}_{np.dtype(dtype).name}.fits"
            hdu = fits.CompImageHDU(stored, compression_type=name, tile_shape=tile)
            hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 600.0
            hdu.writeto(base)
            tiles = 3 * (34 // tile[1])
            spell_integers(base, stored, blank, tile, tiles)


def spell_integers(base, stored, blank, tile, tiles):
    none = physical(stored, None, tile)
    same = physical(stored, [blank] * tiles, tile)
    # A value that is blank in one tile and a number in the next.
    several = [(blank, 3, 5)[n % 3] for n in range(tiles)]
    each = physical(stored, several, tile)
    spelled(base, "nothing", none)
    spelled(base, "ZBLANK", same, ZBLANK=blank)
    # fitsio keeps the numbers then; the library that it wraps does not.
    spelled(base, "BLANK", same, ["astropy"], BLANK=blank)
    # astropy takes the other one: the standard has ZBLANK count.
    spelled(base, "ZBLANK before BLANK", same, ["cfitsio"], ZBLANK=blank, BLANK=3)
    # astropy does not take a column for integers.
    spelled(base, "a column", same, ["cfitsio"], values=[blank] * tiles)
    spelled(base, "a column before keywords", same, ["cfitsio"], values=[blank] * tiles, ZBLANK=3, BLANK=3)
    spelled(base, "a column of several", each, ["cfitsio"], values=several)
    spelled(base, "a float", same, ["cfitsio"], ZBLANK=float(blank))
    spelled(base, "a text", same, ["cfitsio"], ZBLANK=str(blank))


def floats():
    """Quantised by cfitsio, which spells their blank pixels as the keyword ZBLANK."""
    data = random.normal(12.0, 3.0, (21, 34)).astype("f4")
    data[random.random(data.shape) < 0.2] = np.nan
    for name in ("RICE_1", "GZIP_1", "GZIP_2"):
        for method in ("NO_DITHER", "SUBTRACTIVE_DITHER_1", "SUBTRACTIVE_DITHER_2"):
            base = out / f"{name}_{method}.fits"
            with fitsio.FITS(base, "rw") as opened:
                opened.write(data, compress=name, qlevel=4, qmethod=method, tile_dims=(7, 17), dither_seed=7)
            with fitsio.FITS(base) as opened:
                wanted = opened[1].read()
            assert (np.isnan(wanted) == np.isnan(data)).all(), base
            with fits.open(base, disable_image_compression=True) as opened:
                columns = {column.name for column in opened[1].columns}
                blank = opened[1].header.get("ZBLANK", -2147483647)
            if "ZBLANK" in columns:
                spelled(base, "a column", wanted)
                continue
            spelled(base, "ZBLANK", wanted, ZBLANK=blank)
            spelled(base, "BLANK", wanted, [], BLANK=blank)
            spelled(base, "ZBLANK before BLANK", wanted, ["cfitsio"], ZBLANK=blank, BLANK=3)
            spelled(base, "a column", wanted, ["cfitsio"], values=[blank] * 6)
            spelled(base, "a column before keywords", wanted, ["cfitsio"], values=[blank] * 6, ZBLANK=3, BLANK=3)


integers()
floats()
