//! Against wcslib (astropy), astropy-healpix and the rows of a real archive, through a Python interpreter.

use std::path::Path;
use std::process::Command;

use sky::{SkyPosition, Wcs, angular_distance_deg, healpix};

use crate::cards::{Cards, headers_of};
use crate::golden::check_row;
use crate::headers::{sip, tangent, tpv, vista_table, wfcam};
use crate::points::Random;

/// Runs a task of `oracle.py`; `None`, with a word about it, where it cannot run.
pub fn ask(test: &str, task: &str, input: &[u8]) -> Option<Vec<u8>> {
    let python = testkit::python()?;
    let directory =
        std::env::temp_dir().join(format!("almagest-sky-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (source, target) = (directory.join("input"), directory.join("output"));
    std::fs::write(&source, input).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
    let outcome =
        Command::new(python).arg(script).arg(task).args([&source, &target]).output().unwrap();
    let answer = std::fs::read(&target).ok();
    std::fs::remove_dir_all(&directory).unwrap();
    if outcome.status.code() == Some(77) {
        testkit::skipped(String::from_utf8_lossy(&outcome.stdout).trim());
        return None;
    }
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    answer
}

pub fn pairs(answer: &[u8]) -> Vec<(f64, f64)> {
    let text = std::str::from_utf8(answer).unwrap();
    text.lines()
        .map(|line| {
            let (a, b) = line.split_once(' ').unwrap();
            (a.parse().unwrap(), b.parse().unwrap())
        })
        .collect()
}

/// One header, with how close wcslib's own numbers are (mas).
struct Case {
    name: String,
    cards: Cards,
    columns: Option<(u16, u16)>,
    /// From pixels to sky.
    tolerance_mas: f64,
    /// wcslib's sky to pixel knows no SIP.
    inverse: bool,
}

impl Case {
    fn image(name: &str, cards: Cards) -> Self {
        // wcslib inverts the polynomial of ZPN to 1e-13 radians, which is 2e-5 mas.
        let zpn = sky::Keywords::text(&cards, "CTYPE1").is_some_and(|t| t.ends_with("ZPN"));
        let tolerance_mas = if zpn { 3e-5 } else { 1e-6 };
        Self { name: name.to_owned(), cards, columns: None, tolerance_mas, inverse: true }
    }

    fn wcs(&self) -> Wcs {
        match self.columns {
            Some((x, y)) => Wcs::from_table(&self.cards, x, y).unwrap(),
            None => Wcs::from_image(&self.cards).unwrap(),
        }
    }

    fn question(&self, points: &[(f64, f64)]) -> String {
        let mut text = match self.columns {
            Some((x, y)) => format!("HEADER {x} {y}\n"),
            None => "HEADER\n".to_owned(),
        };
        for card in self.cards.as_cards() {
            text += &format!("{card}\n");
        }
        text += "END\n";
        for (x, y) in points {
            text += &format!("P {x:?} {y:?}\n");
        }
        if self.inverse {
            let wcs = self.wcs();
            for &(x, y) in points {
                let p = wcs.pixel_to_sky(x, y).unwrap();
                text += &format!("S {:?} {:?}\n", p.ra_deg, p.dec_deg);
            }
        }
        text
    }
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::image("ZPN", wfcam()),
        Case::image("TAN", tangent()),
        Case::image("TPV", tpv()),
        Case::image("SCAMP", tpv().with("CTYPE1", "'RA---TAN'").with("CTYPE2", "'DEC--TAN'")),
        Case { inverse: false, ..Case::image("SIP", sip()) },
        Case { columns: Some((3, 5)), tolerance_mas: 3e-5, ..Case::image("VISTA", vista_table()) },
        Case::image(
            "all powers",
            wfcam().with("PV2_2", "0.3").with("PV2_4", "-5.0").with("PV2_5", "300.0"),
        ),
        Case::image("strong", wfcam().with("PV2_3", "400.0")),
    ];
    for code in ["SIN", "ARC", "STG", "ZEA"] {
        let cards = tangent().with("CTYPE1", &format!("'RA---{code}'"));
        cases.push(Case::image(code, cards.with("CTYPE2", &format!("'DEC--{code}'"))));
    }
    let crota = tangent().without("CD1_1").without("CD1_2").without("CD2_1").without("CD2_2");
    let crota = crota.with("CDELT1", "-1.1E-4").with("CDELT2", "1.2E-4").with("CROTA2", "33.3");
    cases.push(Case::image("CROTA2", crota));
    // Not with TPV: there wcslib exchanges the coordinates, also where the polynomials are the identity.
    let swapped = wfcam()
        .without("PV2_1")
        .without("PV2_2")
        .without("PV2_3")
        .with("CTYPE1", "'DEC--ZPN'")
        .with("CTYPE2", "'RA---ZPN'")
        .with("CRVAL1", "19.5088855")
        .with("CRVAL2", "165.4878096")
        .with("PV1_1", "1.0")
        .with("PV1_3", "-60.0");
    let first = Case::image("ZPN, latitude first", swapped);
    cases.push(Case { inverse: false, tolerance_mas: 3e-5, ..first });
    let places = [
        ("0.0", "0.0"),
        ("359.999", "-30.0"),
        ("0.001", "89.9"),
        ("12.0", "90.0"),
        ("77.0", "-90.0"),
        ("300.0", "-89.99"),
    ];
    for (ra, dec) in places {
        for (name, header) in [("ZPN", wfcam()), ("TAN", tangent()), ("TPV", tpv())] {
            let cards = header.with("CRVAL1", ra).with("CRVAL2", dec);
            cases.push(Case::image(&format!("{name} at {ra} {dec}"), cards.clone()));
            cases.push(Case::image(
                &format!("{name} at {ra} {dec}, LONPOLE"),
                cards.with("LONPOLE", "100.0"),
            ));
        }
    }
    cases
}

#[test]
fn foreign_wcslib_agrees() {
    const POINTS: usize = 300;
    let cases = cases();
    let mut random = Random::new(17);
    let points: Vec<_> =
        (0..POINTS).map(|_| (random.between(0.5, 2048.5), random.between(0.5, 2048.5))).collect();
    let question: String = cases.iter().map(|c| c.question(&points)).collect();
    let Some(answer) = ask("foreign_wcslib_agrees", "wcs", question.as_bytes()) else { return };
    let answers = pairs(&answer);
    let mut at = 0;
    for case in &cases {
        let wcs = case.wcs();
        let latitude_first = case.name.contains("latitude first");
        let (mut sky_mas, mut pixel_mas) = (0.0f64, 0.0f64);
        for (&(x, y), &(lon, lat)) in points.iter().zip(&answers[at..]) {
            let (ra, dec) = if latitude_first { (lat, lon) } else { (lon, lat) };
            let ours = wcs.pixel_to_sky(x, y).unwrap();
            let apart = angular_distance_deg(ours.ra_deg, ours.dec_deg, ra, dec);
            sky_mas = sky_mas.max(apart * 3.6e6);
        }
        at += POINTS;
        if case.inverse && !latitude_first {
            let scale_mas = wcs.matrix_deg()[0][0].hypot(wcs.matrix_deg()[1][0]) * 3.6e6;
            for (&(x, y), &(other_x, other_y)) in points.iter().zip(&answers[at..]) {
                pixel_mas = pixel_mas.max((other_x - x).hypot(other_y - y) * scale_mas);
            }
        }
        at += if case.inverse { POINTS } else { 0 };
        println!("{:<32} sky {sky_mas:.1e} mas, pixels {pixel_mas:.1e} mas", case.name);
        assert!(sky_mas <= case.tolerance_mas, "{}: {sky_mas} mas", case.name);
        // Our positions through wcslib's way back, which needs no iteration for ZPN.
        assert!(pixel_mas <= 1e-6, "{}: {pixel_mas} mas", case.name);
    }
    assert_eq!(at, answers.len());
}

#[test]
fn foreign_real_headers_agree() {
    const TEST: &str = "foreign_real_headers_agree";
    let Some(data) = testkit::real_data() else { return };
    let mut cases = Vec::new();
    for folder in ["casu_image", "mef_image", "tile_compressed", "edge_case"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            for (hdu, cards) in headers_of(&path).iter().enumerate() {
                if Wcs::from_image(cards).is_ok() {
                    let name = format!("{}[{hdu}]", path.file_name().unwrap().to_string_lossy());
                    let case = Case::image(&name, cards.coordinates());
                    cases.push(Case { inverse: false, ..case });
                }
            }
        }
    }
    assert!(cases.len() > 30, "{} coordinate systems", cases.len());
    let points = [(1.0, 1.0), (300.25, 20.5), (50.0, 250.0), (299.5, 299.5)];
    let question: String = cases.iter().map(|c| c.question(&points)).collect();
    let Some(answer) = ask(TEST, "wcs", question.as_bytes()) else { return };
    let answers = pairs(&answer);
    for (case, answers) in cases.iter().zip(answers.chunks(points.len())) {
        let wcs = case.wcs();
        for (&(x, y), &(lon, lat)) in points.iter().zip(answers) {
            let Some(ours) = wcs.pixel_to_sky(x, y) else {
                assert!(lon.is_nan(), "{}: nothing at {x} {y}", case.name);
                continue;
            };
            let theirs = SkyPosition { ra_deg: lon, dec_deg: lat };
            let theirs = wcs.frame().unwrap().to_kept_fk5().position(theirs);
            let (lon, lat) = (theirs.ra_deg, theirs.dec_deg);
            let apart_mas = angular_distance_deg(ours.ra_deg, ours.dec_deg, lon, lat) * 3.6e6;
            assert!(apart_mas <= case.tolerance_mas, "{}: {apart_mas} mas at {x} {y}", case.name);
        }
    }
    println!("{} coordinate systems of real files", cases.len());
}

