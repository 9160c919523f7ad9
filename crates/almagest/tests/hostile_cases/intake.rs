//! The intake of hostile files: texts are cleaned once, values that an engine refuses are found before they are staged,
//! complete HDUs are kept, and the limits of the profile hold in every stage.

use super::{plant, sound};
use crate::operator::{Desk, Small};
use fits::{FitsFile, Limits};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Replaces the card of a keyword in the primary header by as many cards as the bytes make; CONTINUE cards make it longer.
fn with_cards(image: &[u8], keyword: &str, cards: &[u8]) -> Vec<u8> {
    let begin = format!("{keyword:8}=");
    let at = image.chunks(80).position(|card| card.starts_with(begin.as_bytes())).unwrap() * 80;
    let end = image.chunks(80).position(|card| card.starts_with(b"END     ")).unwrap() * 80;
    let mut header = image[..at].to_vec();
    header.extend(cards.chunks(80).flat_map(|card| {
        let mut card = card.to_vec();
        card.resize(80, b' ');
        card
    }));
    header.extend_from_slice(&image[at + 80..end + 80]);
    header.resize(header.len().next_multiple_of(2880), b' ');
    header.extend_from_slice(&image[(end + 80).next_multiple_of(2880)..]);
    header
}

/// A string of 5000 letters that no compressor shortens, in CONTINUE cards.
fn long_string(keyword: &str) -> Vec<u8> {
    let mut letters = (1..).map(|n: u64| {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        b'a' + ((hash >> 32) % 26) as u8
    });
    let mut cards = Vec::new();
    for number in 0..100 {
        let word = if number == 0 { format!("{keyword:8}= '") } else { "CONTINUE  '".to_owned() };
        let mut card = word.into_bytes();
        card.extend(letters.by_ref().take(50));
        card.extend_from_slice(if number < 99 { b"&'" } else { b"'" });
        card.resize(80, b' ');
        cards.extend(card);
    }
    cards
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Adds lines to the `[limits]` of the site's profile of WFCAM.
fn limit(desk: &Desk, lines: &str) {
    let path = desk.site.join("surveys/wfcam.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[limits]\n", &format!("[limits]\n{lines}\n"))).unwrap();
}

fn found(desk: &Desk, code: &str) -> Vec<Value> {
    desk.rows(&format!(
        "SELECT example_file, example_ext_num, files FROM finding WHERE code = '{code}'"
    ))
}

#[test]
fn one_bad_value_keeps_no_other_frame_out() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
        let cases: [(u32, &str, Vec<u8>); 8] = [
            (90_001, "OBJECT", b"OBJECT  = 'M31\0\0\0\0\0'           / C string".to_vec()),
            (90_002, "OBJECT", b"OBJECT  = 'M3\x01\x1b[2J\x7f'".to_vec()),
            (90_003, "OBJECT", b"OBJECT  = 'Andr\xe9 \xff\xfe'".to_vec()),
            (90_004, "OBJECT", long_string("OBJECT")),
            (90_005, "OBSNUM", b"OBSNUM  = 99999999999999999999".to_vec()),
            (90_006, "AMSTART", b"AMSTART = 1.0E300".to_vec()),
            (90_007, "AMSTART", b"AMSTART = 'NaN     '".to_vec()),
            (90_008, "OBSNUM", b"OBSNUM  = 3000000000".to_vec()),
        ];
        for (run, keyword, cards) in &cases {
            let sound = sound(*run);
            let image = with_cards(&sound.image, keyword, cards);
            std::fs::write(delivery.join(format!("{}.fit", sound.root)), image).unwrap();
        }
        desk.run(&delivery).ended(0);
        desk.verified();
        assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 2 + cases.len() as u64);
        assert_eq!(desk.count("SELECT count(*) FROM multiframe WHERE object = 'M31'"), 1);
        let text = |run: u32| {
            desk.value(&format!(
                "SELECT object FROM multiframe WHERE file_name = 'w20071011_{run}_st.fit'"
            ))
        };
        assert_eq!(text(90_002), json!("M3\\x01\\x1b[2J\\x7f"));
        assert_eq!(text(90_003), json!("Andr? ??"));
        let long = text(90_004).as_str().unwrap().to_owned();
        assert!(long.len() <= 1003 && long.ends_with('…'), "{}", long.len());
        let unknown = "SELECT count(*) FROM multiframe WHERE
             file_name IN ('w20071011_90005_st.fit', 'w20071011_90008_st.fit') AND obs_num IS NULL
             OR file_name IN ('w20071011_90006_st.fit', 'w20071011_90007_st.fit') AND am_start IS NULL";
        assert_eq!(desk.count(unknown), 4);
        // The header as delivered can be queried, whatever is in it.
        let asked = "SELECT count(*) FROM header JOIN multiframe USING (multiframe_id)
             WHERE ext_num = 1 AND header_value(cards, 'OBJECT') = object AND header.file_name = multiframe.file_name
                 AND header_text(cards) LIKE '%OBJECT  = ''M31%'";
        assert_eq!(desk.count(asked), 1);
        // One finding per code and keyword, with the number of files.
        let cleaned = found(&desk, "header_text_cleaned");
        assert_eq!(cleaned.len(), 1, "{cleaned:?}");
        assert_eq!((&cleaned[0]["files"], &cleaned[0]["example_ext_num"]), (&json!(3), &json!(1)));
        assert_eq!(found(&desk, "text_not_storable").len(), 1);
    }
}

