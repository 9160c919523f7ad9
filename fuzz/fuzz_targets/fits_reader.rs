//! The FITS reader on any bytes: it may refuse, it may not panic, hang, or take memory without bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fits::fuzz_entry(bytes));