#[test]
fn foreign_frames_agree() {
    use sky::ReferenceFrame as Frame;
    let equinoxes = [1850.0, 1900.0, 1950.0, 1975.0, 2000.0, 2015.5, 2050.0];
    let mut frames = vec![
        ("GALACTIC", 2000.0, Frame::Galactic),
        ("SUPERGALACTIC", 2000.0, Frame::Supergalactic),
    ];
    for equinox in equinoxes {
        frames.push(("FK4", equinox, Frame::Fk4 { equinox }));
        frames.push(("FK4-NO-E", equinox, Frame::Fk4NoE { equinox }));
        frames.push(("FK5", equinox, Frame::Fk5 { equinox }));
        frames.push(("ECLIPTIC", equinox, Frame::Ecliptic { equinox }));
    }
    let mut random = Random::new(31);
    let mut points = Vec::new();
    for (name, equinox, frame) in frames {
        let corners = [(0.0, 0.0), (0.0, 89.999), (200.0, -89.999), (359.999, 45.0)];
        let places = corners.into_iter().chain((0..30).map(|_| random.position()));
        points.extend(places.map(|place| (name, equinox, frame, place)));
    }
    let question: String = points
        .iter()
        .map(|(name, equinox, _, (lon, lat))| format!("{name} {equinox} {lon:?} {lat:?}\n"))
        .collect();
    let Some(answer) = ask("foreign_frames_agree", "frames", question.as_bytes()) else { return };
    let answers = pairs(&answer);
    assert_eq!(answers.len(), points.len());
    let mut largest = 0.0f64;
    for ((name, equinox, frame, (ra_deg, dec_deg)), (ra, dec)) in points.iter().zip(answers) {
        let position = SkyPosition { ra_deg: *ra_deg, dec_deg: *dec_deg };
        let ours = frame.to_icrs().position(position);
        let apart_mas = angular_distance_deg(ours.ra_deg, ours.dec_deg, ra, dec) * 3.6e6;
        assert!(apart_mas < 1e-3, "{name} {equinox} {position:?}: {apart_mas} mas");
        largest = largest.max(apart_mas);
    }
    println!("{} positions agree within {largest:.1e} mas", points.len());
}

