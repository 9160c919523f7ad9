//! Cards: what is read of them, and what is said against them.

use fits::{CardFault, Header, Value};

use crate::bytes;

fn only_card(text: &str) -> Header {
    Header::parse(bytes::cards(&[text]))
}

#[test]
fn values_of_cards() {
    let cases = [
        ("TRUE    =                    T / c", Value::Logical(true)),
        ("FALSE   = F", Value::Logical(false)),
        ("INT     =                   42 / the answer", Value::Integer(42)),
        ("INT     = -0000000000000000000000000000123456789", Value::Integer(-123_456_789)),
        ("INT     = -9223372036854775808", Value::Integer(i64::MIN)),
        ("INT     = +9223372036854775807", Value::Integer(i64::MAX)),
        // One more than 64 bits hold: TZERO of unsigned 64-bit integers is written so.
        ("BIG     = 9223372036854775808", Value::BigInteger("9223372036854775808")),
        ("FLOAT   = 2.99792458", Value::Float(2.997_924_58)),
        ("FLOAT   = 1.602176565e-19 / small e", Value::Float(1.602_176_565e-19)),
        ("FLOAT   = 6.62606957d-34 / Fortran", Value::Float(6.626_069_57e-34)),
        ("FLOAT   = 6.02214129D23", Value::Float(6.022_141_29e23)),
        ("FLOAT   = -.5", Value::Float(-0.5)),
        ("FLOAT   = 5.", Value::Float(5.0)),
        ("FLOAT   = 1E5/no blank before the comment", Value::Float(1e5)),
        ("COMPLEX = (137, -1)", Value::Complex(137.0, -1.0)),
        ("COMPLEX = (10e5,-0.1) / c", Value::Complex(1e6, -0.1)),
        ("TEXT    = 'K       '", Value::Text("K")),
        ("TEXT    = '  leading'", Value::Text("  leading")),
        ("TEXT    = ''", Value::Text("")),
        ("TEXT    = '     '", Value::Text("")),
        ("TEXT    = 'O''HARA' / c", Value::Text("O'HARA")),
        ("TEXT    = '''G''''DAY'''", Value::Text("'G''DAY'")),
        ("TEXT    = 'a / b' / c", Value::Text("a / b")),
        ("TEXT    =       'not in column 11'", Value::Text("not in column 11")),
        ("TEXT    = 'ends in &'", Value::Text("ends in &")),
        ("UNDEF   =                      / nothing", Value::Undefined),
        ("UNDEF   =", Value::Undefined),
        ("HIERARCH ESO QC MAGZPT = 23.5 / [mag]", Value::Float(23.5)),
        ("HIERARCH ESO OBS NAME='no blanks'", Value::Text("no blanks")),
    ];
    for (text, wanted) in cases {
        let header = only_card(text);
        let card = header.cards().next().expect("one card");
        // `= ` needs its blank; an equals sign at the end of the text has none in 80 bytes either way.
        assert_eq!(card.value(), Some(wanted), "{text}");
        assert_eq!(header.faults().count(), 0, "{text}: {:?}", header.faults().next());
        assert_eq!(header.value(card.keyword()), Some(wanted), "{text}");
    }
}

#[test]
fn comments_and_keywords_of_cards() {
    let cases = [
        ("EXPTIME =                 10.0 / [s] exposure", "EXPTIME", "[s] exposure"),
        ("TEXT    = 'a/b'/c", "TEXT", "c"),
        (
            "COMMENT = 'this is a comment all the same'",
            "COMMENT",
            "= 'this is a comment all the same'",
        ),
        ("HISTORY   20071011 flat-fielded", "HISTORY", "  20071011 flat-fielded"),
        ("        blank keyword", "", "blank keyword"),
        ("", "", ""),
        (
            "HIERARCH ESO  DET NCORRS NAME = 'x' / kept as it is",
            "ESO  DET NCORRS NAME",
            "kept as it is",
        ),
        ("NOVALUE  is commentary by its form", "NOVALUE", " is commentary by its form"),
    ];
    for (text, keyword, comment) in cases {
        let header = only_card(text);
        let card = header.cards().next().expect("one card");
        assert_eq!((card.keyword(), card.comment()), (keyword, comment), "{text}");
        assert_eq!(header.faults().count(), 0, "{text}");
    }
}

