//! Card ↔ value, and headers of any bytes.

use fits::write::HeaderBuilder;
use fits::{Header, Value};
use proptest::prelude::*;

fn parse(builder: &HeaderBuilder) -> Header {
    Header::parse(builder.cards().expect("the builder takes what is given here").to_vec())
}

proptest! {
    #[test]
    fn whole_numbers_come_back(value: i64) {
        let mut builder = HeaderBuilder::new();
        builder.integer("VALUE", value, "comment");
        prop_assert_eq!(parse(&builder).integer("VALUE"), Ok(Some(value)));
    }

    #[test]
    fn numbers_come_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut builder = HeaderBuilder::new();
        builder.number("VALUE", value, "");
        prop_assert_eq!(parse(&builder).number("VALUE"), Ok(Some(value)));
    }

    #[test]
    fn texts_come_back(value in "[ -~]{0,300}") {
        let mut builder = HeaderBuilder::new();
        builder.text("VALUE", &value, "").integer("NEXT", 1, "");
        let header = parse(&builder);
        prop_assert_eq!(header.text("VALUE"), Some(value.trim_end_matches(' ')));
        prop_assert_eq!(header.integer("NEXT"), Ok(Some(1)));
        prop_assert_eq!(header.faults().count(), 0);
    }

    #[test]
    fn logicals_come_back(value: bool) {
        let mut builder = HeaderBuilder::new();
        builder.logical("VALUE", value, "");
        let header = parse(&builder);
        prop_assert_eq!(header.value("VALUE"), Some(Value::Logical(value)));
    }

    /// Every card is kept as it was, whatever it holds, and asking for anything is safe.
    #[test]
    fn any_bytes_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..800), ascii: bool) {
        let mut bytes = bytes;
        if ascii {
            // Nearer to cards: printable, with quotes, signs and `= ` where they matter.
            bytes.iter_mut().for_each(|byte| *byte = b" ='/&ABC19.-+()EDTF#"[usize::from(*byte) % 20]);
            bytes.chunks_mut(80).for_each(|card| if card.len() > 10 { card[8..10].copy_from_slice(b"= ") });
        }
        let header = Header::parse(bytes.clone());
        let whole = bytes.len() / 80 * 80;
        prop_assert_eq!(header.raw(), &bytes[..whole]);
        let stored: Vec<u8> = header.cards().flat_map(|card| card.raw().to_vec()).collect();
        prop_assert!(bytes.starts_with(&stored));
        for card in header.cards() {
            prop_assert!(card.is_commentary() || header.card(card.keyword()).is_some());
            let _ = (header.integer(card.keyword()), header.number(card.keyword()), card.comment());
        }
    }
}
