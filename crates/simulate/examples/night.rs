//! Simulates a night: `night OUT FRAMES SIZE DETECTIONS night|stacks`.

#![expect(clippy::unwrap_used, reason = "an example may panic")]
use simulate::{Mix, NightSpec};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let spec = NightSpec {
        frames: args[2].parse().unwrap(),
        size: args[3].parse().unwrap(),
        detections: args[4].parse().unwrap(),
        mix: if args[5] == "stacks" { Mix::Stacks } else { Mix::Night },
        truth: args.len() > 6,
        faults: args.len() > 7,
        ..NightSpec::default()
    };
    let start = std::time::Instant::now();
    let s = simulate::night(args[1].as_ref(), &spec, &|_| {}).unwrap();
    println!(
        "{} files {} detectors {} rows {} MB {:?}",
        s.files,
        s.detectors,
        s.rows,
        s.bytes >> 20,
        start.elapsed()
    );
    if spec.truth {
        simulate::write_truth(format!("{}/truth.json", args[1]).as_ref(), &s.frames).unwrap();
    }
}