#[test]
fn malformed_cards_are_kept_and_reported() {
    use CardFault::*;
    let cases = [
        ("BADVAL  =                  BAD / c", BadValue, None),
        ("BADVAL  =                \"BAD\" / c", BadValue, None),
        ("BADVAL  =             1934-638 / c", BadValue, None),
        ("BADVAL  =                1.2.3 / c", BadValue, None),
        ("BADVAL  =            12h34m56s / c", BadValue, None),
        ("BADVAL  =                 0xFF / c", BadValue, None),
        ("BADVAL  =                  NaN / c", BadValue, None),
        ("BADVAL  =                  inf / c", BadValue, None),
        ("BADVAL  =                1e999 / more than a double holds", BadValue, None),
        ("BADVAL  =                   e5 / c", BadValue, None),
        ("BADVAL  =                    - / c", BadValue, None),
        ("BADVAL  =               (1, 2, / c", BadValue, None),
        ("BADVAL  =              49 + 94 / c", TextAfterValue, None),
        ("BADCOMM =                    1   no slash", TextAfterValue, None),
        ("BADVAL  = 'BAD' 'STR' / c", TextAfterValue, Some(Value::Text("BAD"))),
        ("BADVAL  = 'open / c", UnclosedString, None),
        ("BADVAL  = 'open''", UnclosedString, None),
        ("BADREC =                     1 / c", MisplacedIndicator, Some(Value::Integer(1))),
        ("BADREC  =1", MisplacedIndicator, None),
        ("BADKEY! =                  222 / c", BadKeyword, Some(Value::Integer(222))),
        ("BAD KEY =                  333 / c", BadKeyword, Some(Value::Integer(333))),
        ("BadKey  =                  111 / c", BadKeyword, Some(Value::Integer(111))),
        ("CONTINUE  'continues nothing'", OrphanContinue, None),
        ("TEXT    = 'a\u{7}b'", ControlCharacter, Some(Value::Text("a\\x07b"))),
        ("TEXT    = 'M31\0\0\0\0\0'", ControlCharacter, Some(Value::Text("M31"))),
        ("TEXT    = 'M31\0\u{7}it''s'  / c", ControlCharacter, Some(Value::Text("M31"))),
        ("TEXT    = 'M31\0\0\0\0\0", ControlCharacter, Some(Value::Text("M31"))),
        ("TEXT    = '\0'", ControlCharacter, Some(Value::Text(""))),
        ("TEXT    = 'M31'\0\0\0\0\0", ControlCharacter, Some(Value::Text("M31"))),
        ("NUMBER  = 25\0\0\0\0\0", ControlCharacter, Some(Value::Integer(25))),
        ("NUMBER  = 2.5\0\0 / c", ControlCharacter, Some(Value::Float(2.5))),
        ("NUM\0\0\0\0\0= 25", ControlCharacter, Some(Value::Integer(25))),
        ("HIERARCH = 5", BadKeyword, None),
    ];
    for (text, fault, value) in cases {
        let header = only_card(text);
        let faults: Vec<_> = header.faults().collect();
        if text.starts_with("HIERARCH") {
            // `HIERARCH= ` with the sign in byte 9 or 10 is a keyword like any other.
            assert_eq!(header.cards().len(), 1, "{text}");
            continue;
        }
        assert_eq!(faults, [(1, fault)], "{text}");
        let card = header.cards().next().expect("the card is kept");
        assert_eq!(card.value(), value, "{text}");
        assert_eq!(card.raw(), bytes::cards(&[text]), "{text}");
    }
}

#[test]
fn small_letters_in_keywords_are_taken_as_capitals_and_kept_as_stored() {
    let header = only_card("BadKey  =                  111 / c");
    assert_eq!(header.integer("BADKEY"), Ok(Some(111)));
    assert!(header.raw().starts_with(b"BadKey  ="));
}

