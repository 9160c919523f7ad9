//! What may be delivered and must not do harm.

mod expected;
mod intake;
mod life;
mod limits;
mod nights;
mod texts;

use crate::operator::Desk;
use simulate::NightSpec;
use std::path::Path;
use testkit::damage::{Planted, Sound, named, plant_one};

/// The stack and catalogue that a run's damage is done to.
fn sound(run: u32) -> Sound {
    Sound::of_run(&NightSpec::default(), run)
}

/// Puts one kind into a delivery; `None` when this machine or user cannot make it.
fn plant(delivery: &Path, kind: &str, run: u32) -> Option<Planted> {
    let damage = named(kind).unwrap_or_else(|| panic!("no kind {kind}"));
    plant_one(delivery, &NightSpec::default(), damage, run).unwrap()
}

/// Nothing but line breaks may drive a terminal.
#[track_caller]
fn is_calm(what: &str, text: &str) {
    let wild = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(wild, None, "{what}:\n{text:?}");
}

/// Checks that the output of a command, on both streams, is calm. Returns stdout.
#[track_caller]
fn calm_words(desk: &Desk, words: &[&str], code: i32) -> String {
    let said = desk.at_site(words);
    is_calm(&words.join(" "), &(said.out.clone() + &said.err));
    said.ended(code)
}
