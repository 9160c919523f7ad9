//! Deliveries: where they come from, what arrived of them, and which supersede each other.

pub mod origins;
pub(crate) mod provider;
pub mod registration;
pub(crate) mod superseded;
