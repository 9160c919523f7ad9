//! `almagest daemon ingest`, on both engines: what others stage becomes visible by itself, whatever happens meanwhile.

mod operator;

use operator::{Daemon, Desk, Small, signal, until, until_stopped};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use testkit::postgres::{Options, Server};

fn night() -> Small<'static> {
    Small { frames: 8, detections: 12, ..Small::default() }
}

/// Sets keys of the site's `[ingest]`, with a port of its own.
fn configure(desk: &Desk) -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("its address").port();
    let address = format!("127.0.0.1:{port}");
    desk.configure(&[("127.0.0.1:19187", &address), ("poll_seconds = 10", "poll_seconds = 1")]);
    port
}

/// Stages everything of a night, as an operator who leaves ingest to the daemon. Detections wait for metadata.
fn stage(desk: &Desk, delivery: &std::path::Path) {
    let delivery = delivery.to_str().expect("UTF-8");
    desk.at_site(&["transfer", delivery]).ended(0);
    for step in ["metadata", "preview", "catalogue"] {
        desk.at_site(&[step]).ended(0);
    }
}

fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn batches_of_other_processes_are_published() {
    for desk in Desk::of_both_engines() {
        let undisturbed = Desk::new();
        let delivery = undisturbed.simulate(&night());
        undisturbed.run(&delivery).ended(0);
        let port = configure(&desk);
        let daemon = Daemon::start(&desk, &["ingest"], &[]);
        until("the first one", || get(port, "/healthz").starts_with("HTTP/1.1 200"));
        let second = Daemon::start(&desk, &["ingest"], &[]); // by mistake
        let delivery = desk.simulate(&night());
        stage(&desk, &delivery);
        until("the night", || desk.complete() == 1);
        desk.content().is_that_of(&undisturbed.content(), "ingested by a daemon");
        desk.verified();
        until("a pass after that", || {
            get(port, "/metrics").contains("almagest_ingest_published_batches_total 3")
        });
        let metrics = get(port, "/metrics");
        let detections = desk.count("SELECT count(*) FROM detection");
        let line =
            format!("almagest_ingest_published_rows_total{{table=\"detection\"}} {detections}\n");
        assert!(metrics.contains(&line), "{metrics}");
        assert!(get(port, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(get(port, "/other").starts_with("HTTP/1.1 404"));
        let status = desk.at_site(&["status"]).ended(0);
        assert!(
            status.contains("ingester: waiting, pid ") && status.contains("3 batches published"),
            "{status}"
        );
        let said = daemon.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains("ingested 20071011_v1 catalogue round 1"), "{said:?}");
        // The one that stood by takes over.
        let delivery = desk.simulate(&Small { night: "20071012", ..night() });
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
        desk.at_site(&["metadata", "--night", "20071012"]).ended(0);
        let frames = "SELECT count(*) FROM multiframe";
        until("the second one", || desk.count(frames) > 8);
        let said = second.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains("another ingester runs on this site"), "{said:?}");
        assert!(
            !desk.at_site(&["status"]).ended(0).contains("ingester"),
            "both have gone in good order"
        );
    }
}

#[test]
fn a_batch_that_does_not_fit_holds_no_other_up() {
    for desk in Desk::of_both_engines() {
        configure(&desk);
        let delivery = desk.simulate(&night());
        stage(&desk, &delivery);
        // A user edits the staged previews.
        let mut edited = None;
        for entry in walk(&desk.site.join("staging")) {
            if entry.file_name().is_some_and(|n| n == "preview.parquet") && edited.is_none() {
                let mut bytes = std::fs::read(&entry).expect("readable");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&entry, bytes).expect("written");
                edited = Some(entry);
            }
        }
        assert!(edited.is_some());
        let daemon = Daemon::start(&desk, &["ingest"], &[]);
        until("the detections", || {
            desk.at_site(&["catalogue"]);
            desk.count("SELECT count(*) FROM detection") > 0
        });
        until("the refusal", || desk.refusals().iter().any(|r| r["code"] == "batch_checksum"));
        let said = daemon.end();
        assert_eq!(said.code, Some(0));
        assert!(
            said.err.contains("refused 20071011_v1 preview round 1: check checksum"),
            "{said:?}"
        );
        assert_eq!(desk.count("SELECT count(*) FROM preview"), 0);
    }
}