/// Positions all over the sky, and on everything that is a border.
fn healpix_points() -> Vec<(f64, f64)> {
    let mut random = Random::new(23);
    let mut points: Vec<_> = (0..1_000_000).map(|_| random.position()).collect();
    for _ in 0..20_000 {
        let tiny = 10f64.powf(random.between(-9.0, -1.0));
        points.push((random.between(0.0, 360.0), 90.0 - tiny));
        points.push((random.between(0.0, 360.0), tiny - 90.0));
        points.push((360.0 - tiny, random.between(-90.0, 90.0)));
        points.push((90.0 + tiny, random.between(-90.0, 90.0)));
        points.push((random.between(0.0, 360.0), (2.0f64 / 3.0).asin().to_degrees() + tiny));
        points.push((random.between(0.0, 360.0), tiny));
    }
    points
}

#[test]
fn foreign_healpix_agrees() {
    let points = healpix_points();
    let input: Vec<u8> =
        points.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()]).flatten().collect();
    let Some(answer) = ask("foreign_healpix_agrees", "healpix", &input) else { return };
    let theirs = answer.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap()));
    let mut different = 0;
    for (&(ra, dec), theirs) in points.iter().zip(theirs) {
        let ours = healpix::nested29(ra, dec).unwrap();
        if ours == theirs {
            continue;
        }
        different += 1;
        // A position on a border to rounding: the two pixels touch, and both centres are half a pixel away.
        let distance = |pixel| {
            let c = healpix::centre(29, pixel).unwrap();
            angular_distance_deg(ra, dec, c.ra_deg, c.dec_deg) * 3.6e6
        };
        let (near, far) = (distance(ours), distance(theirs));
        assert!(
            (near - far).abs() < 0.02 && near < 0.4,
            "({ra}, {dec}): {ours} {theirs}, {near} {far} mas"
        );
    }
    println!("{different} of {} on a border", points.len());
    assert!(different <= points.len() / 100_000, "{different} differ");
}

