"""Makes images in every compression with astropy and cfitsio, and beside each what astropy reads from it.

Usage: make_images.py DIRECTORY. Prints a line per image: file, HDU, type of the values, where they are (as
little-endian doubles), how they were made.
"""

import sys
import warnings
from pathlib import Path

import fitsio
import numpy as np
from astropy.io import fits
from astropy.io.fits.hdu.compressed._codecs import Rice1

out = Path(sys.argv[1])
random = np.random.default_rng(20071011)
made = 0
METHODS = {-1: "NO_DITHER", 1: "SUBTRACTIVE_DITHER_1", 2: "SUBTRACTIVE_DITHER_2"}


def sky(shape, dtype, sigma=20.0):
    pixels = random.normal(300.0, sigma, shape)
    pixels.flat[random.integers(0, pixels.size, 5)] = 250 if dtype == np.uint8 else 20_000
    if dtype == np.uint8:
        pixels = np.clip(pixels - 200, 0, 255)
    return pixels.astype(dtype)


def mask(shape, dtype):
    pixels = np.zeros(shape, dtype)
    pixels[..., 3:9] = 7
    pixels[..., -1] = 1
    pixels.flat[random.integers(0, pixels.size, 30)] = 100
    return pixels


def describe(path, hdu, how, cfitsio_agrees=True):
    """What astropy reads; cfitsio must agree, but where it is known not to."""
    global made
    with fits.open(path) as opened:
        values = np.array(opened[hdu].data)
    doubles = values.astype("<f8")
    # It compresses cubes at most, and never heard of NOCOMPRESS.
    cfitsio_agrees &= hdu == 0 or (values.ndim <= 3 and "NOCOMPRESS" not in how)
    if cfitsio_agrees and (values.dtype.itemsize < 8 or values.dtype.kind == "f"):
        with fitsio.FITS(path) as opened:
            other = opened[hdu].read()
        scale = np.abs(doubles).max(initial=1, where=np.isfinite(doubles))
        assert np.allclose(doubles, other, rtol=0, atol=1e-6 * scale, equal_nan=True), (path, how)
    beside = path.with_suffix(".f64")
    doubles.tofile(beside)
    made += 1
    print(path, hdu, values.dtype.name, beside, how.replace(" ", "_"))


def by_astropy(data, how, **options):
    path = out / f"astropy{made}.fits"
    fits.CompImageHDU(data, **options).writeto(path)
    describe(path, 1, f"{how} {data.dtype} {data.shape} {options}")


def by_cfitsio(data, how, header=None, **options):
    path = out / f"cfitsio{made}.fits"
    with fitsio.FITS(path, "rw") as opened:
        opened.write(data, header=header, **options)
    describe(path, 1, f"{how} {data.dtype} {data.shape} {options}")


def plain_images():
    for dtype in ("u1", "i2", "i4", "i8", "f4", "f8", "i1", "u2", "u4", "u8"):
        path = out / f"plain{made}.fits"
        data = (random.random((9, 13)) * 200).astype(dtype)
        if dtype[0] == "f":
            data[3, 4], data[0, 0], data[1, 1] = np.nan, np.inf, -np.inf
        fits.PrimaryHDU(data).writeto(path)
        describe(path, 0, f"plain {dtype}")
    for shape in ((5,), (1,), (2, 3, 4), (2, 1, 3, 4)):
        path = out / f"plain{made}.fits"
        fits.PrimaryHDU(np.arange(np.prod(shape), dtype="i4").reshape(shape)).writeto(path)
        describe(path, 0, f"plain {shape}")
    for dtype, blank in (("i2", -32768), ("i4", 7), ("u1", 3)):
        data = np.arange(12, dtype=dtype).reshape(3, 4)
        header = fits.PrimaryHDU(data).header
        header["BLANK"], header["BSCALE"], header["BZERO"] = blank, 0.5, 3.0
        path = out / f"plain{made}.fits"
        stored = data.astype(data.dtype.newbyteorder(">")).tobytes()
        path.write_bytes(header.tostring().encode() + stored.ljust(2880, b"\0"))
        # fitsio does not turn blank pixels into NaN.
        describe(path, 0, f"blank {dtype}", cfitsio_agrees=False)


