//! Inputs that were once read wrong, each with the right values. A new one is a line of [`faults`].
//!
//! The values were computed with astropy 8.0 (wcslib, erfa) and CFITSIO, not with this program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/chips.rs"]
mod chips;
#[path = "faults/pair.rs"]
mod pair;
#[path = "headers/plain.rs"]
mod plain;
#[path = "metadata/table.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod table;

use plain::{extract, profile};
use table::{Got, cell};

/// A right value of a column of the first row.
enum Right {
    /// A number, to within.
    Near(f64, f64),
    Text(&'static str),
    Null,
}
use Right::{Near, Null, Text};

/// One input.
struct Fault {
    name: &'static str,
    /// Its file, 60 x 40 pixels.
    cards: Vec<String>,
    /// Table, column, value.
    right: Values,
    /// Codes of the findings, in any order.
    findings: Vec<&'static str>,
}

const DEGREES: f64 = 1e-3 / 3600.0;

/// An image of the sky at RA 120, Dec 29, with other cards put in or in place of these.
fn sky(cards: &[&str]) -> Vec<String> {
    let usual = [
        "CTYPE1  = 'RA---TAN'",
        "CTYPE2  = 'DEC--TAN'",
        "CRVAL1  =                120.0",
        "CRVAL2  =                 29.0",
        "CRPIX1  =                 20.5",
        "CRPIX2  =                 10.5",
        "CD1_1   =              -0.0005",
        "CD1_2   =                  0.0",
        "CD2_1   =                  0.0",
        "CD2_2   =               0.0005",
        "EXPTIME =                 10.0",
    ];
    let replaced = |card: &str| cards.iter().any(|other| other[..8] == card[..8]);
    let kept = usual.into_iter().filter(|card| !replaced(card));
    kept.chain(cards.iter().copied().filter(|card| !card[8..].is_empty()))
        .map(str::to_owned)
        .collect()
}

const TIMED: &str = "DATE-OBS= '2011-01-07T08:33:20.5'";
const DATED: &str = "DATE-OBS= '2025-01-01T03:04:05'";
const PTF: [&str; 19] = [
    DATED,
    "CTYPE1  = 'RA---TAN-SIP'",
    "CTYPE2  = 'DEC--TAN-SIP'",
    "A_ORDER =                    2",
    "B_ORDER =                    2",
    "A_2_0   =                3E-05",
    "A_0_2   =               -2E-05",
    "B_1_1   =                4E-05",
    "B_2_0   =                1E-05",
    "PV1_0   =                0.001",
    "PV1_1   =                 1.01",
    "PV1_2   =                0.002",
    "PV1_4   =                 0.03",
    "PV1_5   =                -0.02",
    "PV1_7   =                  0.5",
    "PV2_0   =               -0.002",
    "PV2_1   =                 0.99",
    "PV2_2   =               -0.001",
    "PV2_4   =                 0.01",
];

fn centre(ra: f64, dec: f64) -> Values {
    vec![
        ("astrometry", "central_ra", Near(ra, DEGREES)),
        ("astrometry", "central_dec", Near(dec, DEGREES)),
    ]
}

fn mjd(value: f64) -> Values {
    vec![("multiframe", "mjd_obs", Near(value, 1e-9))]
}

fn nowhere() -> Values {
    ["central_ra", "central_dec", "l", "b", "htm_id", "healpix29", "footprint", "ra1", "min_ra"]
        .map(|column| ("astrometry", column, Null))
        .into()
}

/// The finding about times that contradict each other.
const CONTRADICTED: &[&str] = &["time_contradicted"];

/// Values of columns that are right: table, column, value.
type Values = Vec<(&'static str, &'static str, Right)>;

fn fault(name: &'static str, cards: &[&str], right: Values, findings: &[&'static str]) -> Fault {
    Fault { name, cards: sky(cards), right, findings: findings.to_vec() }
}

fn and(mut one: Values, more: Values) -> Values {
    one.extend(more);
    one
}

fn text(column: &'static str, value: &'static str) -> Values {
    vec![("multiframe", column, Text(value))]
}