#[test]
fn complete_hdus_are_kept_whatever_follows_them() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    let mut special = b"SPECIAL RECORD of the tape".to_vec();
    special.resize(2880, b' ');
    let junk = b"left over from the file that was here before. ".repeat(200);
    let tails: [(u32, &[u8]); 3] = [(90_001, &junk), (90_002, b"\r\n"), (90_003, &special)];
    for (run, tail) in tails {
        let sound = sound(run);
        let image = [&sound.image[..], tail].concat();
        std::fs::write(delivery.join(format!("{}.fit", sound.root)), image).unwrap();
    }
    let packed = [&gzip(&sound(90_004).image)[..], &[0; 1000]].concat();
    std::fs::write(delivery.join("w20071011_90004_st.fit"), packed).unwrap();
    let packed = [&gzip(&sound(90_005).image)[..], b"\r\n"].concat();
    std::fs::write(delivery.join("w20071011_90005_st.fit"), packed).unwrap();
    // A program that does not pad what it writes last.
    let sound = sound(90_006);
    let end = sound.image.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let file = FitsFile::from_bytes("sound", sound.image.clone(), &Limits::default()).unwrap();
    let last = file.hdus().last().unwrap();
    let data_end = (last.data_offset + last.data_bytes) as usize;
    assert!(end <= data_end && data_end < sound.image.len(), "it has padding");
    std::fs::write(delivery.join("w20071011_90006_st.fit"), &sound.image[..data_end]).unwrap();
    desk.run(&delivery).ended(0);
    desk.verified();
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 8);
    assert_eq!(found(&desk, "padding_missing").len(), 1);
    let detectors = "SELECT count(*) FROM multiframe_detector JOIN multiframe USING (multiframe_id)
         WHERE file_name LIKE 'w20071011_9000%'";
    assert_eq!(desk.count(detectors), 24);
    let trailing = found(&desk, "trailing_bytes");
    assert_eq!(trailing.len(), 1, "{trailing:?}");
    assert_eq!(trailing[0]["files"], json!(4), "zeros are padding");
    let inspected =
        desk.at_site(&["inspect", delivery.join("w20071011_90002_st.fit").to_str().unwrap()]);
    assert!(inspected.ended(0).contains("2 bytes, from"), "it is shown");
}

#[test]
fn the_profiles_limits_hold_on_arrival_and_in_inspections() {
    let put = |delivery: &Path| {
        let path = delivery.join("w20071011_90001_st.fit");
        std::fs::write(&path, gzip(&sound(90_001).image)).unwrap();
        path
    };
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    let path = put(&delivery);
    limit(&desk, "unpacked_bytes = 20_000");
    let inspected = desk.at_site(&["inspect", path.to_str().unwrap()]).ended(1);
    assert!(inspected.contains("gzip_bomb"), "{inspected}");
    desk.run(&delivery).ended(1);
    let codes: Vec<_> = desk.refusals().iter().map(|r| r["code"].clone()).collect();
    assert_eq!(codes, ["gzip_bomb"]);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 2);
    desk.plain(&["inspect", path.to_str().unwrap()]).ended(0);
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    put(&delivery);
    desk.run(&delivery).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 3);
}

