//! Both engines against the conformance suite, and what is particular to each.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod control_conformance;

use archive::{Archive, Reader, Site};
use control_conformance::staging::{new_site, new_site_on_server, now};

fn fresh() -> (tempfile::TempDir, Site, Archive) {
    let dir = tempfile::tempdir().unwrap();
    let (site, archive) = new_site(&dir.path().join("site"));
    (dir, site, archive)
}

#[test]
fn the_embedded_engine_conforms() {
    control_conformance::all(&fresh);
}

#[test]
fn the_server_conforms() {
    if testkit::postgres::Server::shared().is_none() {
        return;
    }
    control_conformance::all(&|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, archive) = new_site_on_server(&dir.path().join("site")).unwrap();
        (dir, site, archive)
    });
}

#[test]
fn a_site_has_one_archive() {
    let (_dir, site, archive) = fresh();
    assert!(Archive::create(&site, now()).unwrap_err().is_gate());
    drop(archive);
    let again = Reader::open(&site).unwrap();
    assert_eq!(again.programmes().unwrap().len(), 1);
    assert_eq!(site.examine(), Vec::<String>::new(), "wal and shm stay, the group can read");
}
