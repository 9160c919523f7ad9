//! Tools that tests need and the product must not have: foreign checkers, real files, damaged files.
//!
//! Start at [`python_script`] for a check by other software, [`real_data`] for real files, [`postgres`], [`slurm`],
//! [`sshd`] and [`web`] for servers and clusters, [`relay`] for bad connections to them, [`SmallDisk`] for full disks,
//! [`damage`] for damaged and hostile files ([`damage::all`]; the simulator plants the same ones), [`source_items`] for the
//! comments of a source in a document. Only ever a dev-dependency.
//! This crate does not contain tests of other crates.

pub mod postgres;
mod python;
mod real;
pub mod relay;
pub mod slurm;
mod small_disk;
pub mod source_items;
pub mod sshd;
pub mod web;

pub use python::{python, python_script, skipped};
pub use real::{real_data, real_truth};
pub use simulate::damage;
pub use small_disk::SmallDisk;

/// Returns true when the tests run as root: some servers and faults need it, others are not possible then.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Returns a port of loopback on which no process listens.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