fn walk(directory: &std::path::Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

/// SIGTERM in the middle of a load: it ends at once and in good order, and the next one finishes.
#[test]
fn sigterm_in_the_middle_of_a_load() {
    for desk in Desk::of_both_engines() {
        configure(&desk);
        let undisturbed = Desk::new();
        let delivery = undisturbed.simulate(&night());
        undisturbed.run(&delivery).ended(0);
        let delivery = desk.simulate(&night());
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
        desk.at_site(&["metadata"]).ended(0);
        desk.at_site(&["ingest"]).ended(0);
        desk.at_site(&["preview"]).ended(0);
        desk.at_site(&["catalogue"]).ended(0);
        let daemon =
            Daemon::start(&desk, &["ingest"], &[("ALMAGEST_STOP_AT", "ingest:reserved:2")]);
        until_stopped(daemon.process());
        signal(daemon.process(), Signal::TERM);
        signal(daemon.process(), Signal::CONT);
        let said = daemon.wait();
        assert_eq!(said.code, Some(0), "{said:?}");
        desk.verified();
        let detections = desk.count("SELECT count(*) FROM detection");
        assert_eq!(detections, 0, "the load was not carried to its end");
        let daemon = Daemon::start(&desk, &["ingest"], &[]);
        until("the rest", || desk.complete() == 1);
        assert_eq!(daemon.end().code, Some(0));
        desk.content().is_that_of(&undisturbed.content(), "ended in mid-load and begun again");
        desk.verified();
    }
}

/// The server is unreachable for a while: the daemon reports it, waits, and resumes.
#[test]
fn an_unreachable_server_is_waited_for() {
    let Some(server) = Server::start(&Options::default()) else { return };
    let database = server.database();
    let desk = Desk::bare();
    std::fs::remove_dir_all(&desk.site).expect("removed");
    desk.plain(&["init", "site", "--database", &database.url()]).ended(0);
    desk.at_site(&["programme", "add", "U07B12", "u/07b/12"]).ended(0);
    let port = configure(&desk);
    let daemon = Daemon::start(&desk, &["ingest"], &[]);
    until("the first pass", || get(port, "/healthz").starts_with("HTTP/1.1 200"));
    server.kill();
    until("a failure", || get(port, "/healthz").starts_with("HTTP/1.1 503"));
    assert!(get(port, "/metrics").contains("\nalmagest_database_up 0\n"));
    server.restart();
    until("the server again", || get(port, "/healthz").starts_with("HTTP/1.1 200"));
    let delivery = desk.simulate(&night());
    stage(&desk, &delivery);
    until("the night", || desk.complete() == 1);
    let said = daemon.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("the archive cannot be used, and is retried"), "{said:?}");
    desk.verified();
}

/// The embedded database is locked by another program for a while.
#[test]
fn a_locked_database_is_waited_for() {
    let desk = Desk::new();
    let port = configure(&desk);
    let delivery = desk.simulate(&night());
    desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
    desk.at_site(&["metadata"]).ended(0);
    let daemon = {
        let other = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let daemon = Daemon::start(&desk, &["ingest"], &[]);
        until("the daemon", || get(port, "/metrics").contains("almagest_ingest_passes_total 0"));
        other.execute_batch("ROLLBACK").expect("unlocked");
        daemon
    };
    until("the metadata", || desk.count("SELECT count(*) FROM multiframe") == 8);
    assert_eq!(daemon.end().code, Some(0));
}
