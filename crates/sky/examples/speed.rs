//! Nanoseconds per point of every function a catalogue needs, median of several runs.
//!
//! `cargo run --release -p sky --example speed`

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

const POINTS: usize = 5_000;
const RUNS: usize = 201;

fn main() {
    let (ra, dec) = scattered();
    let vectors: Vec<_> = ra.iter().zip(&dec).map(|(&a, &d)| sky::unit_vector(a, d)).collect();
    time("unit_vector", || ra.iter().zip(&dec).map(|(&a, &d)| sky::unit_vector(a, d).x).sum());
    time("htm::id20, one by one", || vectors.iter().map(|&v| sky::htm::id20(v).get() as f64).sum());
    time("healpix::nested29", || {
        ra.iter().zip(&dec).map(|(&a, &d)| sky::healpix::nested29(a, d).unwrap_or(0) as f64).sum()
    });
    time("galactic", || vectors.iter().map(|&v| sky::galactic(v).l_deg).sum());
    time("sdss_lambda_eta", || vectors.iter().map(|&v| sky::sdss_lambda_eta(v).eta_deg).sum());
    time("angular_distance_deg", || {
        ra.iter().zip(&dec).map(|(&a, &d)| sky::angular_distance_deg(a, d, 10.0, 20.0)).sum()
    });
    let mut columns = sky::SkyColumns::default();
    time("SkyColumns: all nine columns", || {
        columns.refill(&ra, &dec);
        columns.cx[0]
    });
    time_wcs("ZPN", &header(["RA---ZPN", "DEC--ZPN"], &[("PV2_1", 1.0), ("PV2_3", -60.0)]));
    time_wcs("TAN", &header(["RA---TAN", "DEC--TAN"], &[]));
    let cubic = [("PV1_7", 1e-4), ("PV1_9", 1e-4), ("PV2_4", 1e-5), ("PV2_7", 1e-4)];
    time_wcs("TPV", &header(["RA---TPV", "DEC--TPV"], &cubic));
}

/// A header with one number per keyword.
struct Header(HashMap<&'static str, f64>, [&'static str; 2]);

impl sky::Keywords for Header {
    fn text(&self, keyword: &str) -> Option<String> {
        match keyword {
            "CTYPE1" => Some(self.1[0].to_owned()),
            "CTYPE2" => Some(self.1[1].to_owned()),
            _ => None,
        }
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        self.0.get(keyword).copied()
    }
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.0.keys().for_each(|keyword| each(keyword));
        ["CTYPE1", "CTYPE2"].into_iter().for_each(each);
        true
    }
}

/// A WFCAM detector, with the projection and the parameters given.
fn header(types: [&'static str; 2], more: &[(&'static str, f64)]) -> Header {
    let mut numbers = HashMap::from([
        ("CRPIX1", 3003.6),
        ("CRPIX2", -959.2),
        ("CRVAL1", 165.487_809_6),
        ("CRVAL2", 19.508_885_5),
        ("CD1_1", -1.105e-7),
        ("CD1_2", -1.113e-4),
        ("CD2_1", 1.112e-4),
        ("CD2_2", -1.627e-7),
    ]);
    numbers.extend(more.iter().copied());
    Header(numbers, types)
}

fn time_wcs(name: &str, header: &Header) {
    let wcs = sky::Wcs::from_image(header).expect("a complete header");
    let (ra, dec) = scattered();
    let x: Vec<f64> = ra.iter().map(|v| v * 5.5).collect();
    let y: Vec<f64> = dec.iter().map(|v| (v + 90.0) * 11.0).collect();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    time(&format!("{name} pixels_to_sky"), || {
        wcs.pixels_to_sky(&x, &y, &mut a, &mut b);
        a[0]
    });
    let (ra, dec) = (a.clone(), b.clone());
    time(&format!("{name} sky_to_pixels"), || {
        wcs.sky_to_pixels(&ra, &dec, &mut a, &mut b);
        a[0]
    });
    time(&format!("{name} flux_distortions"), || {
        wcs.flux_distortions(&x, &y, &mut a);
        a[0]
    });
    let read = || sky::Wcs::from_image(header).map_or(0.0, |w| w.reference_pixel()[0]);
    let detector = sky::PixelSize { width: 2048, height: 2048 };
    let outline = || wcs.footprint(detector).map_or(0.0, |f| f.extent_arcmin);
    time_each(&format!("{name} from_image"), "header", 20, || {
        (0..20).map(|_| black_box(read())).sum()
    });
    time_each(&format!("{name} footprint"), "detector", 20, || {
        (0..20).map(|_| black_box(outline())).sum()
    });
}

/// Positions all over the sky, the same in every run.
fn scattered() -> (Vec<f64>, Vec<f64>) {
    let mut state = 7u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..POINTS).map(|_| (next() * 360.0, (next() * 2.0 - 1.0).asin().to_degrees())).unzip()
}

fn time(what: &str, work: impl FnMut() -> f64) {
    time_each(what, "point", POINTS, work);
}

fn time_each(what: &str, unit: &str, count: usize, mut work: impl FnMut() -> f64) {
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64() * 1e9 / count as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{what:<34} {:8.1} ns per {unit} (best {:.1})", runs[RUNS / 2], runs[0]);
}
