//! Measures how fast catalogues become staged Parquet: `catalogue_speed [FILES] [THREADS] [ROUNDS]`.
//!
//! Writes WFCAM catalogues of four HDUs with 1000 rows each into a scratch directory, then works on them in
//! one catalogue task per thread, each with its share of the files. Prints detections per second of
//! the median round, with and without writing Parquet.

use arrow_array::RecordBatch;
use fits::write::{Checks, Column, HeaderBuilder, Values, bin_table, primary};
use model::detector::{CardValue, Detector, Photometry};
use model::profile::{SurveyProfile, shipped};
use model::task::{CatalogueRef, FileRef, TaskInput};
use model::{ExtNum, MultiframeId, ProgrammeId};
use process::catalogue::{CatalogueTask, DetectionSink, extract, staged_file_name};
use stage::{StageError, StagedWriter};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

const HDUS: i16 = 4;
const ROWS: usize = 1000;

type Detectors = BTreeMap<(MultiframeId, ExtNum), Detector>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (files, threads, rounds) = (next(60)?, next(2)?, next(5)?);
    let dir = tempfile::tempdir()?;
    let (inputs, detectors) = night(dir.path(), files)?;
    let (_, text) = shipped().iter().find(|(name, _)| *name == "wfcam").ok_or("no profile")?;
    let profile = SurveyProfile::parse(text)?;
    let rows = files * HDUS as usize * ROWS;
    println!("{files} files, {rows} rows, {threads} threads");
    for parquet in [false, true] {
        let mut seconds: Vec<f64> = Vec::new();
        let mut bytes = 0;
        for _ in 0..rounds {
            let start = Instant::now();
            bytes = round(&inputs, &detectors, &profile, threads, parquet.then_some(dir.path()));
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds[rounds / 2];
        println!(
            "{:24} {:9.0} rows/s  {:.2} us per row and thread (best {:.2})  {:.1} bytes/row",
            if parquet { "to staged Parquet" } else { "to record batches" },
            rows as f64 / median,
            median * 1e6 * threads as f64 / rows as f64,
            seconds[0] * 1e6 * threads as f64 / rows as f64,
            bytes as f64 / rows as f64
        );
    }
    Ok(())
}