#[test]
fn bytes_beyond_seven_bits_are_shown_as_question_marks_and_kept_as_stored() {
    let mut stored = bytes::cards(&["OBSERVER= 'Andr\u{e9}'"]);
    stored.truncate(80);
    let header = Header::parse(stored.clone());
    assert_eq!(header.text("OBSERVER"), Some("Andr??"), "two bytes of UTF-8");
    assert_eq!(header.faults().collect::<Vec<_>>(), [(1, CardFault::NonAscii)]);
    assert_eq!(header.raw(), stored);
}

#[test]
fn texts_end_at_nul_and_show_other_control_characters() {
    let stored = bytes::cards(&[
        "OBJECT  = 'M31\0\0\0\0\0'          / the\u{1b}[2J field\0of the night",
        "HISTORY done\0by\0nobody",
        "LONG    = 'one\u{9}, &'",
        "CONTINUE  'two\0\0\0'",
        "SOUND   = 'as it was'",
    ]);
    let header = Header::parse(stored.clone());
    assert_eq!(header.text("OBJECT"), Some("M31"));
    assert_eq!(header.card("OBJECT").unwrap().comment(), "the\\x1b[2J field");
    assert_eq!(header.cards().nth(1).unwrap().comment(), "done");
    assert_eq!(header.text("LONG"), Some("one\\x09, two"));
    assert_eq!(header.text("SOUND"), Some("as it was"));
    assert_eq!(header.cleaned(), (4, vec!["OBJECT", "HISTORY", "LONG"]));
    assert_eq!(header.raw(), stored, "the archive keeps what was delivered");
}

#[test]
fn the_last_card_may_be_padded_with_nul_or_hold_text() {
    for end in ["END", "END\0\0\0\0\0", "END     and nothing more", "END / of the header", "END= T"]
    {
        let mut header = bytes::cards(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", end]);
        header.resize(2880, b' ');
        let file = bytes::open(header).expect(end);
        assert_eq!(file.hdus().len(), 1, "{end:?}");
        assert_eq!(file.hdus()[0].fault, None, "{end:?}");
    }
    let mut header =
        bytes::cards(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "END", "left over"]);
    header.resize(2880, b' ');
    let file = bytes::open(header).unwrap();
    let faults: Vec<_> = file.hdus()[0].header.faults().map(|(_, fault)| fault).collect();
    assert_eq!(faults, [CardFault::TextAfterEnd]);
}

#[test]
fn long_strings_are_joined() {
    let cases: [(&[&str], &str, usize); 6] = [
        (
            &["LONG    = 'one, &'", "CONTINUE  'two, &' / and a comment", "CONTINUE  'three'"],
            "one, two, three",
            1,
        ),
        // A blank before the & belongs to the string, one behind the last letter does not.
        (&["LONG    = 'a  &'", "CONTINUE  'b   '"], "a  b", 1),
        (&["LONG    = 'it''s &'", "CONTINUE  'it''s'"], "it's it's", 1),
        (&["LONG    = 'ends in &'", "CONTINUE  ''"], "ends in ", 1),
        (&["LONG    = 'no sign'", "CONTINUE  'orphan'"], "no sign", 2),
        (&["LONG    = 'sign &'", "COMMENT between", "CONTINUE  'orphan'"], "sign &", 3),
    ];
    for (texts, wanted, cards) in cases {
        let header = Header::parse(bytes::cards(texts));
        let wanted = wanted.trim_end_matches(' ');
        assert_eq!(header.text("LONG"), Some(wanted), "{texts:?}");
        assert_eq!(header.cards().len(), cards, "{texts:?}");
        let stored: Vec<u8> = header.cards().flat_map(|card| card.raw().to_vec()).collect();
        assert_eq!(stored, bytes::cards(texts), "{texts:?}");
    }
}

