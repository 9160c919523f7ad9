//! Texts of headers that try to drive a terminal, a table or a page.

use super::{calm_words, is_calm, sound};
use crate::operator::{Desk, Small};
use serde_json::json;

const OBJECT: &str = "\u{1b}[2J,\"a\"\u{7}<script>\r\n,b";

/// Puts a text into the card of a keyword of the primary header.
fn with_text(mut image: Vec<u8>, keyword: &str, text: &str) -> Vec<u8> {
    let begin = format!("{keyword:8}=");
    let card = image.chunks_exact_mut(80).find(|card| card.starts_with(begin.as_bytes())).unwrap();
    card.fill(b' ');
    let text = format!("{begin} '{text}'");
    card[..text.len()].copy_from_slice(text.as_bytes());
    image
}

/// Fields of RFC 4180.
fn fields(csv: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut rest = csv.chars().peekable();
    while let Some(c) = rest.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {
                assert_eq!(rest.next(), Some('\n'), "a line ends with CR LF");
                rows.push(vec![String::new()]);
            }
            '\n' if !quoted => panic!("a bare line break outside quotes"),
            _ => row.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted && rows.pop() == Some(vec![String::new()]), "it ends with a line's end");
    rows
}

#[test]
fn header_texts_stay_texts() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    let cases = [(90_001, "OBJECT", OBJECT), (90_002, "PROJECT", "u/\u{1b}]0;x\u{7}/1\n,\"2\"")];
    for (run, keyword, text) in cases {
        let sound = sound(run);
        let image = with_text(sound.image.clone(), keyword, text);
        std::fs::write(delivery.join(format!("{}.fit", sound.root)), image).unwrap();
    }
    let said = desk.run(&delivery);
    is_calm("run", &(said.out.clone() + &said.err));
    said.ended(1);
    desk.verified();
    let refusals = desk.refusals();
    let codes: Vec<_> = refusals.iter().map(|r| (&r["code"], &r["file"])).collect();
    assert_eq!(codes, [(&json!("unknown_project"), &json!("w20071011_90002_st.fit"))]);
    calm_words(&desk, &["refusals"], 0);
    calm_words(&desk, &["status"], 0);
    calm_words(&desk, &["refusals", "show", &refusals[0]["number"].to_string()], 0);
    for run in [90_001, 90_002] {
        calm_words(&desk, &["explain", &format!("w20071011_{run}_st.fit")], 0);
    }
    let query =
        "SELECT object, multiframe_id FROM multiframe WHERE file_name = 'w20071011_90001_st.fit'";
    calm_words(&desk, &["sql", query], 0);
    let object = desk.rows(query)[0]["object"].as_str().unwrap().to_owned();
    let csv = desk.at_site(&["sql", query, "--format", "csv"]).ended(0);
    let rows = fields(&csv);
    assert_eq!(rows.len(), 2, "{csv:?}");
    assert_eq!((rows[1].len(), &rows[1][0]), (2, &object), "{csv:?}");
    let everything = "SELECT * FROM refusal JOIN delivery USING (delivery_id)";
    let csv = desk.at_site(&["sql", everything, "--format", "csv"]).ended(0);
    let rows = fields(&csv);
    assert!(rows.len() == 2 && rows[0].len() == rows[1].len(), "{csv:?}");
}
