//! What numpy and astropy make of the same catalogues.

use crate::made::{file, input, profile, wfcam};
use arrow_array::RecordBatch;
use model::ProgrammeId;
use process::catalogue::{CatalogueTask, DetectionSink, extract};
use stage::{StageError, StagedWriter};
use std::path::PathBuf;

/// A sink that writes `detection.parquet` into a directory.
pub struct Staged {
    pub dir: PathBuf,
    pub writer: Option<StagedWriter>,
}

impl DetectionSink for Staged {
    type Error = StageError;
    fn begin(&mut self, _: ProgrammeId, expected_rows: u64) -> Result<(), StageError> {
        let table = model::tables::table("detection").unwrap();
        self.writer =
            Some(StagedWriter::create(&self.dir, table, "detection.parquet", expected_rows)?);
        Ok(())
    }
    fn rows(&mut self, rows: &RecordBatch) -> Result<(), StageError> {
        self.writer.as_mut().unwrap().write(rows)
    }
    fn end(&mut self) -> Result<(), StageError> {
        self.writer.take().unwrap().finish(ProgrammeId::new(101)).map(drop)
    }
}

/// Everything computed again from the FITS file, in double precision.
const SCRIPT: &str = r#"
import sys
import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.wcs import WCS

catalogue, staged = sys.argv[1:]
table = pq.read_table(staged)
assert table.num_columns == 150, table.num_columns
first = 0
hdus = fits.open(catalogue, memmap=False)
for hdu in hdus[1:]:
    data = hdu.data
    rows = len(data)
    part = table.slice(first, rows)
    first += rows
    def got(name):
        return part.column(name).to_numpy(zero_copy_only=False).astype(float)
    def ulps(name, wanted, allowed, unit=np.float32):
        found, wanted = got(name).astype(unit), wanted.astype(unit)
        assert (np.isnan(found) == np.isnan(wanted)).all(), name
        off = np.abs(found - wanted) / np.spacing(np.abs(wanted))
        assert np.nanmax(off, initial=0) <= allowed, (name, np.nanmax(off))

    for ttype, name in [("Isophotal_flux", "iso_flux"), ("Aper_flux_5", "aper_flux5"),
                        ("Sky_level", "sky"), ("Areal_3_profile", "a_prof3")]:
        assert (got(name) == data[ttype]).all(), name
    # The WCS of the test's detectors, by wcslib.
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---ZPN", "DEC--ZPN"]
    wcs.wcs.crpix = [2953.8, -905.4]
    wcs.wcs.crval = [66.0, 25.0]
    wcs.wcs.cd = [[-1.114e-4, 1.3e-7], [1.3e-7, 1.114e-4]]
    wcs.wcs.set_pv([(2, 1, 1.0), (2, 3, -50.0)])
    wcs.wcs.set()
    x, y = data["X_coordinate"].astype(float), data["Y_coordinate"].astype(float)
    assert (got("x") == x).all() and (got("y") == y).all()
    wanted = wcs.wcs_pix2world(x, y, 1)
    apart = np.hypot((got("ra") - wanted[0]) * np.cos(np.radians(wanted[1])), got("dec") - wanted[1])
    assert apart.max() < 1e-11, apart.max() # double precision
    ra, dec = np.degrees(data["RA"].astype(float)), np.degrees(data["DEC"].astype(float))
    assert np.abs(got("ra") - ra).max() < 0.05 / 3600 # the catalogue's are in single precision
    assert np.abs(got("dec") - dec).max() < 0.01 / 3600
    ra, dec = np.radians(got("ra")), np.radians(got("dec"))
    vector = [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    for name, wanted in zip(["cx", "cy", "cz"], vector):
        assert np.abs(got(name) - wanted).max() < 4e-16, name

    # CASU: r in radians from CRPIX through the matrix.
    dx, dy = x - 2953.8, y + 905.4
    xi, eta = -1.114e-4 * dx + 1.3e-7 * dy, 1.3e-7 * dx + 1.114e-4 * dy
    r2 = np.radians(xi) ** 2 + np.radians(eta) ** 2
    distort = 1 / ((1 - 150 * r2) * (1 - 50 * r2))
    ulps("distort_corr", -2.5 * np.log10(distort), 1)
    ulps("delta_mag", -2.5 * np.log10(distort * 10 ** (0.4 * 0.002)), 2)
    zero = 22.5 - (1.15 - 1) * 0.05 + 2.5 * np.log10(10.0)
    corrections = [0.6, 0.3, 0.12, 0.06, 0.03, 0.015, 0.007]
    for n in range(1, 14):
        flux = data[f"Aper_flux_{n}"].astype(float)
        error = data[f"Aper_flux_{n}_err"].astype(float)
        with np.errstate(all="ignore"):
            scaled = np.where(flux > 0, flux * 10 ** (0.4 * 0.002) * distort, np.nan)
            mag = zero - 2.5 * np.log10(scaled)
            mag_err = np.where(flux > 0, 2.5 * np.log1p(error / flux) / np.log(10), np.nan)
        if n <= 7:
            ulps(f"aper_mag_no_aper_corr{n}", mag, 1)
            mag = mag - corrections[n - 1]
        ulps(f"aper_mag{n}", mag, 1)
        ulps(f"aper_mag{n}_err", mag_err, 1)
    ulps("iso_mag", zero - 2.5 * np.log10(data["Isophotal_flux"].astype(float) * 10 ** 0.0008 * distort), 1)
    assert part.column("psf_flux").null_count == rows
hdus.close()
assert first == table.num_rows
print("rows", first)
"#;

#[test]
fn foreign_numpy_computes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut tables = [wfcam(1500), wfcam(700)];
    for n in 0..50 {
        let flux = [0.0, -1.0, 1e-3, 7e8][n % 4];
        tables[0].poke("Aper_flux_9", n * 7, flux).poke("Aper_flux_2", n * 5, flux);
    }
    let path = dir.path().join("w20071011_00007_st_cat.fits");
    std::fs::write(&path, file(&tables)).unwrap();
    let inputs = [input(7, "w20071011_00007_st.fit", &path, "w20071011_00007_st_cat.fits")];
    let detectors = [2, 3].map(|ext| crate::made::detector(7, ext));
    let detectors = detectors.into_iter().map(|d| ((d.multiframe_id, d.ext_num), d)).collect();
    let profile = profile("wfcam", &[]);
    let task = CatalogueTask { inputs: &inputs, detectors: &detectors, profile: &profile };
    let mut sink = Staged { dir: dir.path().to_owned(), writer: None };
    let report = extract(&task, &mut sink).unwrap();
    assert_eq!(report.rows.values().sum::<u64>(), 2200);
    let staged = dir.path().join("detection.parquet");
    if let Some(said) = testkit::python_script("detections again", SCRIPT, &[path, staged]) {
        assert_eq!(said.trim(), "rows 2200");
    }
}
