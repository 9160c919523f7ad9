//! The exit codes of `docs/operating.md` and of `almagest --help` are those of `src/exit.rs`.

use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .expect("a file of the repository")
}

/// The codes of the enum `Exit` with their comments.
fn defined() -> Vec<(u8, String)> {
    let source = read("src/exit.rs");
    let (_, body) = source.split_once("pub enum Exit {\n").expect("the codes");
    let (body, _) = body.split_once("\n}\n").expect("its end");
    let (mut codes, mut comment) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("/// ") {
            let space = if comment.is_empty() { "" } else { " " };
            comment += &format!("{space}{words}");
        } else {
            let (_, code) = line.trim_end_matches(',').split_once(" = ").expect("a code");
            codes.push((code.parse().expect("a number"), std::mem::take(&mut comment)));
        }
    }
    codes
}

#[test]
fn exit_codes_are_documented_as_they_are_defined() {
    let operating = read("../../docs/operating.md");
    let (_, section) = operating.split_once("## Exit codes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let code = cells.next()?.parse().ok()?;
        Some((code, cells.next()?.trim_end_matches(" |").to_owned()))
    };
    let documented: Vec<(u8, String)> = section.lines().filter_map(row).collect();
    assert_eq!(documented, defined());
    assert_eq!(documented.len(), 7);

    let help = read("tests/help/almagest.txt");
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let (codes, _) = codes.split_once("\n\n").unwrap();
    let in_help: Vec<u8> =
        codes.split(',').filter_map(|part| part.split_whitespace().next()?.parse().ok()).collect();
    let numbers: Vec<u8> = defined().into_iter().map(|(code, _)| code).collect();
    assert_eq!(in_help, numbers);
}