def compressed_images():
    integers = [np.uint8, np.int16, np.int32, np.uint16]
    shapes = [((40, 67), None), ((40, 67), (7, 11)), ((5, 40, 33), (2, 8, 33)), ((3, 4, 5, 6), (2, 3, 2, 4))]
    for name in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1", "NOCOMPRESS"):
        for shape, tile in shapes:
            if name == "HCOMPRESS_1":
                # Two dimensions, and no tile with less than four pixels in either.
                shape, tile = ((1, 30, 41), (1, 10, 41)) if len(shape) > 2 else ((40, 67), (9, 10))
            for dtype in integers:
                if name == "PLIO_1" and dtype == np.uint16:
                    continue
                data = (mask if name == "PLIO_1" else sky)(shape, dtype)
                if dtype in (np.int16, np.int32) and name != "PLIO_1":
                    data -= 300
                by_astropy(data, name, compression_type=name, tile_shape=tile)
    by_astropy(random.integers(-2**62, 2**62, (6, 9)), "GZIP_1", compression_type="GZIP_1")
    for level in (2, 4, 16):
        data = sky((48, 50), np.int32)
        for smooth in (0, 1):
            by_astropy(data, "HCOMPRESS_1", compression_type="HCOMPRESS_1", hcomp_scale=level, hcomp_smooth=smooth,
                       tile_shape=(48, 50))
            by_astropy(data[:17, :23], "HCOMPRESS_1", compression_type="HCOMPRESS_1", hcomp_scale=level,
                       hcomp_smooth=smooth, tile_shape=(17, 23))
    # Differences of every size, up to those that wrap.
    for dtype in (np.int16, np.int32):
        info = np.iinfo(dtype)
        wild = random.integers(info.min, info.max, (20, 70), dtype=dtype, endpoint=True)
        wild[5] = 0
        wild[6, ::2] = info.min
        wild[7] >>= random.integers(0, info.bits - 1, 70).astype(dtype)
        by_astropy(wild, "RICE_1", compression_type="RICE_1", tile_shape=(4, 70))


def quantized_images():
    data = random.normal(12.0, 3.0, (40, 67))
    data[3, 4:9] = 0.0
    data[17] = 5.0
    with_nan = data.copy()
    with_nan[10, 20:40] = np.nan
    with_nan[11] = np.nan
    for dtype in (np.float32, np.float64):
        for method in (-1, 1, 2):
            for name in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"):
                for seed in (1, 10_000):
                    tile = (40, 67) if name == "HCOMPRESS_1" else (7, 11) if seed > 1 else (1, 67)
                    by_astropy(data.astype(dtype), name, compression_type=name, quantize_method=method,
                               dither_seed=seed, tile_shape=tile)
                    if name == "RICE_1":
                        by_cfitsio(with_nan.astype(dtype), name, compress=name, qlevel=4, qmethod=METHODS[method],
                                   dither_seed=seed, tile_dims=tile)
        for name in ("GZIP_1", "GZIP_2"):
            by_astropy(with_nan.astype(dtype), name, compression_type=name, quantize_level=0.0)
            by_cfitsio(with_nan.astype(dtype), name, compress=name, qlevel=0)
    # A tile longer than the random sequence.
    long = random.normal(0.0, 1.0, (150, 170)).astype(np.float32)
    by_astropy(long, "RICE_1", compression_type="RICE_1", quantize_method=1, dither_seed=9_999, tile_shape=(150, 170))


def rice_codes():
    """Codes to compare with those of the encoder here: pixels and code in files of their own."""
    for bytes_, dtype in ((1, np.uint8), (2, np.int16), (4, np.int32)):
        for block in (16, 32, 7):
            info = np.iinfo(dtype)
            sky_ = random.normal(100, 12, 1000).clip(0, 255).astype(dtype)
            wild = random.integers(info.min, info.max, 500, dtype=dtype, endpoint=True)
            steps = (wild >> random.integers(0, info.bits - 1, 500).astype(dtype)).astype(dtype)
            flat = np.full(100, 7, dtype)
            for pixels in (np.concatenate([sky_, flat, steps, wild]), sky_[:1], sky_[:33], flat):
                name = f"rice_{made}_{bytes_}_{block}_{pixels.size}"
                code = Rice1(blocksize=block, bytepix=bytes_, tilesize=pixels.size).encode(pixels)
                (out / f"{name}.code").write_bytes(code)
                pixels.astype(np.dtype(dtype).newbyteorder("<")).tofile(out / f"{name}.pixels")


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    plain_images()
    compressed_images()
    quantized_images()
    rice_codes()
