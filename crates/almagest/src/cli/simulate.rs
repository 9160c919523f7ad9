//! `almagest simulate OUT`.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{bytes, counted, grouped, progress, say};
use simulate::{Mix, Night, NightSpec, NightSummary};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory in which the delivery is created, e.g. an inbox.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Observing night.
    #[arg(long, default_value = "20071011", value_name = "YYYYMMDD")]
    night: String,
    /// Pipeline version: the delivery is NIGHT_vVERSION.
    #[arg(long, default_value_t = 1)]
    version: u32,
    /// Number of image files, catalogues not counted.
    #[arg(long, default_value_t = 16)]
    frames: usize,
    /// Detections per detector of a stack.
    #[arg(long, default_value_t = 250)]
    detections: usize,
    /// Seed of all random values: same seed, same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Side of a detector in pixels.
    #[arg(long, default_value_t = 512)]
    detector_size: usize,
    /// Use only the first N programmes.
    #[arg(long, value_name = "N")]
    programmes: Option<usize>,
    /// Only stacks with catalogues, for benchmarks.
    #[arg(long)]
    stacks_only: bool,
    /// Add damaged files, and list them.
    #[arg(long)]
    faults: bool,
    /// Write the planted sources to this JSON file.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Only print what would be written.
    #[arg(long)]
    dry_run: bool,
}

/// Writes a night and prints its content.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let spec = spec(arguments)?;
    if arguments.dry_run {
        return would_simulate(arguments, &spec);
    }
    let summary = simulated(&arguments.out, &spec)?;
    say!(
        "{}: {} files, {} images with {} detectors, {} detections, {}",
        summary.delivery.display(),
        summary.files,
        summary.frames.len(),
        grouped(summary.detectors as u64),
        grouped(summary.rows),
        bytes(summary.bytes)
    );
    for planted in &summary.faults {
        say!("planted: {planted}");
    }
    if let Some(path) = &arguments.truth {
        simulate::write_truth(path, &summary.frames)?;
        say!("planted sources: {}", path.display());
    }
    Ok(Exit::Done)
}

/// Prints which delivery a simulation would write, unless there is one.
fn would_simulate(arguments: &Arguments, spec: &NightSpec) -> anyhow::Result<Exit> {
    let delivery = arguments.out.join(spec.delivery());
    if delivery.exists() {
        return Err(exists(&delivery));
    }
    tell_dry_run(true);
    say!("{}: {}", delivery.display(), counted(spec.frames as u64, "image"));
    if let Some(path) = &arguments.truth {
        say!("planted sources: {}", path.display());
    }
    Ok(Exit::Done)
}

fn exists(delivery: &Path) -> anyhow::Error {
    exit::conflict(format!("{} exists already", delivery.display()))
}

fn spec(arguments: &Arguments) -> anyhow::Result<NightSpec> {
    let all = NightSpec::default().programmes;
    let wanted = arguments.programmes.unwrap_or(all.len());
    if wanted == 0 || wanted > all.len() {
        return Err(exit::usage(format!("--programmes must be 1 to {}", all.len())));
    }
    let spec = NightSpec {
        night: night(&arguments.night)?,
        version: arguments.version,
        frames: arguments.frames,
        mix: if arguments.stacks_only { Mix::Stacks } else { Mix::Night },
        detections: arguments.detections,
        size: arguments.detector_size,
        seed: arguments.seed,
        programmes: all.into_iter().take(wanted).collect(),
        faults: arguments.faults,
        truth: arguments.truth.is_some(),
        threads: 0,
    };
    spec.check().map_err(|fault| exit::usage(fault.to_string()))?;
    Ok(spec)
}

fn night(text: &str) -> anyhow::Result<Night> {
    let wrong = || exit::usage(format!("--night {text:?} is not a date of the form YYYYMMDD"));
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| wrong());
    let year = i32::try_from(number(0..4)?)?;
    Night::new(year, number(4..6)?, number(6..8)?).ok_or_else(wrong)
}

/// Simulates with a progress bar.
pub fn simulated(out: &Path, spec: &NightSpec) -> anyhow::Result<NightSummary> {
    files::create_dir(out)?;
    let bar = progress("simulate", spec.frames as u64);
    let summary = simulate::night(out, spec, &|p| bar.set_position(p.done as u64));
    bar.finish_and_clear();
    match summary {
        Err(simulate::SimulateError::Exists(path)) => Err(exists(&path)),
        other => Ok(other?),
    }
}