#[test]
fn the_first_of_several_cards_counts_and_all_are_there() {
    let header = Header::parse(bytes::cards(&[
        "DUP     =                    1",
        "COMMENT twice",
        "DUP     =                    2",
        "COMMENT twice",
        "OTHER   =                    5",
        "DUP     =                    3",
    ]));
    assert_eq!(header.integer("DUP"), Ok(Some(1)));
    assert_eq!(header.duplicates(), ["DUP"]);
    let all: Vec<_> = header.values("DUP").collect();
    assert_eq!(all, [Value::Integer(1), Value::Integer(2), Value::Integer(3)]);
}

#[test]
fn values_are_read_by_type() {
    let header = Header::parse(bytes::cards(&[
        "WHOLE   =                   -7",
        "ROUND   =             -32768.0 / BLANK is written so by some",
        "FLOAT   =                  1.5",
        "TEXT    = 'seven' / c",
        "FLAG    =                    T",
        "EMPTY   =",
    ]));
    assert_eq!(header.integer("WHOLE"), Ok(Some(-7)));
    assert_eq!(header.integer("ROUND"), Ok(Some(-32768)));
    assert_eq!(header.number("WHOLE"), Ok(Some(-7.0)));
    assert_eq!(header.logical("FLAG"), Ok(Some(true)));
    assert_eq!(header.integer("EMPTY"), Ok(None));
    assert_eq!(header.number("ABSENT"), Ok(None));
    let wrong = [
        (
            header.integer("FLOAT").map(|_| ()),
            "keyword FLOAT holds 1.5, not a whole number of 64 bits",
        ),
        (
            header.integer("TEXT").map(|_| ()),
            "keyword TEXT holds 'seven', not a whole number of 64 bits",
        ),
        (header.number("FLAG").map(|_| ()), "keyword FLAG holds T, not a number"),
        (header.logical("WHOLE").map(|_| ()), "keyword WHOLE holds -7, not T or F"),
    ];
    for (result, message) in wrong {
        let fault = result.expect_err(message);
        assert_eq!((fault.code(), fault.to_string().as_str()), ("wrong_type", message));
    }
}

/// WCSLIB's collection of correct, doubtful and wrong cards.
#[test]
fn the_syntax_torture_of_wcslib() {
    let Some(dir) = testkit::real_data() else { return };
    let text = std::fs::read_to_string(dir.join("header_text/wcslib__fitshdr.keyrec")).unwrap();
    let texts: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let header = Header::parse(bytes::cards(&texts));
    assert_eq!(header.logical("SIMPLE"), Ok(Some(false)));
    assert_eq!(header.text("CTYPE4A"), Some("TIME'x'"));
    assert_eq!(header.value("UNDEF"), Some(Value::Undefined));
    assert_eq!(header.values("INT32").count(), 6);
    assert!(header.values("INT64").all(|value| matches!(value, Value::Integer(_))));
    assert!(header.values("INTVL").all(|value| matches!(value, Value::BigInteger(_))));
    assert!(header.values("FLOAT").all(|value| matches!(value, Value::Float(_))));
    assert_eq!(header.value("COMPLEX"), Some(Value::Complex(137.0, -1.0)));
    assert_eq!(header.text("GOODSTR"), Some("\"G'DAY\""));
    assert_eq!(header.text("BLANKS"), Some(""));
    assert_eq!(header.text("LONGSTR").map(str::len), Some(68));
    assert_eq!(header.text("CONTSTR"), Some("The quick brown fox jumps over the"));
    // One of the thirteen is a string with something behind it: the string is taken.
    assert_eq!(header.cards().filter(|card| card.keyword() == "BADVAL").count(), 13);
    assert_eq!(header.values("BADVAL").collect::<Vec<_>>(), [Value::Text("BAD")]);
    assert_eq!(header.values("BADCOMM").count(), 0);
    let end = texts.iter().position(|line| line.starts_with("END ")).unwrap();
    assert!(header.faults().any(|fault| fault == (end + 1, CardFault::TextAfterEnd)));
    assert_eq!(header.cards().last().unwrap().number(), end);
}