#[test]
fn foreign_archive_rows_agree() {
    const TEST: &str = "foreign_archive_rows_agree";
    let Some(data) = testkit::real_data() else { return };
    let files = ["source_part-00000", "source_part-00001"]
        .map(|f| data.join(format!("archive_rows/{f}.snappy.parquet")).display().to_string());
    let Some(answer) = ask(TEST, "rows", files.join("\n").as_bytes()) else { return };
    let text = String::from_utf8(answer).unwrap();
    for line in text.lines() {
        let field: Vec<&str> = line.split(' ').collect();
        let f = |i: usize| field[i].parse::<f64>().unwrap();
        check_row(
            [f(0), f(1)],
            [f(2), f(3), f(4)],
            field[5].parse().unwrap(),
            [f(6), f(7), f(8), f(9)],
        );
    }
    assert_eq!(text.lines().count(), 138);
}

#[test]
fn foreign_distances_agree() {
    let mut random = Random::new(29);
    let mut points = Vec::new();
    for i in 0..2000 {
        let (a, b) = random.position();
        let step = 10f64.powf(random.between(-6.0, 0.0));
        let (c, d) =
            if i % 2 == 0 { random.position() } else { ((a + step) % 360.0, (b + step).min(90.0)) };
        points.push([a, b, c, d]);
    }
    let question: String =
        points.iter().map(|[a, b, c, d]| format!("{a:?} {b:?} {c:?} {d:?}\n")).collect();
    let Some(answer) = ask("foreign_distances_agree", "distances", question.as_bytes()) else {
        return;
    };
    let text = String::from_utf8(answer).unwrap();
    for ([a, b, c, d], wanted) in points.iter().zip(text.lines()) {
        let (found, wanted) =
            (angular_distance_deg(*a, *b, *c, *d), wanted.parse::<f64>().unwrap());
        assert!((found - wanted).abs() < 2e-13, "{found} for {wanted}"); // theirs starts from rounded radians
        let position = |ra_deg, dec_deg| SkyPosition { ra_deg, dec_deg }.unit_vector();
        assert!((position(*a, *b).distance_deg(position(*c, *d)) - wanted).abs() < 2e-13);
    }
}
