//! Functions of the sky for SQL. Angles are degrees; an invalid position returns NULL, or an error in `in_cone`.

use super::cone_hint;
use lake::Cone;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, Result};
use sky::SkyPosition;

/// Names and descriptions of the functions, for messages and documentation.
pub const FUNCTIONS: [(&str, &str); 12] = [
    (
        "in_cone(ra, dec, ra0, dec0, radius)",
        "1 if the position lies within the radius of the centre, all in degrees; fast in a WHERE; 1/60 is 0 in SQL, write \
         1/60.0",
    ),
    ("angular_distance_deg(ra1, dec1, ra2, dec2)", "angle between two positions"),
    ("healpix29(ra, dec)", "HEALPix cell, NESTED, order 29"),
    ("healpix(order, ra, dec)", "HEALPix cell, NESTED, of an order up to 29"),
    ("htm20(ra, dec)", "HTM trixel of depth 20"),
    ("galactic_l(ra, dec)", "galactic longitude"),
    ("galactic_b(ra, dec)", "galactic latitude"),
    ("sdss_lambda(ra, dec)", "SDSS survey longitude"),
    ("sdss_eta(ra, dec)", "SDSS survey latitude"),
    ("cone_of(ra0, dec0, radius)", "a cone as one value, which in_cone uses"),
    ("header_text(cards)", "the cards of a row of `header`, one per line"),
    ("header_value(cards, keyword)", "the value of a keyword in it, as text"),
];

/// Registers all functions.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let add = |name: &str, arguments, function: fn(&Numbers) -> Option<Value>| {
        connection.create_scalar_function(name, arguments, flags, move |ctx| {
            Ok(Numbers::of(ctx)?.and_then(|n| function(&n)))
        })
    };
    add("angular_distance_deg", 4, |n| Some(real(n.distance(0, 2)?)))?;
    connection.create_scalar_function("in_cone", 5, flags, |ctx| {
        let Some(n) = Numbers::of(ctx)? else { return Ok(None) };
        let cone = n.cone(2)?;
        let position = n.position(0).ok_or_else(|| not_a_position("", n.0[0], n.0[1]))?;
        let inside = cone.contains(position.ra_deg, position.dec_deg);
        Ok(Some(Value::Integer(i64::from(inside))))
    })?;
    connection.create_scalar_function("cone_of", 3, flags, |ctx| {
        let Some(n) = Numbers::of(ctx)? else { return Ok(None) };
        Ok(Some(Value::Blob(cone_hint::encode(n.cone(0)?))))
    })?;
    add("healpix29", 2, |n| whole(sky::healpix::nested29(n.0[0], n.0[1])?))?;
    add("healpix", 3, |n| {
        let order = (0.0..=29.0).contains(&n.0[0]).then_some(n.0[0] as u8)?;
        whole(sky::healpix::nested(order, n.0[1], n.0[2])?)
    })?;
    add("htm20", 2, |n| Some(Value::Integer(sky::htm::id20(n.position(0)?.unit_vector()).get())))?;
    add("galactic_l", 2, |n| Some(real(sky::galactic(n.position(0)?.unit_vector()).l_deg)))?;
    add("galactic_b", 2, |n| Some(real(sky::galactic(n.position(0)?.unit_vector()).b_deg)))?;
    add("sdss_lambda", 2, |n| {
        Some(real(sky::sdss_lambda_eta(n.position(0)?.unit_vector()).lambda_deg))
    })?;
    add("sdss_eta", 2, |n| Some(real(sky::sdss_lambda_eta(n.position(0)?.unit_vector()).eta_deg)))?;
    connection.create_scalar_function("header_text", 1, flags, |ctx| Ok(header_text(ctx)))?;
    connection.create_scalar_function("header_value", 2, flags, |ctx| {
        let keyword = ctx.get::<String>(1)?;
        Ok(cards(ctx).and_then(|cards| header_value(&cards, &keyword)))
    })?;
    connection.create_scalar_function(cone_hint::NAME, 2, flags, |_| Ok(1))
}

/// Replacement of NUL in cards: a string ends there.
const NUL: char = '\u{1}';

fn header_text(ctx: &Context<'_>) -> Option<String> {
    Some(cards(ctx)?.replace(NUL, " "))
}

