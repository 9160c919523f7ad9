"""The peer: what a careful Python team would write with fitsio, astropy, numpy, Pillow and pyarrow.

Each step takes files and leaves files, on two processes. `python peer.py STEP DELIVERY OUT [PROCESSES]`.
"""

import hashlib
import os
import shutil
import sqlite3
import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np


def images(delivery):
    return sorted(p for p in Path(delivery).iterdir() if p.suffix == ".fit")


def catalogues(delivery):
    return sorted(Path(delivery).glob("*_cat.fits"))


# CU1: copy with a checksum.


def transfer_one(job):
    source, out = job
    digest = hashlib.sha256()
    target = out / source.name
    with open(source, "rb") as src, open(target, "wb") as dst:
        while block := src.read(1 << 20):
            digest.update(block)
            dst.write(block)
        dst.flush()
        os.fsync(dst.fileno())
    return source.name, digest.hexdigest()


def transfer(delivery, out, pool):
    out.mkdir(parents=True, exist_ok=True)
    return pool.map(transfer_one, [(p, out) for p in sorted(Path(delivery).iterdir())], chunksize=4)


# CU2: one quarter-size JPEG per detector.


def preview_one(job):
    import fitsio
    from PIL import Image

    path, out = job
    made = 0
    with fitsio.FITS(str(path)) as fits:
        for number, hdu in enumerate(fits):
            if not hdu.has_data():
                continue
            pixels = hdu.read()
            height, width = pixels.shape
            scale = 4 if min(height, width) >= 256 else 1
            sample = pixels[::8, ::8].astype(np.float32).ravel()
            sky = np.median(sample)
            sigma = 1.4826 * np.median(np.abs(sample - sky)) or 1.0
            trimmed = pixels[: height // scale * scale, : width // scale * scale]
            small = trimmed.reshape(height // scale, scale, width // scale, scale).mean(axis=(1, 3), dtype=np.float32)
            shown = np.arcsinh((small - sky + 2 * sigma) / (2 * sigma)) / np.arcsinh(500.0)
            grey = (255 * np.clip(shown + 0.1, 0, 1)).astype(np.uint8)[::-1]
            Image.fromarray(grey).save(out / f"{path.stem}_{number}.jpg", quality=85)
            made += 1
    return made


def preview(delivery, out, pool):
    out.mkdir(parents=True, exist_ok=True)
    return sum(pool.imap_unordered(preview_one, [(p, out) for p in images(delivery)], chunksize=1))


# CU3: headers of image and catalogue to rows.

SKIP = {"", "COMMENT", "HISTORY"}


def header_row(header):
    return {k: header[k] for k in header.keys() if k not in SKIP}


def metadata_one(path):
    from astropy.io import fits
    from astropy.wcs import WCS
    import warnings

    warnings.simplefilter("ignore")
    frames, detectors = [], []
    companion = path.with_name(path.stem + "_cat.fits")
    with fits.open(path) as image:
        frames.append({"file": path.name, **header_row(image[0].header)})
        for number, hdu in enumerate(image[1:], 1):
            row = {"file": path.name, "ext": number + 1, **header_row(hdu.header)}
            shape = (hdu.header.get("NAXIS1", 0), hdu.header.get("NAXIS2", 0))
            if "CTYPE1" in hdu.header:
                wcs = WCS(hdu.header)
                corners = [(1, 1), (shape[0], 1), shape, (1, shape[1])]
                sky = wcs.all_pix2world(corners, 1)
                row["corners"] = sky.ravel().tolist()
            detectors.append(row)
    if companion.exists():
        with fits.open(companion) as table:
            for number, hdu in enumerate(table[1:], 1):
                detectors[number - 1].update({"cat_" + k: v for k, v in header_row(hdu.header).items()})
    return frames, detectors


def metadata(delivery, out, pool):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out.mkdir(parents=True, exist_ok=True)
    frames, detectors = [], []
    for some_frames, some_detectors in pool.imap(metadata_one, images(delivery), chunksize=4):
        frames += some_frames
        detectors += some_detectors
    for name, rows in (("multiframe", frames), ("multiframe_detector", detectors)):
        names = sorted({k for row in rows for k in row})
        columns = {n: [None if (v := row.get(n)) is None else str(v) for row in rows] for n in names}
        pq.write_table(pa.table(columns), out / f"{name}.parquet", compression="zstd")
    return len(frames)


# CU4: catalogue rows with magnitudes and sky columns.

GALACTIC = np.array(
    [
        [-0.054875539726, -0.873437108010, -0.483834985808],
        [0.494109453312, -0.444829589425, 0.746982251810],
        [-0.867666135858, -0.198076386122, 0.455983795705],
    ]
)
FLUXES = [f"Aper_flux_{n}" for n in range(1, 14)] + ["Petr_flux", "Kron_flux"]


def detections(table, header, primary):
    zero = header.get("MAGZPT", 25.0)
    airmass = 0.5 * (primary.get("AMSTART", 1.0) + primary.get("AMEND", 1.0))
    exposure = primary.get("EXP_TIME", 1.0)
    zero = zero - (airmass - 1.0) * header.get("EXTINCT", 0.05) + 2.5 * np.log10(exposure)
    columns = {name: table[name] for name in table.dtype.names if table[name].ndim == 1}
    with np.errstate(divide="ignore", invalid="ignore"):
        for number, name in enumerate(FLUXES, 1):
            if name not in columns:
                continue
            flux = columns[name].astype(np.float64)
            correction = header.get(f"APCOR{number}", 0.0) or 0.0
            columns[f"mag_{name}"] = (zero - correction - 2.5 * np.log10(flux)).astype(np.float32)
            error = columns.get(f"{name}_err")
            if error is not None:
                columns[f"mag_{name}_err"] = (2.5 * np.log10(1 + error / flux)).astype(np.float32)
    ra, dec = columns["RA"].astype(np.float64), columns["DEC"].astype(np.float64)
    vector = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    g = GALACTIC @ vector
    offset = ra - np.radians(95.0)
    columns.update(
        ra_deg=np.degrees(ra), dec_deg=np.degrees(dec), cx=vector[0], cy=vector[1], cz=vector[2],
        l=np.degrees(np.arctan2(g[1], g[0])) % 360, b=np.degrees(np.arcsin(g[2])),
        **{"lambda": np.degrees(-np.arcsin(np.cos(dec) * np.cos(offset))),
           "eta": np.degrees(np.arctan2(np.sin(dec), np.cos(dec) * np.sin(offset))) - 32.5},
    )
    return columns


def catalogue_one(job):
    import fitsio
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths, target = job
    parts = []
    for path in paths:
        with fitsio.FITS(str(path)) as fits:
            primary = fits[0].read_header()
            for hdu in fits[1:]:
                native = hdu.read()
                native = native.astype(native.dtype.newbyteorder("="))
                parts.append(pa.table(detections(native, hdu.read_header(), primary)))
    table = pa.concat_tables(parts)
    pq.write_table(table, target, compression="zstd", compression_level=1, use_dictionary=False)
    return table.num_rows


def catalogue(delivery, out, pool):
    out.mkdir(parents=True, exist_ok=True)
    files = catalogues(delivery)
    size = max(1, min(50, -(-len(files) // 4)))
    jobs = [(files[i : i + size], out / f"detection_{i}.parquet") for i in range(0, len(files), size)]
    return sum(pool.imap_unordered(catalogue_one, jobs))


# Ingest: into SQLite and the lake.


def ingest(staged, archive):
    import pyarrow.parquet as pq

    archive.mkdir(parents=True, exist_ok=True)
    lake = archive / "lake"
    lake.mkdir(exist_ok=True)
    for part in sorted(staged.glob("detection*.parquet")):
        shutil.copyfile(part, lake / part.name)
    os.sync()
    database = sqlite3.connect(archive / "archive.db")
    for name in ("multiframe", "multiframe_detector"):
        table = pq.read_table(staged / f"{name}.parquet")
        columns = ", ".join(f'"{c}"' for c in range(table.num_columns))
        database.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" * table.num_columns)
        rows = zip(*(c.to_pylist() for c in table.columns))
        database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    database.commit()


def night(delivery, out, pool):
    transfer(delivery, out / "library", pool)
    library = out / "library"
    staged = out / "staged"
    preview(library, out / "previews", pool)
    metadata(library, staged, pool)
    catalogue(library, staged, pool)
    ingest(staged, out)


def main():
    step, delivery, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    processes = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    steps = dict(transfer=transfer, preview=preview, metadata=metadata, catalogue=catalogue, night=night)
    with Pool(processes) as pool:
        steps[step](delivery, out, pool)


if __name__ == "__main__":
    main()
