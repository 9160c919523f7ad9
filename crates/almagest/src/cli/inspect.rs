//! `almagest inspect FILE…`.

use crate::exit::Exit;
use crate::report::{Table, shown};
use fits::inspect::{Inspection, inspect};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// FITS files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As one JSON object: {"files": {PATH: …}}.
    #[arg(long)]
    json: bool,
}

/// Prints what is in FITS files. Exit code 1 when a file or HDU is refused.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut refused = false;
    let many = arguments.files.len();
    if arguments.json {
        print!("{{\"files\": {{");
    }
    for (i, path) in arguments.files.iter().enumerate() {
        let found = inspect(path, &fits::Limits::default());
        refused |= found.refusal.is_some() || found.hdus.iter().any(|h| h.refusal.is_some());
        if arguments.json {
            let name = serde_json::to_string(&path.display().to_string())?;
            print!("{}\n{name}: {}", if i > 0 { "," } else { "" }, found.to_json());
        } else {
            if many > 1 {
                println!(
                    "{}{}:",
                    if i > 0 { "\n" } else { "" },
                    shown(&path.display().to_string())
                );
            }
            print!("{}", text(&found));
        }
    }
    if arguments.json {
        println!("\n}}}}");
    }
    Ok(if refused { Exit::Refusals } else { Exit::Done })
}

fn text(found: &Inspection) -> String {
    if let Some(refusal) = &found.refusal {
        return format!("refused, {}: {}\n", refusal.code, shown(&refusal.message));
    }
    let mut table = Table::new(["hdu", "name", "holds", "size", "cards", "checksums", "remarks"]);
    for hdu in &found.hdus {
        let remark = hdu
            .refusal
            .as_ref()
            .map(|r| format!("refused, {}: {}", r.code, r.message))
            .unwrap_or_default();
        table.row([
            hdu.index.0.to_string(),
            hdu.name.clone(),
            hdu.kind.in_words().to_owned(),
            hdu.size_in_words(),
            hdu.cards().to_string(),
            hdu.checks_in_words().to_owned(),
            remark,
        ]);
    }
    table.text()
}