fn faults() -> Vec<Fault> {
    let groups = [
        dates(),
        time_scales(),
        leap_seconds(),
        contradicted_times(),
        ut_beside_other_times(),
        ends(),
        frames(),
        older_spellings(),
        texts_of_c_and_two_distortions(),
    ];
    groups.into_iter().flatten().collect()
}

/// Dates and times of day in one keyword or two.
fn dates() -> Vec<Fault> {
    vec![
        fault(
            "date_and_time_obs",
            &["DATE-OBS= '2011-01-07'", "TIME-OBS= '08:33:20.5'"],
            and(mjd(55568.35648726852), text("date_obs", "2011-01-07T08:33:20.5")),
            &[],
        ),
        fault(
            "date_and_ut",
            &["DATE-OBS= '2011-01-07'", "UT      = '08:33:20.5'"],
            mjd(55568.35648726852),
            &[],
        ),
        fault(
            "date_and_utc_in_seconds",
            &["DATE-OBS= '2011-01-07'", "UTC     =              30800.5"],
            mjd(55568.35648726852),
            &[],
        ),
        fault(
            "date_alone",
            &["DATE-OBS= '2011-01-07'"],
            and(vec![("multiframe", "mjd_obs", Null)], text("date_obs", "2011-01-07")),
            &["time_of_day_missing"],
        ),
        fault(
            "date_alone_and_whole_mjd",
            &["DATE-OBS= '2011-01-07'", "MJD-OBS =              55568.0"],
            vec![("multiframe", "mjd_obs", Null)],
            &["time_of_day_missing"],
        ),
        fault(
            "date_of_last_century",
            &["DATE-OBS= '07/01/98'", "TIME-OBS= '08:33:20.5'"],
            and(mjd(50820.35648726852), text("date_obs", "1998-01-07T08:33:20.5")),
            &[],
        ),
    ]
}

/// Time scales, and spellings of a date.
fn time_scales() -> Vec<Fault> {
    vec![
        fault(
            "timesys_tai",
            &["DATE-OBS= '2011-01-07T08:33:20.5'", "TIMESYS = 'TAI'"],
            and(mjd(55568.35609375), text("date_obs", "2011-01-07T08:32:46.5")),
            &[],
        ),
        fault(
            "timesys_tt_of_mjd",
            &["MJD-OBS =    55568.35648726852", "TIMESYS = 'TT(TAI)'"],
            mjd(55568.35572125),
            &[],
        ),
        fault(
            "timesys_gps",
            &["DATE-OBS= '2011-01-07T08:33:20.5'", "TIMESYS = 'GPS'"],
            mjd(55568.35631365741),
            &[],
        ),
        fault(
            "timesys_local",
            &["DATE-OBS= '2011-01-07T08:33:20.5'", "TIMESYS = 'LOCAL'"],
            vec![("multiframe", "mjd_obs", Null), ("multiframe", "date_obs", Null)],
            &["time_scale_unknown"],
        ),
        fault(
            "date_with_a_blank",
            &["DATE-OBS= '2011-01-07 08:33:20.5'"],
            and(mjd(55568.35648726852), text("date_obs", "2011-01-07T08:33:20.5")),
            &["time_spelling"],
        ),
    ]
}

