//! `almagest-node run TASK.json`: does one task on a computer that has nothing but this program and the files.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: almagest-node run TASK.json

Does one task: reads what the task file names, leaves its products and, last, result.json in the
task's own output directory. Exit codes: 0 done, 1 done with refusals, 2 usage, 4 not done.";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let path = match words.as_slice() {
        [verb, path] if verb == "run" => PathBuf::from(path),
        [flag] if flag == "--help" || flag == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [flag] if flag == "--version" => {
            println!("almagest-node {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {
            let _ = writeln!(std::io::stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    match node::run_file(&path) {
        Ok(result) if result.refusals.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "almagest-node: {}", model::one_line(&fault));
            ExitCode::from(4)
        }
    }
}
