//! `almagest-node`.
fn main() {}