#[test]
fn a_stale_datasum_is_accepted_by_the_operator_or_the_profile() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
        plant(&delivery, "datasum_of_image", 90_001).unwrap();
        plant(&delivery, "size_claimed", 90_002).unwrap();
        desk.run(&delivery).ended(1);
        let detectors = || {
            desk.count(
                "SELECT count(*) FROM multiframe_detector JOIN multiframe USING (multiframe_id)
                 WHERE file_name = 'w20071011_90001_st.fit'",
            )
        };
        assert_eq!(detectors(), 3, "refusal stays the default");
        let number = |code: &str| {
            let refusals = desk.refusals();
            let one = refusals.iter().find(|r| r["code"] == json!(code)).unwrap();
            one["number"].to_string()
        };
        let (stale, cut) = (number("datasum_mismatch"), number("truncated"));
        let take = ["refusals", "accept", &stale, "--take", "--reason", "checked by eye"];
        let said = desk.at_site(&["refusals", "accept", &cut, "--take", "--reason", "x"]).ended(3);
        assert!(said.is_empty(), "what is lost cannot be accepted: {said}");
        let show = desk.at_site(&["refusals", "show", &stale]).ended(0);
        assert!(show.contains(&format!(" refusals accept {stale} --take --reason")), "{show}");
        desk.at_site(&[&take[..], &["--dry-run"]].concat()).ended(0);
        assert_eq!(number("datasum_mismatch"), stale, "a dry run does nothing");
        desk.at_site(&take).ended(0);
        desk.run(&delivery);
        desk.verified();
        assert_eq!(detectors(), 4);
        assert_eq!(found(&desk, "datasum_mismatch").len(), 1, "it is marked");
        let show = desk.at_site(&["refusals", "show", &stale]).ended(0);
        assert!(show.contains("accepted, overruled"), "{show}");
        assert_eq!(desk.at_site(&take).code, Some(5), "once is enough");
        // A second transfer of the file changes nothing.
        desk.run(&delivery);
        assert_eq!(detectors(), 4);
    }
    let desk = Desk::new();
    limit(&desk, "stale_checksum = \"finding\"");
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    plant(&delivery, "datasum_of_image", 90_001).unwrap();
    plant(&delivery, "datasum_of_table", 90_002).unwrap();
    desk.run(&delivery).ended(0);
    desk.verified();
    assert_eq!(desk.count("SELECT count(*) FROM multiframe_detector"), 16);
    let marked = found(&desk, "datasum_mismatch");
    assert_eq!((marked.len(), &marked[0]["files"]), (1, &json!(2)));
}

#[test]
fn a_file_that_no_profile_fits_stops_no_other() {
    let desk = Desk::new();
    let delivery = desk.simulate(&Small { frames: 2, detections: 10, ..Small::default() });
    let image = with_cards(&sound(90_001).image, "INSTRUME", b"INSTRUME= 'OTHERCAM'");
    let image = with_cards(&image, "TELESCOP", b"TELESCOP= 'OTHER   '");
    std::fs::write(delivery.join("w20071011_90001_st.fit"), image).unwrap();
    let fallback = desk.site.join("surveys/generic.toml");
    let aside = desk.site.join("generic.toml");
    std::fs::rename(&fallback, &aside).unwrap();
    desk.run(&delivery).ended(1);
    let refused = desk.refusals();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["code"], "no_profile");
    assert_eq!(refused[0]["file"], "w20071011_90001_st.fit");
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 2);
    desk.verified();
    std::fs::rename(&aside, &fallback).unwrap();
    desk.at_site(&["refusals", "retry", "1", "--reason", "a profile fits"]).ended(0);
    desk.run(&delivery);
    let left: Vec<_> = desk.refusals().iter().map(|r| r["code"].clone()).collect();
    assert!(left.iter().all(|code| code != "no_profile"), "{left:?}");
    assert_eq!(desk.count("SELECT count(*) FROM multiframe"), 3);
}
