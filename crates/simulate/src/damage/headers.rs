//! Headers that break the rules, and data that end early or do not match their sums.

use super::edit::Editor;
use super::{Build, Damage, Entry, Finder, Made, Scope, Sound};

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    build: fn(&Sound) -> Made,
) -> Damage {
    let build = Build::Files(build);
    Damage { name, description, code, scope: Scope::File, finder: Finder::Arrival, build }
}

const fn edited(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    edit: fn(&mut Editor) -> &mut Editor,
) -> Damage {
    let build = Build::Image(edit);
    Damage { name, description, code, scope: Scope::File, finder: Finder::Arrival, build }
}

const fn of_hdu(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    hdu: u16,
    build: fn(&Sound) -> Made,
) -> Damage {
    let build = Build::Files(build);
    Damage { name, description, code, scope: Scope::Hdu(hdu), finder: Finder::Arrival, build }
}

const fn parked(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    edit: fn(&mut Editor) -> &mut Editor,
) -> Damage {
    let build = Build::Image(edit);
    Damage { name, description, code, scope: Scope::Parked, finder: Finder::Metadata, build }
}

pub(super) static KINDS: [Damage; 29] = [
    kind("cut_in_primary", "the file ends inside the primary header", "missing_end", |s| {
        s.only_image(s.image[..2880].to_vec())
    }),
    kind("cut_in_header", "the file ends inside an extension's header", "missing_end", |s| {
        let file = Editor::of(&s.image);
        let at = file.hdu(2).header + 2880;
        s.only_image(file.cut(at))
    }),
    kind("cut_in_data", "the file ends inside the data of the third detector", "truncated", |s| {
        let file = Editor::of(&s.image);
        let at = (file.hdu(3).data + file.hdu(3).end) / 2;
        s.only_image(file.cut(at))
    }),
    kind("cut_in_rows", "the file ends inside the rows of a table", "truncated", |s| {
        let file = Editor::of(&s.catalogue);
        let at = file.hdu(4).data + 777;
        s.with_catalogue(file.cut(at))
    }),
    kind("cut_odd", "the file ends in the middle of a card", "missing_end", |s| {
        s.only_image(s.image[..1234].to_vec())
    }),
    kind(
        "cut_in_padding",
        "the file ends before the padding of its data",
        "truncated_padding",
        |s| {
            let file = Editor::of(&s.image);
            let ends = (1..=3).map(|hdu| file.hdu(hdu).end);
            let at = ends.into_iter().find(|end| end % 2880 != 0).unwrap_or(s.image.len());
            s.only_image(file.cut(at))
        },
    ),
    kind("cut_after_primary", "the file ends after the primary header", "no_data", |s| {
        let file = Editor::of(&s.image);
        let at = file.hdu(1).header;
        s.only_image(file.cut(at))
    }),
    Damage {
        name: "cut_between_extensions",
        description: "the file ends where the third detector ends",
        code: "extensions_missing",
        scope: Scope::File,
        finder: Finder::Metadata,
        build: Build::Files(|s| {
            let mut file = Editor::of(&s.image);
            file.put(0, "OBJECT", b"NEXTEND =                    4");
            let at = file.hdu(4).header;
            s.only_image(file.cut(at))
        }),
    },
    kind("end_missing", "the last extension's header has no END", "missing_end", |s| {
        let file = Editor::of(&s.image);
        let at = file.hdu(4).data;
        let mut bytes = file.cut(at);
        let end = bytes.chunks(80).rposition(|card| card.starts_with(b"END "));
        bytes[end.unwrap_or(0) * 80..].fill(b' ');
        s.only_image(bytes)
    }),
    kind("xtension_spoiled", "the last extension does not begin like one", "not_an_hdu", |s| {
        let mut file = Editor::of(&s.image);
        let at = file.hdu(4).header;
        file.bytes[at..at + 8].copy_from_slice(b"XTENS?ON");
        s.only_image(file.bytes)
    }),
    edited("simple_false", "SIMPLE = F", "not_standard", |f| f.set(0, "SIMPLE", "F")),
    edited("bitpix_13", "BITPIX = 13", "bad_value", |f| f.set(2, "BITPIX", "13")),
    edited("naxis_negative", "NAXIS = -2", "bad_value", |f| f.set(2, "NAXIS", "-2")),
    edited("naxis1_text", "NAXIS1 holds a text", "wrong_type", |f| {
        f.put(2, "NAXIS1", b"NAXIS1  = 'eight   '")
    }),
    edited("naxis1_negative", "NAXIS1 = -8", "negative_value", |f| f.set(2, "NAXIS1", "-8")),
    edited("naxis2_missing", "NAXIS2 is missing", "missing_keyword", |f| f.remove(2, "NAXIS2")),
    edited("bitpix_late", "BITPIX and NAXIS in the wrong order", "keyword_order", |f| {
        f.exchange(2, "BITPIX", "NAXIS")
    }),
    edited("pcount_negative", "PCOUNT = -1", "negative_value", |f| f.set(1, "PCOUNT", "-1")),
    edited("naxis2_twice", "two values of NAXIS2", "contradictory_keyword", |f| {
        f.put(3, "ZTENSION", b"NAXIS2  =                   63")
    }),
    edited("size_absurd", "10^12 x 10^12 pixels", "size_overflow", |f| {
        f.set(1, "NAXIS1", "1000000000000").set(1, "NAXIS2", "1000000000000")
    }),
    edited("size_claimed", "10^12 pixels that are not there", "truncated", |f| {
        f.set(1, "NAXIS1", "1000000").set(1, "NAXIS2", "1000000")
    }),
    kind("header_endless", "a header of 120 000 cards", "header_too_long", |s| {
        let mut bytes = s.image[..2800].to_vec();
        for _ in 0..120_000 {
            bytes.extend_from_slice(format!("{:80}", "COMMENT and so on").as_bytes());
        }
        s.only_image(bytes)
    }),
    of_hdu("datasum_of_image", "a bit of the pixels flipped", "datasum_mismatch", 2, |s| {
        let mut file = Editor::of(&s.summed_image());
        let data = file.data(2);
        data[1500] ^= 4;
        s.with_image(file.bytes)
    }),
    of_hdu("datasum_of_table", "a bit of the rows flipped", "datasum_mismatch", 3, |s| {
        let mut file = Editor::of(&s.summed_catalogue());
        file.data(3)[3210] ^= 1;
        s.with_catalogue(file.bytes)
    }),
    of_hdu("datasum_no_number", "DATASUM is not a number", "datasum_mismatch", 1, |s| {
        let mut file = Editor::of(&s.summed_image());
        file.put(1, "DATASUM", b"DATASUM = 'unknown '");
        s.only_image(file.bytes)
    }),
    parked("project_unknown", "PROJECT names no programme", "unknown_project", |f| {
        f.put(0, "PROJECT", b"PROJECT = 'u/99z/999'")
    }),
    parked("project_blank", "PROJECT is blank", "no_project", |f| {
        f.put(0, "PROJECT", b"PROJECT = '        '")
    }),
    Damage {
        name: "zero_point_missing",
        description: "neither image nor catalogue has a zero point",
        code: "no_zero_point",
        scope: Scope::Parked,
        finder: Finder::Catalogue,
        build: Build::Files(|s| {
            let mut made = s.with_catalogue(without_zero_point(&s.catalogue));
            made.files[0].1 = Entry::Bytes(without_zero_point(&s.image));
            made
        }),
    },
    Damage {
        name: "image_missing",
        description: "a catalogue without its image",
        code: "image_absent",
        scope: Scope::Parked,
        finder: Finder::Metadata,
        build: Build::Files(|s| {
            let mut made = s.with_catalogue(s.catalogue.clone());
            made.files.remove(0);
            made
        }),
    },
];

fn without_zero_point(bytes: &[u8]) -> Vec<u8> {
    let mut file = Editor::of(bytes);
    for hdu in 1..=4 {
        file.remove(hdu, "MAGZPT").remove(hdu, "NIGHTZPT");
    }
    file.bytes
}
