//! Images of telescopes all over the world, with what astropy says of their orientation.

use crate::jpeg::decode;
use crate::made::{Inputs, Outcome, input, profile, run};
use serde_json::json;
use std::path::{Path, PathBuf};
use testkit::real_data;

const KINDS: [&str; 5] = ["casu_image", "mef_image", "tile_compressed", "edge_case", "wrapped"];

/// Files below a directory of the real set, in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn real_inputs() -> Option<Inputs> {
    let real = real_data()?;
    let mut inputs = Inputs::new();
    for kind in KINDS {
        for path in files(&real.join(kind)) {
            let name = format!("{kind}-{}", path.file_name().unwrap().to_string_lossy());
            inputs.inputs.push(input(inputs.inputs.len() as i64 + 1, &name, path));
        }
    }
    Some(inputs)
}

#[test]
fn real_images_are_shown_or_refused() {
    let Some(inputs) = real_inputs() else { return };
    let outcome = run(&inputs.inputs, &profile(""), 2);
    outcome.keep("real");
    let refused = outcome.refused();
    let codes = ["wrapped_bzip2", "wrapped_compress", "no_picture"];
    for refusal in &refused {
        assert!(codes.iter().any(|code| refusal.starts_with(code)), "{refusal}");
    }
    assert_eq!(refused.len(), 6, "{refused:?}");
    assert_eq!(outcome.rows().len(), outcome.jpegs.len());
    assert!(outcome.jpegs.len() > 130, "{} JPEGs", outcome.jpegs.len());
    let Some(greys) = decode(&outcome.jpegs) else { return };
    let exposures = ["hawki_simA", "ukidss", "ingester", "ISAAC", "HSC", "m13", "legacypipe__k4m"];
    for row in outcome.rows().iter().filter(|row| row["ext_num"] != "0") {
        let name = row["path"].strip_prefix("20071011_v1/").unwrap();
        let grey = &greys[name];
        assert_eq!(
            (&row["width"], &row["height"]),
            (&grey.width.to_string(), &grey.height.to_string())
        );
        if exposures.iter().any(|part| name.contains(part)) {
            let share = f64::from(grey.median()) / 255.0;
            let wanted = if name.contains("_conf") { 0.45..=0.55 } else { 0.15..=0.35 };
            assert!(wanted.contains(&share), "{name}: level at {share}");
        }
    }
    agrees_with_astropy(&inputs, &outcome);
}

/// North is up and east left to within 45 degrees by astropy's WCS too.
fn agrees_with_astropy(inputs: &Inputs, outcome: &Outcome) {
    const SCRIPT: &str = "
import json, sys, warnings
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
warnings.simplefilter('ignore')
# Right and up on the display of steps along x and y.
shown = {}
for flip in (False, True):
    x, y = (-1 if flip else 1, 0), (0, 1)
    for turns in range(4):
        rot = ('rot%d' % (90 * turns)) if turns else ''
        name = '_'.join(n for n in ('flipx' if flip else '', rot) if n) or 'identity'
        shown[name] = np.array([x, y], float)
        x, y = (-x[1], x[0]), (-y[1], y[0])
checked = 0
for row in json.load(open(sys.argv[1])):
    with fits.open(row['path'], ignore_missing_simple=True) as hdus:
        header = hdus[row['hdu']].header
        try:
            wcs = WCS(header, fobj=hdus).celestial
        except (MemoryError, ValueError):
            continue  # astropy cannot use it
        middle = [(n - 1) / 2 for n in wcs.array_shape[::-1]] if wcs.array_shape else None
        if middle is None:
            continue
        step = 0.5
        at = lambda x, y: np.array(wcs.all_pix2world([[middle[0] + x, middle[1] + y]], 0)[0])
        here = at(0, 0)
        def moved(x, y):
            d = (at(x, y) - at(-x, -y))
            d[0] = ((d[0] + 180) % 360 - 180) * np.cos(np.radians(here[1]))
            return d
        matrix = np.array([moved(step, 0), moved(0, step)])  # rows: steps along x and y; columns: east, north
        pixels = np.linalg.inv(matrix)                         # rows: east, north; columns: x, y
        east, north = (v / np.hypot(*v) for v in pixels @ shown[row['transform']])
        assert north[1] > np.cos(np.radians(45.5)), (row, 'north', north)
        assert east[0] < -np.cos(np.radians(46.5)), (row, 'east', east)
        checked += 1
print(checked)
";
    let rows = outcome.rows();
    let oriented = rows.iter().filter(|row| row["ext_num"] != "0" && row["north_up"] == "true");
    let oriented: Vec<_> = oriented
        .map(|row| {
            let id: usize = row["multiframe_id"].parse().unwrap();
            let hdu = row["ext_num"].parse::<usize>().unwrap() - 1;
            let path = &inputs.inputs[id - 1].image.path;
            json!({"path": path, "hdu": hdu, "transform": row["transform"]})
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("rows.json");
    std::fs::write(&list, serde_json::to_vec(&oriented).unwrap()).unwrap();
    let Some(checked) = testkit::python_script("orientation", SCRIPT, &[list]) else { return };
    let checked: usize = checked.trim().parse().unwrap();
    assert!(checked >= 25 && 10 * checked >= 9 * oriented.len(), "{checked} of {}", oriented.len());
}
