//! JPEGs as another program decodes them: Pillow, by way of PGM.

use std::collections::BTreeMap;
use std::fs;

/// A decoded JPEG, row 0 at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grey {
    pub width: usize,
    pub height: usize,
    pub values: Vec<u8>,
}

/// A spot that is brighter than its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    /// Column and row of its centre; the middle of the first pixel is (0, 0).
    pub at: (f64, f64),
}

/// Decodes JPEGs; `None`, and told, where there is no Python.
pub fn decode(jpegs: &BTreeMap<String, Vec<u8>>) -> Option<BTreeMap<String, Grey>> {
    const SCRIPT: &str = "
import pathlib, sys
from PIL import Image
for path in pathlib.Path(sys.argv[1]).iterdir():
    with Image.open(path) as image:
        assert (image.format, image.mode) == ('JPEG', 'L'), (path, image.format, image.mode)
        image.save(path.with_name(path.name + '.pgm'))
";
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in jpegs {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    testkit::python_script("decode", SCRIPT, &[directory.path()])?;
    let grey = |name: &String| {
        let pgm = fs::read(directory.path().join(format!("{name}.pgm"))).unwrap();
        (name.clone(), Grey::of_pgm(&pgm))
    };
    Some(jpegs.keys().map(grey).collect())
}

impl Grey {
    fn of_pgm(bytes: &[u8]) -> Self {
        let mut words = bytes.splitn(4, u8::is_ascii_whitespace);
        let mut word = || std::str::from_utf8(words.next().unwrap()).unwrap();
        assert_eq!(word(), "P5");
        let (width, height) = (word().parse().unwrap(), word().parse().unwrap());
        let values = words.next().unwrap().strip_prefix(b"255\n").unwrap().to_vec();
        assert_eq!(values.len(), width * height);
        Self { width, height, values }
    }

    pub fn median(&self) -> u8 {
        median(self.values.clone())
    }

    /// Spots of at least two pixels over a threshold, brightest parts weighing most.
    pub fn blobs(&self, threshold: u8) -> Vec<Blob> {
        let mut seen: Vec<bool> = self.values.iter().map(|v| *v <= threshold).collect();
        let mut blobs = Vec::new();
        for start in 0..seen.len() {
            let mut open = vec![start];
            let (mut sum, mut column, mut row, mut pixels) = (0.0, 0.0, 0.0, 0);
            while let Some(at) = open.pop() {
                if std::mem::replace(&mut seen[at], true) {
                    continue;
                }
                let (x, y) = (at % self.width, at / self.width);
                let weight = f64::from(self.values[at] - threshold);
                sum += weight;
                column += weight * x as f64;
                row += weight * y as f64;
                pixels += 1;
                open.extend((x > 0).then(|| at - 1));
                open.extend((x + 1 < self.width).then_some(at + 1));
                open.extend((y > 0).then(|| at - self.width));
                open.extend((y + 1 < self.height).then_some(at + self.width));
            }
            if pixels >= 2 {
                blobs.push(Blob { at: (column / sum, row / sum) });
            }
        }
        blobs
    }

    /// Share of black or white among the pixels that `wanted` picks, and their median as a share of white.
    pub fn sky(&self, wanted: &[bool]) -> Sky {
        assert_eq!(wanted.len(), self.values.len());
        let picked = self.values.iter().zip(wanted).filter(|(_, wanted)| **wanted);
        let picked: Vec<u8> = picked.map(|(value, _)| *value).collect();
        let share = |clipped: fn(&u8) -> bool| {
            picked.iter().copied().filter(clipped).count() as f64 / picked.len() as f64
        };
        Sky {
            pixels: picked.len(),
            black: share(|v| *v == 0),
            white: share(|v| *v == 255),
            grey: f64::from(median(picked)) / 255.0,
        }
    }
}

/// How the sky of a preview looks.
#[derive(Clone, Copy, Debug)]
pub struct Sky {
    pub pixels: usize,
    /// Shares of its pixels.
    pub black: f64,
    pub white: f64,
    /// Its median.
    pub grey: f64,
}

impl Sky {
    /// Checks a frame that shows the sky: it is dark grey.
    pub fn check(&self, subject: &str) {
        self.check_grey(subject, 0.15..=0.35);
    }

    /// Checks a flat, a confidence map or the like: the median is in the middle.
    pub fn check_even(&self, subject: &str) {
        self.check_grey(subject, 0.45..=0.55);
    }

    fn check_grey(&self, subject: &str, wanted: std::ops::RangeInclusive<f64>) {
        assert!(self.pixels > 100, "{subject}: too little sky to judge, {self:?}");
        assert!(wanted.contains(&self.grey), "{subject}: {self:?}");
        assert!(self.black < 0.01 && self.white < 0.01, "{subject}: {self:?}");
    }
}

fn median(mut values: Vec<u8>) -> u8 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}
