//! Every block of `docs/cookbook.md` runs as a reader runs it, on an embedded archive and on a server; the answers agree with each
//! other, and with what astropy and numpy find in the FITS files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Desk, Said};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::postgres::Server;

const COOKBOOK: &str = include_str!("../../../docs/cookbook.md");
const CHECKS: &str = include_str!("cookbook.py");

/// DuckDB's extensions come from their packages, never from the network.
const EXTENSIONS: &str = "\
import duckdb_extensions
for extension in ('ducklake', 'sqlite_scanner'):
    duckdb_extensions.import_extension(extension)
";

/// A block of code.
#[derive(Debug)]
struct Block<'c> {
    /// Number of the question, and of the block within it; the preparation is question 0.
    key: String,
    language: &'c str,
    text: &'c str,
}

fn blocks() -> Vec<Block<'static>> {
    let mut blocks = Vec::new();
    for (question, section) in COOKBOOK.split("\n## ").enumerate() {
        let heading = section.lines().next().unwrap();
        assert!(question == 0 || heading.starts_with(&format!("{question}. ")), "{heading}");
        let parts: Vec<&str> = section.split("```").collect();
        assert_eq!(parts.len() % 2, 1, "a block of question {question} does not end");
        for (n, block) in parts.iter().skip(1).step_by(2).enumerate() {
            let (language, text) = block.split_once('\n').unwrap();
            blocks.push(Block { key: format!("{question}.{n}"), language, text });
        }
    }
    blocks
}

/// A program of the cookbook's reader: `almagest` is on the path, the site is in the environment.
fn readers(program: &Path, desk: &Desk) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_almagest")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(ours).chain(std::env::split_paths(&path));
    let mut command = Command::new(program);
    command.env("PATH", std::env::join_paths(paths).unwrap()).env("ALMAGEST_SITE", &desk.site);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(desk.dir.path());
    command
}

/// Runs a script, which must succeed; returns its output.
#[track_caller]
fn bash(desk: &Desk, script: &str) -> String {
    let mut command = readers(Path::new("bash"), desk);
    Said::from(command.args(["-e", "-c", script]).output().unwrap()).ended(0)
}

/// A desk with the archive that the cookbook prepares, made by its own commands with other words for `init`.
fn prepared(init: &str) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("cookbook");
    let desk = Desk { dir, site };
    let blocks = blocks();
    assert_eq!((blocks[0].key.as_str(), blocks[0].language), ("0.0", "sh"));
    let init_line = "almagest init cookbook\n";
    assert!(blocks[0].text.contains(init_line));
    bash(&desk, &blocks[0].text.replace(init_line, &format!("almagest init cookbook {init}\n")));
    desk
}

/// The answers to all blocks after the preparation; those in Python only with an interpreter.
fn answers(desk: &Desk, python: Option<&PathBuf>) -> Map<String, Value> {
    let mut answers = Map::new();
    for Block { key, language, text } in blocks().into_iter().skip(1) {
        let answer = match (language, python) {
            ("sql", _) => {
                let rows = desk.rows(text);
                let values = |row: Value| row.as_object().unwrap().values().cloned().collect();
                Value::Array(rows.into_iter().map(values).collect())
            }
            ("sh", _) => bash(desk, text).into(),
            ("python", Some(python)) => {
                let script = format!("{EXTENSIONS}{text}");
                let mut command = readers(python, desk);
                let said = command.args(["-W", "error", "-c", &script]).output().unwrap();
                Said::from(said).ended(0).trim().into()
            }
            ("python", None) => continue,
            (other, _) => panic!("{key}: a block in {other}"),
        };
        answers.insert(key, answer);
    }
    answers
}

/// Equal, but for the digits with which the engines write single-precision numbers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            (x - y).abs() <= 1e-6 * x.abs().max(y.abs()).max(1.0)
        }
        _ => a == b,
    }
}

#[test]
fn the_cookbook_asks_twenty_questions_with_a_query_each() {
    let blocks = blocks();
    for question in 1..=20 {
        assert!(blocks.iter().any(|b| b.key == format!("{question}.0")), "question {question}");
    }
    assert!(!blocks.iter().any(|b| b.key.starts_with("21.")));
}

#[test]
fn answers_are_those_of_other_programs_and_of_both_engines() {
    let desk = prepared("");
    let python = testkit::python();
    let found = answers(&desk, python.as_ref());
    for (key, answer) in &found {
        let is_empty = answer.as_array().map_or(answer == "", Vec::is_empty);
        assert!(!is_empty, "question {key} has no answer");
    }
    if let Some(server) = Server::shared() {
        let database = server.database();
        let on_server = prepared(&format!("--database '{}' --roles", database.url()));
        assert!(on_server.is_on_server());
        // What `attach` prints for a server needs an extension of DuckDB's own site.
        for (key, answer) in answers(&on_server, None) {
            let embedded = &found[&key];
            assert!(
                same(embedded, &answer),
                "{key}:\nembedded {embedded:.2000}\nserver {answer:.2000}"
            );
        }
    }
    let kept = desk.dir.path().join("answers.json");
    std::fs::write(&kept, Value::Object(found).to_string()).unwrap();
    let arguments = [desk.inbox(), kept, desk.dir.path().to_owned()];
    if let Some(said) = testkit::python_script("cookbook.py", CHECKS, &arguments) {
        assert!(said.ends_with(" 22 answers\n"), "{said}");
    }
}