/// Returns the unpacked cards of the first argument; `None` for an invalid value. NUL becomes [`NUL`], other control
/// characters become blanks, which keeps a card on its line, and bytes beyond ASCII become question marks.
fn cards(ctx: &Context<'_>) -> Option<String> {
    let bytes = stage::metadata::unpacked_cards(ctx.get_raw(0).as_blob().ok()?)?;
    let letter = |&byte: &u8| match byte {
        0 | 1 => NUL,
        byte if byte.is_ascii_control() => ' ',
        byte if byte.is_ascii() => char::from(byte),
        _ => '?',
    };
    let card = |card: &[u8]| {
        let text: String = card.iter().map(letter).collect();
        text.trim_end_matches([' ', NUL]).to_owned()
    };
    Some(bytes.chunks(80).map(card).collect::<Vec<_>>().join("\n"))
}

/// Returns the value of the first card of a keyword: the text of a string, the token of any other value.
fn header_value(cards: &str, keyword: &str) -> Option<String> {
    let keyword = keyword.trim();
    let rest = cards.lines().find_map(|card| {
        let (name, rest) = card.split_once('=')?;
        let name = name.trim().trim_start_matches("HIERARCH ").trim();
        name.eq_ignore_ascii_case(keyword).then_some(rest.trim_start())
    })?;
    let value = match rest.strip_prefix('\'') {
        None => rest.split('/').next().unwrap_or_default().replace(NUL, " ").trim().to_owned(),
        Some(text) => {
            // A quote within a string is doubled.
            let mut value = String::new();
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                if c == '\'' && chars.next_if_eq(&'\'').is_none() {
                    break;
                }
                value.push(c);
            }
            value.split(NUL).next().unwrap_or_default().trim_end().to_owned()
        }
    };
    (!value.is_empty()).then_some(value)
}

fn real(x: f64) -> Value {
    Value::Real(x)
}

fn whole(n: u64) -> Option<Value> {
    i64::try_from(n).ok().map(Value::Integer)
}

/// Returns the error for an invalid position; `of` is the suffix of the arguments' names.
fn not_a_position(of: &str, ra: f64, dec: f64) -> Error {
    let message = match ra.is_finite() {
        true => format!("in_cone: dec{of} is {dec}, not within -90 and 90"),
        false => format!("in_cone: ra{of} is {ra}, not a finite number"),
    };
    Error::UserFunctionError(message.into())
}

/// The arguments of a call, all numbers.
struct Numbers(Vec<f64>);

impl Numbers {
    /// Reads the arguments; `None` when one is NULL.
    ///
    /// # Errors
    /// Fails when one of them is a text or blob.
    fn of(ctx: &Context<'_>) -> Result<Option<Self>> {
        let numbers: Result<Option<Vec<f64>>> = (0..ctx.len()).map(|i| ctx.get(i)).collect();
        Ok(numbers?.map(Self))
    }

    /// Returns the cone whose right ascension is the `at`-th argument.
    ///
    /// # Errors
    /// An argument that is invalid for a cone.
    fn cone(&self, at: usize) -> Result<Cone> {
        let (ra, dec, radius) = (self.0[at], self.0[at + 1], self.0[at + 2]);
        if SkyPosition::new(ra, dec).is_none() {
            return Err(not_a_position("0", ra, dec));
        }
        if radius == 0.0 {
            let message = "in_cone: radius is 0; 1/60 of whole numbers is 0 in SQL, write 1/60.0";
            return Err(Error::UserFunctionError(message.into()));
        }
        let wrong = || format!("in_cone: radius is {radius}, not a number of degrees above 0");
        Cone::new(ra, dec, radius).ok_or_else(|| Error::UserFunctionError(wrong().into()))
    }

    /// Returns the position whose right ascension is the `at`-th argument.
    fn position(&self, at: usize) -> Option<SkyPosition> {
        SkyPosition::new(self.0[at], self.0[at + 1])
    }

    fn distance(&self, a: usize, b: usize) -> Option<f64> {
        let (a, b) = (self.position(a)?, self.position(b)?);
        Some(sky::angular_distance_deg(a.ra_deg, a.dec_deg, b.ra_deg, b.dec_deg))
    }
}