/// Seconds 60.
fn leap_seconds() -> Vec<Fault> {
    vec![
        fault("leap_second", &["DATE-OBS= '2016-12-31T23:59:60.5'"], mjd(57754.00000578704), &[]),
        fault(
            "no_leap_second",
            &["DATE-OBS= '2011-01-07T23:59:60.5'"],
            vec![("multiframe", "mjd_obs", Null), ("multiframe", "date_obs", Null)],
            &["keyword_mistyped"],
        ),
        fault(
            "no_leap_second_in_another_keyword",
            &["DATE-OBS= '2011-01-07'", "UT      = '23:59:60.5'"],
            vec![("multiframe", "mjd_obs", Null)],
            &["time_of_day_missing", "time_of_day_unreadable"],
        ),
        fault(
            "leap_second_in_another_keyword",
            &["DATE-OBS= '2016-12-31'", "TIME-OBS= '23:59:60.5'"],
            and(mjd(57754.00000578704), text("date_obs", "2016-12-31T23:59:60.5")),
            &[],
        ),
        fault(
            "leap_second_of_ut_beside_tai",
            &["DATE-OBS= '2016-12-31'", "UT      = '23:59:60.5'", "TIMESYS = 'TAI'"],
            and(mjd(57754.00000578704), text("date_obs", "2016-12-31T23:59:60.5")),
            &[],
        ),
        fault(
            "second_60_of_tai_in_another_keyword",
            &["DATE-OBS= '2016-12-31'", "TIME-OBS= '23:59:60.5'", "TIMESYS = 'TAI'"],
            and(vec![("multiframe", "mjd_obs", Null)], text("date_obs", "2016-12-31")),
            &["time_of_day_missing", "time_of_day_unreadable"],
        ),
        fault(
            "second_60_of_tai",
            &["DATE-OBS= '2016-12-31T23:59:60.5'", "TIMESYS = 'TAI'"],
            vec![("multiframe", "mjd_obs", Null), ("multiframe", "date_obs", Null)],
            &["keyword_mistyped"],
        ),
        fault(
            "second_60_of_tai_after_a_blank",
            &["DATE-OBS= '2016-12-31 23:59:60.5'", "TIMESYS = 'TAI'"],
            vec![("multiframe", "mjd_obs", Null), ("multiframe", "date_obs", Null)],
            &["keyword_mistyped", "time_spelling"],
        ),
        fault(
            "second_60_of_tt_in_date_beg",
            &["DATE-BEG= '2016-12-31T23:59:60.5'", "TIMESYS = 'TT'"],
            vec![("multiframe", "mjd_obs", Null)],
            &["keyword_mistyped"],
        ),
    ]
}

