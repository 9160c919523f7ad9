//! `almagest simulate OUT`: a WFCAM night, or a delivery of another pipeline (`--like`).

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{bytes, counted, grouped, progress, say};
use simulate::like::{LikeSpec, LikeSummary, Pipeline};
use simulate::{Mix, Night, NightSpec, NightSummary, SimulateError};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory in which the delivery is created, e.g. an inbox.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Write a small delivery of another pipeline instead of a WFCAM night; a site made with `init --profiles NAME` archives
    /// it.
    #[arg(
        long,
        value_name = "NAME",
        value_parser = clap::builder::PossibleValuesParser::new(Pipeline::NAMES),
        conflicts_with_all = ["version", "programmes", "stacks_only", "faults"]
    )]
    like: Option<String>,
    /// Observing night [default: 20071011; with --like, one of the pipeline's].
    #[arg(long, value_name = "YYYYMMDD")]
    night: Option<String>,
    /// Pipeline version: the delivery is NIGHT_vVERSION.
    #[arg(long, default_value_t = 1)]
    version: u32,
    /// Number of image files, catalogues not counted [default: 16; with --like, 2].
    #[arg(long)]
    frames: Option<usize>,
    /// Detections per detector of a stack [default: 250; with --like, 40].
    #[arg(long)]
    detections: Option<usize>,
    /// Seed of all random values: same seed, same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Side of a detector in pixels [default: 512; with --like, 128].
    #[arg(long)]
    detector_size: Option<usize>,
    /// Detectors of an image of --like [default: those of its camera].
    #[arg(long, value_name = "N", requires = "like")]
    detectors: Option<usize>,
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
    if let Some(pipeline) = arguments.like.as_deref().and_then(Pipeline::named) {
        return like(arguments, pipeline);
    }
    let spec = spec(arguments)?;
    if arguments.dry_run {
        return would_simulate(arguments, &spec.delivery(), spec.frames);
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

/// Writes a delivery of another pipeline and prints its content.
fn like(arguments: &Arguments, pipeline: Pipeline) -> anyhow::Result<Exit> {
    let defaults = LikeSpec::of(pipeline);
    let spec = LikeSpec {
        pipeline,
        night: arguments.night.as_deref().map_or(Ok(defaults.night), night)?,
        frames: arguments.frames.unwrap_or(defaults.frames),
        detectors: arguments.detectors.unwrap_or(defaults.detectors),
        detections: arguments.detections.unwrap_or(defaults.detections),
        size: arguments.detector_size.unwrap_or(defaults.size),
        seed: arguments.seed,
    };
    spec.check().map_err(|fault| exit::usage(fault.to_string()))?;
    if arguments.dry_run {
        return would_simulate(arguments, &spec.delivery(), spec.frames);
    }
    files::create_dir(&arguments.out)?;
    let LikeSummary { delivery, images, files, bytes: size } =
        written(simulate::like::like(&arguments.out, &spec))?;
    let detectors: usize = images.iter().map(|image| image.detectors.len()).sum();
    say!(
        "{}: {files} files, {} images with {} detectors, {}",
        delivery.display(),
        images.len(),
        grouped(detectors as u64),
        bytes(size)
    );
    if let Some(path) = &arguments.truth {
        simulate::like::write_like_truth(path, &images)?;
        say!("planted sources: {}", path.display());
    }
    Ok(Exit::Done)
}

/// Prints which delivery a simulation would write, unless there is one.
fn would_simulate(arguments: &Arguments, name: &str, images: usize) -> anyhow::Result<Exit> {
    let delivery = arguments.out.join(name);
    if delivery.exists() {
        return Err(exists(&delivery));
    }
    tell_dry_run(true);
    say!("{}: {}", delivery.display(), counted(images as u64, "image"));
    if let Some(path) = &arguments.truth {
        say!("planted sources: {}", path.display());
    }
    Ok(Exit::Done)
}

fn exists(delivery: &Path) -> anyhow::Error {
    exit::conflict(format!("{} exists already", delivery.display()))
}

fn spec(arguments: &Arguments) -> anyhow::Result<NightSpec> {
    let defaults = NightSpec::default();
    let all = defaults.programmes;
    let wanted = arguments.programmes.unwrap_or(all.len());
    if wanted == 0 || wanted > all.len() {
        return Err(exit::usage(format!("--programmes must be 1 to {}", all.len())));
    }
    let spec = NightSpec {
        night: arguments.night.as_deref().map_or(Ok(defaults.night), night)?,
        version: arguments.version,
        frames: arguments.frames.unwrap_or(defaults.frames),
        mix: if arguments.stacks_only { Mix::Stacks } else { Mix::Night },
        detections: arguments.detections.unwrap_or(defaults.detections),
        size: arguments.detector_size.unwrap_or(defaults.size),
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
    written(summary)
}

/// Turns a delivery that exists already into a conflict.
fn written<T>(summary: Result<T, SimulateError>) -> anyhow::Result<T> {
    match summary {
        Err(SimulateError::Exists(path)) => Err(exists(&path)),
        other => Ok(other?),
    }
}