/// Works on all inputs once; returns the bytes written.
fn round(
    inputs: &[TaskInput],
    detectors: &Detectors,
    profile: &SurveyProfile,
    threads: usize,
    dir: Option<&Path>,
) -> u64 {
    std::thread::scope(|scope| {
        let share = inputs.len().div_ceil(threads);
        let workers: Vec<_> = inputs
            .chunks(share)
            .enumerate()
            .map(|(n, inputs)| {
                scope.spawn(move || {
                    let task = CatalogueTask { inputs, detectors, profile };
                    let dir = dir.map(|dir| dir.join(format!("attempt-{n}")));
                    if let Some(dir) = &dir {
                        std::fs::create_dir_all(dir).expect("the scratch directory is ours");
                    }
                    let mut sink = Sink { dir, writer: None, bytes: 0, rows: 0 };
                    let report = extract(&task, &mut sink).expect("the files are sound");
                    assert_eq!(report.rows.values().sum::<u64>(), sink.rows);
                    assert_eq!(sink.rows as usize, inputs.len() * HDUS as usize * ROWS);
                    sink.bytes
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().expect("a worker ends")).sum()
    })
}

struct Sink {
    dir: Option<PathBuf>,
    writer: Option<(ProgrammeId, StagedWriter)>,
    bytes: u64,
    rows: u64,
}

impl DetectionSink for Sink {
    type Error = StageError;

    fn begin(&mut self, programme: ProgrammeId, expected_rows: u64) -> Result<(), StageError> {
        let table = model::tables::table("detection").expect("part of the program");
        if let Some(dir) = &self.dir {
            let name = staged_file_name(programme);
            self.writer =
                Some((programme, StagedWriter::create(dir, table, &name, expected_rows)?));
        }
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch) -> Result<(), StageError> {
        self.rows += rows.num_rows() as u64;
        match &mut self.writer {
            Some((_, writer)) => writer.write(rows),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), StageError> {
        if let Some((programme, writer)) = self.writer.take() {
            self.bytes += writer.finish(Some(programme))?.bytes;
        }
        Ok(())
    }
}

/// Catalogues and their detectors.
fn night(
    dir: &Path,
    files: usize,
) -> Result<(Vec<TaskInput>, Detectors), Box<dyn std::error::Error>> {
    let mut random = Random(88_172_645_463_325_252);
    let mut detectors = Detectors::new();
    let mut inputs = Vec::new();
    for n in 0..files {
        let id = MultiframeId::new(n as i64 + 1).ok_or("ids count from 1")?;
        let mut bytes = Vec::new();
        primary(&mut bytes, &HeaderBuilder::new(), Checks::Written)?;
        for hdu in 1..=HDUS {
            let detector = detector(id, hdu);
            catalogue(&mut bytes, &detector, &mut random)?;
            detectors.insert((id, detector.ext_num), detector);
        }
        let name = format!("w20071011_{n:05}_st_cat.fits");
        let path = dir.join(&name);
        std::fs::write(&path, &bytes)?;
        let length = bytes.len() as u64;
        let file = |name: String, path: PathBuf| FileRef {
            path,
            name,
            bytes: length,
            sha256: model::Sha256::new([0; 32]),
            refused_hdus: Vec::new(),
        };
        inputs.push(TaskInput {
            multiframe_id: id,
            image: file(format!("w20071011_{n:05}_st.fit"), PathBuf::new()),
            catalogue: Some(CatalogueRef { file: file(name, path), version: 1, done: Vec::new() }),
        });
    }
    Ok((inputs, detectors))
}

fn detector(id: MultiframeId, hdu: i16) -> Detector {
    let number = |n| CardValue::Number(n);
    let text = |t: &str| CardValue::Text(t.to_owned());
    let wcs = [
        ("CTYPE1", text("RA---ZPN")),
        ("CTYPE2", text("DEC--ZPN")),
        ("CRPIX1", number(if hdu % 2 == 0 { -905.4 } else { 2953.8 })),
        ("CRPIX2", number(if hdu > 2 { -905.4 } else { 2953.8 })),
        ("CRVAL1", number(66.0 + id.get() as f64 * 0.5)),
        ("CRVAL2", number(25.0)),
        ("CD1_1", number(-1.114e-4)),
        ("CD1_2", number(1.3e-7)),
        ("CD2_1", number(1.3e-7)),
        ("CD2_2", number(1.114e-4)),
        ("PV2_1", number(1.0)),
        ("PV2_3", number(-50.0)),
    ];
    Detector {
        multiframe_id: id,
        ext_num: ExtNum::of_hdu(hdu.unsigned_abs()).expect("small"),
        catalogue_hdu: Some(hdu.unsigned_abs()),
        names: BTreeMap::new(),
        catalogue_rows: Some(ROWS as u64),
        programme_id: ProgrammeId::new(101),
        filter_id: Some(5),
        mjd: Some(54_384.55 + id.get() as f64 * 1e-3),
        size_px: Some([2048, 2048]),
        photometry: Photometry {
            zero_point: Some(22.5),
            extinction: Some(0.05),
            exposure_s: Some(10.0),
            airmass_start: Some(1.1),
            airmass_end: Some(1.2),
            aperture_corrections: [0.6, 0.3, 0.12, 0.06, 0.03, 0.015, 0.007].map(Some),
            percentage_correction: Some(0.002),
            ..Photometry::default()
        },
        wcs: wcs.map(|(keyword, value)| (keyword.to_owned(), value)).into(),
    }
}

struct Random(u64);

impl Random {
    /// Evenly within 0 and 1.
    fn even(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, with unit variance.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

const RADII: [f64; 13] = [0.5, 0.707, 1.0, 1.414, 2.0, 2.828, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0];

/// A catalogue in WFCAM's layout of 80 single-precision columns.
fn catalogue(
    out: &mut Vec<u8>,
    detector: &Detector,
    random: &mut Random,
) -> Result<(), Box<dyn std::error::Error>> {
    struct Cards<'a>(&'a BTreeMap<String, CardValue>);
    impl sky::Keywords for Cards<'_> {
        fn text(&self, keyword: &str) -> Option<String> {
            match self.0.get(keyword) {
                Some(CardValue::Text(text)) => Some(text.clone()),
                _ => None,
            }
        }
        fn number(&self, keyword: &str) -> Option<f64> {
            match self.0.get(keyword) {
                Some(CardValue::Number(number)) => Some(*number),
                _ => None,
            }
        }
    }
    let wcs = sky::Wcs::from_image(&Cards(&detector.wcs))?;
    let mut columns: Vec<(String, &str, Vec<f32>)> = Vec::new();
    let rows: Vec<Vec<f32>> = (0..ROWS).map(|n| row(n, &wcs, random)).collect();
    for (n, name) in names().into_iter().enumerate() {
        let unit = if name == "RA" || name == "DEC" { "Radians" } else { "" };
        columns.push((name, unit, rows.iter().map(|row| row[n]).collect()));
    }
    let columns: Vec<Column<'_>> = columns
        .iter()
        .map(|(name, unit, values)| Column { name, unit, values: Values::F32(values) })
        .collect();
    bin_table(out, ROWS, &columns, &HeaderBuilder::new(), Checks::Written)?;
    Ok(())
}

fn names() -> Vec<String> {
    let with_err = |name: &str| [name.to_owned(), format!("{name}_err")];
    let mut names: Vec<String> = vec!["Sequence_number".into(), "Isophotal_flux".into()];
    names.extend(with_err("X_coordinate"));
    names.extend(with_err("Y_coordinate"));
    names.extend(["Gaussian_sigma", "Ellipticity", "Position_angle"].map(str::to_owned));
    names.extend((1..=8).map(|n| format!("Areal_{n}_profile")));
    names.extend(with_err("Peak_height"));
    names.extend((1..=13).flat_map(|n| with_err(&format!("Aper_flux_{n}"))));
    names.extend(["Petr_radius", "Kron_radius", "Hall_radius"].map(str::to_owned));
    names.extend(["Petr_flux", "Kron_flux", "Hall_flux"].iter().flat_map(|n| with_err(n)));
    names.extend(
        ["Error_bit_flag", "Sky_level", "Sky_rms", "Parent_or_child", "RA", "DEC"]
            .map(str::to_owned),
    );
    names.extend(["Classification", "Statistic"].map(str::to_owned));
    names.extend(["PSF_flux", "PSF_fit_X", "PSF_fit_Y"].iter().flat_map(|n| with_err(n)));
    names.extend(["PSF_fit_chi2", "PSF_fit_dof"].map(str::to_owned));
    for d in ["1D", "2D"] {
        names.extend(
            ["flux", "scale_len", "index", "fit_chi2", "fit_nu"]
                .map(|what| format!("{d}_Sersic_{what}")),
        );
    }
    assert_eq!(names.len(), 80);
    names
}

fn row(n: usize, wcs: &sky::Wcs, random: &mut Random) -> Vec<f32> {
    let (x, y) = (1.0 + 2046.0 * random.even(), 1.0 + 2046.0 * random.even());
    let total = 10_f64.powf(2.5 + 3.0 * random.even().powi(2));
    let position = wcs.pixel_to_sky(x, y).expect("on the sky");
    let peak = total / 12.0;
    let mut flux = |fraction: f64, radius: f64| {
        let error = (total * fraction / 4.5 + std::f64::consts::PI * radius * radius * 81.0).sqrt();
        [total * fraction + error * random.normal(), error]
    };
    let apertures: Vec<[f64; 2]> =
        RADII.iter().map(|r| flux(1.0 - (-2.2 * r * r).exp(), 2.5 * r)).collect();
    let wide = [flux(0.97, 5.0), flux(0.96, 5.0), flux(0.5, 2.5)];
    let mut row = vec![n as f64 + 1.0, total * (0.9 + 0.01 * random.normal())];
    row.extend([x, 0.01 + 2.0 / total.sqrt(), y, 0.01 + 2.0 / total.sqrt()]);
    row.extend([1.5 + 0.1 * random.normal().abs(), 0.3 * random.even(), 180.0 * random.even()]);
    let area = 4.0 + 20.0 * total.log10();
    row.extend((0..8).map(|level| (area * 0.7_f64.powi(level)).floor()));
    row.extend([peak, (peak / 4.5 + 81.0).sqrt()]);
    row.extend(apertures.into_iter().flatten());
    row.extend([4.0 + random.even(), 3.0 + random.even(), 1.8 + 0.2 * random.even()]);
    row.extend(wide.into_iter().flatten());
    let bad = if random.even() < 0.02 { (random.even() * 9.0).floor() } else { 0.0 };
    row.extend([bad, 1000.0 + random.normal(), 9.0 + 0.1 * random.normal(), 0.0]);
    row.extend([position.ra_deg.to_radians(), position.dec_deg.to_radians()]);
    row.extend([if random.even() < 0.6 { -1.0 } else { 1.0 }, 3.0 * random.normal()]);
    row.resize(80, 0.0);
    row.into_iter().map(|v| v as f32).collect()
}
