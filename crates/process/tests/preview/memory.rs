//! Memory is that of the reduced image: a detector of 208 million pixels needs a fraction of what its pixels take.

use crate::frame::Frame;
use crate::made::{Inputs, profile, run};
use fits::write::{Checks, HeaderBuilder, RicePixels, rice_image};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const WIDTH: usize = 16_000;
const HEIGHT: usize = 13_000;
/// Rows that are compressed; the image repeats them.
const ROWS: usize = 200;
const MB: u64 = 1_000_000;
/// Names the files to the test when it runs as its own child, separated by line ends.
const CHILD: &str = "ALMAGEST_PREVIEW_MEMORY_OF";

/// Writes a Rice image of 16 000 x 13 000 pixels without ever holding it.
fn write_large_image(path: &Path) {
    let pixels = Frame::sky(WIDTH, ROWS, 900.0, 3.0).stars(400, 30.0, 5.0, 3.0);
    let pixels = pixels.integers(1.0, 0.0, 0);
    let mut part = Vec::new();
    let pixels = RicePixels::I32(&pixels);
    rice_image(&mut part, WIDTH, ROWS, pixels, &HeaderBuilder::new(), Checks::Absent).unwrap();
    let end = part.chunks(80).position(|card| card.starts_with(b"END     ")).unwrap();
    let (header, body) = part.split_at_mut((end * 80 / 2880 + 1) * 2880);
    let number = |card: &[u8]| std::str::from_utf8(&card[10..30]).unwrap().trim().parse().unwrap();
    let repeats = HEIGHT / ROWS;
    let mut heap_bytes = 0;
    for card in header.chunks_mut(80) {
        let value = match &card[..8] {
            b"PCOUNT  " => {
                heap_bytes = number(card);
                heap_bytes * repeats
            }
            b"NAXIS2  " | b"ZNAXIS2 " => HEIGHT,
            _ => continue,
        };
        card[10..30].copy_from_slice(format!("{value:>20}").as_bytes());
    }
    let (descriptors, heap) = body.split_at(8 * ROWS);
    let mut file = BufWriter::new(File::create(path).unwrap());
    let empty = crate::frame::file(&[]);
    file.write_all(&empty).unwrap();
    file.write_all(header).unwrap();
    for repeat in 0..repeats {
        for descriptor in descriptors.as_chunks::<8>().0 {
            let [length, at] = [0, 4]
                .map(|n| u32::from_be_bytes(descriptor[n..n + 4].try_into().expect("four bytes")));
            let at = at + (repeat * heap_bytes) as u32;
            file.write_all(&[length.to_be_bytes(), at.to_be_bytes()].concat()).unwrap();
        }
    }
    for _ in 0..repeats {
        file.write_all(&heap[..heap_bytes]).unwrap();
    }
    let data = HEIGHT * 8 + repeats * heap_bytes;
    file.write_all(&vec![0; data.next_multiple_of(2880) - data]).unwrap();
    file.into_inner().unwrap();
}

/// Peak memory of this process, if the system reports it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The child's part: makes previews of the files and prints the peak.
fn make_previews(files: &str) {
    let mut inputs = Inputs::new();
    for (n, path) in files.lines().enumerate() {
        let name = format!("w20071011_{n:05}_st.fit");
        inputs.inputs.push(crate::made::input(n as i64 + 1, &name, PathBuf::from(path)));
    }
    let outcome = run(&inputs.inputs, &profile(""), inputs.inputs.len() as u32);
    for row in outcome.rows() {
        assert_eq!(row["valid_pixels"], (WIDTH * HEIGHT).to_string());
        assert!(row["ext_num"] == "0" || row["width"] == (WIDTH / 4).to_string(), "{row:?}");
    }
    println!("peak {}", peak_bytes().unwrap());
}

#[test]
fn a_large_image_needs_little_memory() {
    if let Ok(files) = std::env::var(CHILD) {
        return make_previews(&files);
    }
    if peak_bytes().is_none() {
        return testkit::skipped("this system does not tell the peak of memory");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.fit");
    write_large_image(&path);
    // The same file on each of two workers.
    let workers = 2;
    let files = vec![path.to_str().unwrap(); workers].join("\n");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::a_large_image_needs_little_memory", "--nocapture"])
        .env(CHILD, files)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{stdout}{}", String::from_utf8_lossy(&child.stderr));
    let peak = stdout.lines().find_map(|line| line.split_once("peak ")).unwrap().1;
    let peak: u64 = peak.parse().unwrap();
    assert!(peak < (300 + 150 * workers as u64) * MB, "{workers} workers took {} MB", peak / MB);
}
