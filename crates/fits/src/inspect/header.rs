//! A header in the report.

use super::Json;
use crate::card::Value;
use crate::header::Header;

/// Reports cards, comment, history and blank cards, duplicate keywords, the first value of each keyword, and faults of cards.
pub(super) fn report(header: &Header) -> Json {
    let count = |keyword: &str| {
        let cards = header.cards().filter(|card| card.is_commentary() && card.keyword() == keyword);
        Json::from(cards.count() as u64)
    };
    let duplicates = header.duplicates().into_iter().map(Json::from).collect();
    let mut json = Json::object([
        ("cards", Json::from(header.cards().len() as u64)),
        ("comment_cards", count("COMMENT")),
        ("history_cards", count("HISTORY")),
        ("blank_cards", count("")),
        ("duplicate_keywords", Json::List(duplicates)),
        ("values", values(header)),
    ]);
    let faults: Vec<Json> = header
        .faults()
        .map(|(card, fault)| {
            Json::object([("card", Json::from(card as u64)), ("code", Json::from(fault.code()))])
        })
        .collect();
    if !faults.is_empty() {
        json.add("faults", Json::List(faults));
    }
    json
}

fn values(header: &Header) -> Json {
    let first_of_its_keyword = header.cards().filter(|card| {
        let first = header.card(card.keyword()).map(|first| first.number());
        !card.is_commentary() && first == Some(card.number())
    });
    let members = first_of_its_keyword
        .filter_map(|card| Some((card.keyword().to_owned(), value(card.value()?))));
    Json::Object(members.collect())
}

fn value(value: Value<'_>) -> Json {
    match value {
        Value::Text(text) => Json::from(text),
        Value::Logical(value) => Json::Logical(value),
        Value::Integer(value) => Json::Integer(i128::from(value)),
        Value::BigInteger(digits) => Json::Digits(digits.to_owned()),
        Value::Float(value) => Json::Float(value),
        Value::Complex(real, imaginary) => Json::Text(complex(real, imaginary)),
        Value::Undefined => Json::Null,
    }
}

/// Formats a complex number as Python does: `(137-1j)`.
fn complex(real: f64, imaginary: f64) -> String {
    format!("({real}{imaginary:+}j)")
}