/// Midnight counts, as in astropy; another keyword that contradicts the date is a finding.
fn contradicted_times() -> Vec<Fault> {
    vec![
        fault(
            "midnight_and_ut",
            &["DATE-OBS= '2011-01-07T00:00:00'", "UT      = '08:33:20.5'"],
            mjd(55568.0),
            &["time_contradicted"],
        ),
        fault(
            "midnight_twice",
            &["DATE-OBS= '2011-01-07T00:00:00'", "UT      = '00:00:00'"],
            mjd(55568.0),
            &[],
        ),
        fault(
            "ut_of_another_hour",
            &[TIMED, "UT      = '09:33:20.5'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        fault(
            "ut_before_the_start",
            &[TIMED, "UT      = '08:33:09'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        fault(
            "ut_after_the_end",
            &[TIMED, "UT      = '08:33:42'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        // Of the middle or the end of the exposure of 10 s, or without seconds.
        fault("ut_of_the_end", &[TIMED, "UT      = '08:33:30.5'"], mjd(55568.35648726852), &[]),
        fault("ut_without_seconds", &[TIMED, "UT      = '08:33'"], mjd(55568.35648726852), &[]),
        fault(
            "ut_of_the_next_day",
            &["DATE-OBS= '2011-01-07T23:59:57'", "UT      = '00:00:01'"],
            mjd(55568.99996527778),
            &[],
        ),
    ]
}

/// UT next to other scales and keywords. A whole MJD has lost the time of day.
fn ut_beside_other_times() -> Vec<Fault> {
    vec![
        fault(
            "ut_beside_tai",
            &["DATE-OBS= '2011-01-07T08:33:54.5'", "TIMESYS = 'TAI'", "UT      = '08:33:20.5'"],
            mjd(55568.35648726852),
            &[],
        ),
        fault(
            "ut_that_is_tai",
            &["DATE-OBS= '2011-01-07T08:33:54.5'", "TIMESYS = 'TAI'", "UT      = '08:33:54.5'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        fault(
            "ut_beside_mjd",
            &["MJD-OBS =    55568.35648726852", "UT      = '09:33:20.5'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        fault(
            "time_obs_of_another_day",
            &[TIMED, "TIME-OBS= '2011-01-06T08:33:20.5'"],
            mjd(55568.35648726852),
            CONTRADICTED,
        ),
        fault(
            "whole_mjd_and_time_of_day",
            &[TIMED, "MJD-OBS =                55568"],
            and(mjd(55568.35648726852), text("date_obs", "2011-01-07T08:33:20.5")),
            CONTRADICTED,
        ),
        fault(
            "whole_mjd_after_midnight",
            &["DATE-OBS= '2011-01-07T00:00:05'", "MJD-OBS =              55568.0"],
            mjd(55568.00005787037),
            &[],
        ),
    ]
}

/// Ends of exposures, and epochs.
fn ends() -> Vec<Fault> {
    vec![
        fault(
            "end_before_start",
            &[TIMED, "DATE-END= '2011-01-07T08:33:10.5'"],
            vec![("multiframe", "date_end", Null), ("multiframe", "mjd_end", Null)],
            CONTRADICTED,
        ),
        fault(
            "mjd_end_before_start",
            &[TIMED, "MJD-END =           55568.3564"],
            vec![("multiframe", "mjd_end", Null)],
            CONTRADICTED,
        ),
        fault(
            "end_cut_off_to_seconds",
            &[TIMED, "DATE-END= '2011-01-07T08:33:20'"],
            vec![
                ("multiframe", "date_end", Text("2011-01-07T08:33:20")),
                ("multiframe", "mjd_end", Near(55568.35648148148, 1e-9)),
            ],
            &[],
        ),
        fault(
            "ut_of_the_start_at_the_end",
            &[TIMED, "DATE-END= '2011-01-07T08:33:30.5'", "UT-END  = '08:33:20.5'"],
            vec![("multiframe", "mjd_end", Near(55568.35660300926, 1e-9))],
            &[],
        ),
        fault(
            "ut_of_another_end",
            &[TIMED, "DATE-END= '2011-01-07T08:33:30.5'", "UT-END  = '08:35:30.5'"],
            vec![("multiframe", "mjd_end", Near(55568.35660300926, 1e-9))],
            CONTRADICTED,
        ),
        fault(
            "jepoch",
            &["JEPOCH  =      2011.0187654321"],
            mjd(55569.103308054815),
            &["time_from_epoch"],
        ),
        fault(
            "bepoch",
            &["BEPOCH  =      2011.0187654321"],
            mjd(55568.55074635378),
            &["time_from_epoch"],
        ),
        fault(
            "jepoch_of_the_equinox",
            &["JEPOCH  =               2000.0"],
            vec![("multiframe", "mjd_obs", Null)],
            &["time_of_day_missing"],
        ),
    ]
}

/// Reference frames.
fn frames() -> Vec<Fault> {
    vec![
        fault(
            "fk4_b1950",
            &[DATED, "RADESYS = 'FK4'", "EQUINOX =               1950.0"],
            and(
                centre(120.767617002882, 28.864224550289),
                vec![
                    ("astrometry", "l", Near(192.718072752256, DEGREES)),
                    ("astrometry", "b", Near(27.373255758880, DEGREES)),
                ],
            ),
            &[],
        ),
        fault(
            "fk4_by_its_equinox",
            &[DATED, "EPOCH   =               1950.0"],
            and(
                centre(120.767617002882, 28.864224550289),
                vec![("astrometry", "equinox", Near(1950.0, 0.0))],
            ),
            &[],
        ),
        fault(
            "radecsys",
            &[DATED, "RADECSYS= 'FK5'", "EQUINOX =               2000.0"],
            and(
                centre(119.994276910351, 29.005005930173),
                vec![
                    ("multiframe", "ra_dec_sys", Text("FK5")),
                    ("astrometry", "ra_dec_sys", Text("FK5")),
                ],
            ),
            &[],
        ),
        fault("apparent_place", &[DATED, "RADESYS = 'GAPPT'"], nowhere(), &["wcs_unknown_frame"]),
    ]
}

/// Spellings from before the standard, and distortions.
fn older_spellings() -> Vec<Fault> {
    vec![
        fault(
            "pc001001",
            &[
                DATED,
                "CD1_1   ",
                "CD1_2   ",
                "CD2_1   ",
                "CD2_2   ",
                "CDELT1  =              -0.0005",
                "CDELT2  =               0.0005",
                "PC001001=                  0.8",
                "PC001002=                 -0.6",
                "PC002001=                  0.6",
                "PC002002=                  0.8",
                "CROTA2  =                 50.0",
            ],
            centre(119.998856572486, 29.006999995196),
            &[],
        ),
        // Distortions.
        fault(
            "tan_sip_suffix_and_pv",
            &PTF,
            centre(119.994282381288, 29.005002379007),
            &["wcs_distortion_not_applied"],
        ),
        fault(
            "broken_sip",
            &[DATED, "A_ORDER =                    2", "A_2_0   =                3E-05"],
            nowhere(),
            &["wcs_missing_keyword"],
        ),
    ]
}

/// Texts of programs written in C, and two distortions in one header.
fn texts_of_c_and_two_distortions() -> Vec<Fault> {
    let of_c = fault(
        "nul_padded_text",
        &[DATED, "OBJECT  = 'M31\0\0\0\0\0'           / C string", "FILTER  = 'K\0\0\0\0\0\0\0'"],
        and(text("object", "M31"), text("filter_name", "K")),
        &["unknown_filter"],
    );
    let mut tpv: Vec<&str> = PTF[3..].to_vec();
    tpv.extend([
        DATED,
        "CTYPE1  = 'RA---TPV'",
        "CTYPE2  = 'DEC--TPV'",
        "PV2_6   =                 0.02",
    ]);
    let tpv_and_sip = fault(
        "tpv_and_sip",
        &tpv,
        centre(119.99538208, 29.00295567),
        &["wcs_distortion_not_applied"],
    );
    vec![of_c, tpv_and_sip]
}

#[test]
fn faults_of_the_past_are_read_right() {
    let profile = profile();
    let mut wrong = Vec::new();
    for fault in faults() {
        let bytes = plain::file(60, 40, &fault.cards);
        let products = extract(&profile, bytes);
        for (table, column, right) in &fault.right {
            let got = cell(&products, table, 0, column);
            let fits = match (right, &got) {
                (Near(wanted, within), Got::Float(number)) => (number - wanted).abs() <= *within,
                (Text(wanted), Got::Text(text)) => text == wanted,
                (Null, Got::Null) => true,
                _ => false,
            };
            if !fits {
                wrong.push(format!("{}: {table}.{column} is {got:?}", fault.name));
            }
        }
        let mut found: Vec<&str> = products.findings.iter().map(|f| f.code.as_str()).collect();
        found.sort_unstable();
        if found != fault.findings {
            wrong.push(format!("{}: findings are {found:?}", fault.name));
        }
        if !products.refusals.is_empty() {
            wrong.push(format!("{}: {:?}", fault.name, products.refusals));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Blanks, smallest, largest and mean value of an image, as `pixels_oracle.py` prints them and as they are read.
fn statistics(pixels: &[f64]) -> (usize, f64, f64, f64) {
    let known: Vec<f64> = pixels.iter().copied().filter(|v| !v.is_nan()).collect();
    let smallest = known.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (pixels.len() - known.len(), smallest, largest, known.iter().sum::<f64>() / known.len() as f64)
}

/// The named images, and `ALMAGEST_HEADERS` / 4 (50) that are made at random: types, scaling, blanks, compression.
#[test]
fn foreign_images_are_read_right() {
    let Some(python) = testkit::python() else { return };
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (count, seed) = (setting("ALMAGEST_HEADERS", 200) / 4, setting("ALMAGEST_HEADER_SEED", 1));
    let directory = tempfile::tempdir().unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pixels_oracle.py");
    let outcome = std::process::Command::new(python)
        .arg(script)
        .arg(directory.path())
        .args([seed.to_string(), count.to_string()])
        .output()
        .unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    let told = String::from_utf8(outcome.stdout).unwrap();
    let mut wrong = Vec::new();
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |n: usize| words[n].parse::<f64>().unwrap();
        let path = directory.path().join(words[0]);
        let read = fits::FitsFile::open(&path, &fits::Limits::default())
            .and_then(|file| file.image(fits::HduIndex(words[1].parse().unwrap()))?.read_f64());
        let pixels = match read {
            Ok(pixels) => pixels,
            Err(fault) => {
                wrong.push(format!("{line}: {fault}"));
                continue;
            }
        };
        let (blanks, smallest, largest, mean) = statistics(&pixels);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        let same = blanks as f64 == number(2)
            && near(smallest, number(3))
            && near(largest, number(4))
            && near(mean, number(5));
        if !same {
            wrong.push(format!("{line}: {blanks} {smallest} {largest} {mean}"));
        }
    }
    println!("{} images", told.lines().count());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
