//! What sources show: names and links of pages, symbolic links, unfinished files; and listings and files that are wrong, of which
//! each is a fault of its own.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod provider;

use model::{RefusalCode, SkipReason};
use provider::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use testkit::SmallDisk;
use testkit::sshd::Servers;
use testkit::web;
use transfer::source::Links;
use transfer::{Source, SourceFault, TransferFault, Unfinished};

/// A provider whose night holds some small files.
fn bare(names: &[&str]) -> Provider {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("root").join(NIGHT)).expect("made");
    let provider = Provider { dir };
    for name in names {
        fs::write(provider.file(name), format!("content of {name}")).expect("written");
    }
    provider
}

fn directory(provider: &Provider) -> Box<dyn Source> {
    open(provider.root().to_str().unwrap(), |_| {})
}

/// The name of a kind of source, the source, and what keeps it open.
type Served = (&'static str, Box<dyn Source>, Box<dyn std::any::Any>);

/// The provider over every kind of source that this machine can serve.
fn every_source(provider: &Provider) -> Vec<Served> {
    let mut all: Vec<Served> = vec![("directory", directory(provider), Box::new(()))];
    if let Some(servers) = Servers::start(1) {
        let source = ssh(&servers, &provider.root(), None);
        all.push(("ssh", source, Box::new(servers)));
    }
    if let Some(server) = web::nginx(&provider.root(), None) {
        all.push(("nginx", http(server.port), Box::new(server)));
    }
    if let Some(server) = web::python_http(&provider.root()) {
        all.push(("python", http(server.port), Box::new(server)));
    }
    if let Some(server) = web::s3s_fs(provider.dir.path(), KEY, SECRET) {
        all.push(("s3", s3(server.port, "root", SECRET), Box::new(server)));
    }
    all
}

fn skipped(desk: &Desk) -> BTreeMap<String, SkipReason> {
    desk.fetched.skipped.iter().map(|s| (s.name.clone(), s.code.clone())).collect()
}

#[test]
fn names_of_every_kind_arrive_from_every_source() {
    let names = [
        "ADP.2014-10-01T10:20:30.456.fits",
        "HAWKI.2017-01-01T00:00:00.000.fits.fz",
        "a b.fit",
        "a%20b.fit",
        "a+b=c,d@e~f.fit",
        "(1)[2].fit",
        "#1.fit",
        "plain.fit",
    ];
    // s3s-fs announces keys as URL-encoded and does not encode them.
    let for_store: Vec<&str> = names.into_iter().filter(|n| !n.contains(['%', '+'])).collect();
    for (names, is_store) in [(names.as_slice(), false), (for_store.as_slice(), true)] {
        let provider = bare(names);
        let sources = every_source(&provider).into_iter();
        for (name, source, _server) in sources.filter(|(name, ..)| (*name == "s3") == is_store) {
            let desk = provider.fetch(source.as_ref());
            let found: Vec<String> = desk.stored().into_keys().collect();
            assert_eq!(found, provider.names(), "{name}: {:?}", desk.fetched);
            provider.is_in(&desk);
            assert!(desk.fetched.skipped.is_empty(), "{name}");
        }
    }
}

type Answer = dyn Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A server whose answers a test gives, by method and path. Serves for as long as the process lives.
fn serve(
    answer: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut lines = BufReader::new(stream.try_clone()?);
                let (mut first, mut line) = (String::new(), String::new());
                lines.read_line(&mut first)?;
                while lines.read_line(&mut line)? > 2 {
                    line.clear();
                }
                let mut words = first.split(' ');
                let method = words.next().unwrap_or_default();
                answer(method, words.next().unwrap_or_default(), &mut stream)?;
                stream.flush()
            });
        }
    });
    port
}

fn ok(method: &str, body: &[u8], out: &mut TcpStream) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if method == "HEAD" { Ok(()) } else { out.write_all(body) }
}

fn status(line: &str, out: &mut TcpStream) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_page_written_by_hand_is_read_as_a_browser_reads_it() {
    let port = serve(|method, path, out| match path {
        "/20071011_v1/" => {
            let page = "<html><head><base href=\"/store/x/\"></head><body><!-- <a href='old.fit'> -->\
                <a class=big href=a.fit>a</a> <A HREF='b.fit?token=1&amp;k=2'>b</A> <a href=\"ADP.2014-10-01T10:20:30.fits\">c</a>\
                <a href='/20071011_v1/d.fit'>d</a> <a href='https://elsewhere.example.org/e.fits'>e</a>\
                <a href='?C=M;O=A'>sort</a> <a href='../'>up</a> <a href='/20071011_v1/gone.fit'>f</a></body></html>";
            ok(method, page.as_bytes(), out)
        }
        "/store/x/a.fit"
        | "/store/x/b.fit?token=1&k=2"
        | "/20071011_v1/d.fit"
        | "/store/x/ADP.2014-10-01T10:20:30.fits" => ok(method, path.as_bytes(), out),
        _ => status("404 Not Found", out),
    });
    let provider = bare(&[]);
    let mut desk = provider.fetch(http(port).as_ref());
    let stored: BTreeMap<String, String> = desk
        .stored()
        .into_iter()
        .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
        .collect();
    let wanted = [
        ("ADP.2014-10-01T10:20:30.fits", "/store/x/ADP.2014-10-01T10:20:30.fits"),
        ("a.fit", "/store/x/a.fit"),
        ("b.fit", "/store/x/b.fit?token=1&k=2"),
        ("d.fit", "/20071011_v1/d.fit"),
    ];
    assert_eq!(stored, wanted.map(|(n, c)| (n.to_owned(), c.to_owned())).into());
    let named = ["gone.fit", "https://elsewhere.example.org/e.fits"];
    assert_eq!(skipped(&desk), named.map(|n| (n.to_owned(), SkipReason::Elsewhere)).into());
    desk.try_with(http(port).as_ref()).unwrap();
    assert_eq!(desk.fetched.skipped.len(), 2, "each time");
}

#[test]
fn a_fault_of_one_file_is_its_own() {
    let good = |n: usize| format!("good{n}.dat");
    let port = serve(move |method, path, out| match path.trim_start_matches("/20071011_v1/") {
        "" => {
            let names =
                (0..5).map(good).chain(["loop.fit", "many.fit", "busy.fit"].map(str::to_owned));
            let page: String = names.map(|name| format!("<a href=\"{name}\">x</a>\n")).collect();
            ok(method, page.as_bytes(), out)
        }
        "loop.fit" => {
            write!(
                out,
                "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        "many.fit" => {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n")?;
            (0..2000).try_for_each(|n| write!(out, "X-Line-{n}: x\r\n"))?;
            out.write_all(b"\r\nmany")
        }
        "busy.fit" => status("500 Internal Server Error", out),
        _ => ok(method, path.as_bytes(), out),
    });
    let provider = bare(&[]);
    let desk = provider.fetch(http(port).as_ref());
    let stored: Vec<String> = desk.stored().into_keys().collect();
    assert_eq!(stored, (0..5).map(good).collect::<Vec<_>>());
    let mut refused = desk.refusals();
    refused.sort();
    let wanted = ["loop.fit", "many.fit"].map(|n| (n.to_owned(), "refused_by_source".to_owned()));
    assert_eq!(refused, wanted);
    let postponed: Vec<&str> = desk.fetched.postponed.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(postponed, ["busy.fit"], "{:?}", desk.fetched);
    assert!(desk.fetched.unreachable.is_none());
    desk.is_tidy();
}

#[test]
fn a_listing_that_is_not_whole_is_an_error() {
    let fetched = |answer: fn(&mut TcpStream) -> std::io::Result<()>| {
        let port = serve(move |method, path, out| match path {
            "/20071011_v1/" => answer(out),
            _ => ok(method, b"x", out),
        });
        let mut desk = bare(&[]).desk();
        let fault = desk.try_with(http(port).as_ref()).expect_err("it is not a listing");
        assert!(desk.arrivals.is_empty());
        fault
    };
    // Longer than any list; it has no end of its own.
    let endless = fetched(|out| {
        write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>")?;
        let line = "<a href=\"w20071011_00100_st.fit\">w20071011_00100_st.fit</a>\n".repeat(1000);
        loop {
            out.write_all(line.as_bytes())?;
        }
    });
    let is_too_long = |fault: &TransferFault| {
        matches!(
            fault,
            TransferFault::Source(SourceFault::Lasting { code: RefusalCode::LIST_TOO_LONG, .. })
        )
    };
    assert!(is_too_long(&endless), "{}", chain(&endless));
    let cut: [fn(&mut TcpStream) -> std::io::Result<()>; 4] = [
        |out| {
            write!(
                out,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html><a href=\"a.fit\">a</a>\n"
            )
        },
        |out| {
            write!(
                out,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<a href=\"a.fit\">a</a>\n<a hre"
            )
        },
        |out| {
            write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n<a href=\"a.fit\">a</a>\n"
            )
        },
        |out| {
            write!(
                out,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n<a href=a.fit>a</a>\n\r\n"
            )
        },
    ];
    for answer in cut {
        let fault = fetched(answer);
        assert!(fault.is_transient(), "{}", chain(&fault));
    }
}

/// A server that sends without end, and does not state a length.
fn endless(port_answers: &'static str) -> u16 {
    serve(move |method, path, out| match path.trim_start_matches("/20071011_v1/") {
        "" => ok(method, port_answers.as_bytes(), out),
        "endless.fit" => {
            write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let block = vec![7_u8; 1 << 20];
            if method == "HEAD" {
                return Ok(());
            }
            loop {
                out.write_all(&block)?;
            }
        }
        _ => ok(method, path.as_bytes(), out),
    })
}

#[test]
fn a_file_of_unknown_length_keeps_to_limit_and_free_space() {
    let port =
        endless("<a href='endless.fit'>x</a><a href='good.dat'>x</a><a href='long.dat'>x</a>");
    let provider = bare(&[]);
    let mut desk = provider.desk();
    desk.max_file_bytes = 9_000_000;
    desk.try_with(http(port).as_ref()).unwrap();
    assert_eq!(desk.stored().into_keys().collect::<Vec<_>>(), ["good.dat", "long.dat"]);
    assert_eq!(desk.refusals(), [("endless.fit".to_owned(), "too_large".to_owned())]);
    desk.is_tidy();
    // One whose length is stated is not begun.
    let mut desk = provider.desk();
    desk.max_file_bytes = 22;
    desk.try_with(http(endless("<a href='good.dat'>x</a><a href='longer.dat'>x</a>")).as_ref())
        .unwrap();
    assert_eq!(desk.stored().into_keys().collect::<Vec<_>>(), ["good.dat"]);
    assert_eq!(desk.refusals(), [("longer.dat".to_owned(), "too_large".to_owned())]);
    // Without a limit the disk is one.
    let Some(small) = SmallDisk::new(48) else { return };
    let mut desk = Desk::new(small.path());
    desk.volumes[0].keep_free_bytes = 16 << 20;
    desk.try_with(http(port).as_ref()).unwrap();
    assert_eq!(desk.stored().into_keys().collect::<Vec<_>>(), ["good.dat", "long.dat"]);
    assert_eq!(desk.refusals(), [("endless.fit".to_owned(), "no_room".to_owned())]);
    desk.is_tidy();
}

#[test]
fn every_source_skips_unfinished_files_until_they_are_finished() {
    let unfinished = [
        ".in.h.fit",
        ".w20071011_00100_st.fit.a1B2c3",
        "a.fit.partial",
        "b.fit.filepart",
        "c.fit.tmp",
        "d.fit.part",
        "e.fit.crdownload",
        "f.fit~",
        "g.fit",
        "g.fit.aria2",
        "i.fit.xfer",
    ];
    let provider = bare(&[&unfinished[..], &["whole.fit", "OK_TO_COPY"]].concat());
    for (name, source, _server) in every_source(&provider) {
        let mut desk = provider.desk();
        desk.unfinished = Unfinished::new(["*.xfer"]);
        desk.try_with(source.as_ref()).unwrap();
        let found: Vec<String> = desk.stored().into_keys().collect();
        assert_eq!(found, ["OK_TO_COPY", "whole.fit"], "{name}: {:?}", desk.fetched);
        // nginx and Python list no hidden names, or do; what is listed is named.
        let skipped: Vec<String> = skipped(&desk).into_keys().collect();
        let shown: Vec<&str> =
            unfinished.into_iter().filter(|n| name != "nginx" || !n.starts_with('.')).collect();
        assert_eq!(skipped, shown, "{name}");
        assert!(
            !desk.refusals().iter().any(|(file, _)| unfinished.contains(&file.as_str())),
            "{name}"
        );
        fs::rename(provider.file("a.fit.partial"), provider.file("a.fit")).unwrap();
        desk.try_with(source.as_ref()).unwrap();
        assert!(desk.stored().contains_key("a.fit"), "{name}");
        assert_eq!(
            desk.arrivals.iter().filter(|a| a.name.starts_with("a.fit")).count(),
            1,
            "{name}"
        );
        fs::rename(provider.file("a.fit"), provider.file("a.fit.partial")).unwrap();
    }
}

/// Links in a night and beside it: into the tree, out of it, to nothing.
fn linked() -> (Provider, PathBuf) {
    let provider = bare(&["plain.fit"]);
    let (root, outside) = (provider.root(), provider.dir.path().join("outside"));
    for directory in [root.join("store/20071013_v1"), outside.join("20071014_v1")] {
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("far.fit"), "content of far.fit").unwrap();
    }
    fs::write(root.join("store/inner.fit"), "content of inner.fit").unwrap();
    fs::write(outside.join("outer.fit"), "content of outer.fit").unwrap();
    symlink("../store/inner.fit", provider.file("inner.fit")).unwrap();
    symlink(outside.join("outer.fit"), provider.file("outer.fit")).unwrap();
    symlink("nothing.fit", provider.file("nothing.fit")).unwrap();
    symlink("loop.fit", provider.file("loop.fit")).unwrap();
    symlink(outside.join("20071014_v1"), provider.file("sub.fit")).unwrap();
    symlink("store/20071013_v1", root.join("20071013_v1")).unwrap();
    symlink(outside.join("20071014_v1"), root.join("20071014_v1")).unwrap();
    (provider, outside)
}

#[test]
fn links_are_followed_as_the_source_allows() {
    let (provider, outside) = linked();
    let root = provider.root();
    let servers = Servers::start(1);
    for is_far in [false, true] {
        let opened = |links: Links, roots: &[PathBuf]| -> Option<Box<dyn Source>> {
            let roots = roots.to_vec();
            if !is_far {
                return Some(open(root.to_str().unwrap(), |access| {
                    (access.links, access.link_roots) = (links, roots);
                }));
            }
            let servers = servers.as_ref()?;
            let configuration = servers.configuration().display().to_string();
            Some(open(&format!("ssh://h1{}", root.display()), |access| {
                access.ssh_options = vec!["-F".to_owned(), configuration];
                (access.links, access.link_roots) = (links, roots);
            }))
        };
        let Some(within) = opened(Links::Within, &[]) else { continue };
        let refused = |desk: &Desk| {
            let mut files: Vec<String> = desk
                .refusals()
                .into_iter()
                .map(|(file, code)| {
                    assert!(code == "symbolic_link" || file == "sub.fit", "{file}: {code}");
                    file
                })
                .collect();
            files.sort();
            files
        };
        let desk = provider.fetch(within.as_ref());
        let stored: Vec<String> = desk.stored().into_keys().collect();
        assert_eq!(stored, ["inner.fit", "plain.fit"], "{is_far}");
        assert_eq!(desk.stored()["inner.fit"], b"content of inner.fit");
        assert_eq!(refused(&desk), ["loop.fit", "nothing.fit", "outer.fit", "sub.fit"], "{is_far}");
        let why = &desk.fetched.refusals.iter().find(|r| r.file == "outer.fit").unwrap().message;
        assert!(why.contains("link_roots"), "{why}");
        let found = within.deliveries().unwrap();
        assert_eq!(found.names, [NIGHT, "20071013_v1", "store"], "{is_far}");
        let named: Vec<&str> = found.skipped.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(named, ["20071014_v1"], "{is_far}");
        assert_eq!(within.list("20071013_v1").unwrap().len(), 1);
        assert!(within.list("20071014_v1").is_err(), "{is_far}: not by its name either");

        let rooted = opened(Links::Within, &[outside.canonicalize().unwrap()]).unwrap();
        let desk = provider.fetch(rooted.as_ref());
        let stored: Vec<String> = desk.stored().into_keys().collect();
        assert_eq!(stored, ["inner.fit", "outer.fit", "plain.fit"], "{is_far}");
        assert_eq!(refused(&desk), ["loop.fit", "nothing.fit", "sub.fit"], "{is_far}");
        assert_eq!(rooted.deliveries().unwrap().names.len(), 4);
        assert_eq!(rooted.list("20071014_v1").unwrap()[0].name, "far.fit");
        let again = rooted.probe("20071014_v1").unwrap();
        assert_eq!(again, rooted.probe("20071014_v1").unwrap());

        let anywhere = opened(Links::Anywhere, &[]).unwrap();
        assert!(provider.fetch(anywhere.as_ref()).stored().contains_key("outer.fit"));
        let skip = opened(Links::Skip, &[]).unwrap();
        let desk = provider.fetch(skip.as_ref());
        assert_eq!(desk.stored().into_keys().collect::<Vec<_>>(), ["plain.fit"], "{is_far}");
        assert_eq!(skip.deliveries().unwrap().skipped.len(), 2, "{is_far}");
    }
}

#[test]
fn a_list_of_checksums_that_is_too_long_is_refused_and_named() {
    let provider = bare(&["plain.fit"]);
    let line = format!("{}  plain.fit\n", "a".repeat(64));
    fs::write(provider.file("SHA256SUMS"), line.repeat(1_000_000)).unwrap();
    for (name, source, _server) in every_source(&provider) {
        let desk = provider.fetch(source.as_ref());
        let codes: Vec<String> = desk.refusals().into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, ["list_too_long"], "{name}");
        assert!(desk.stored().contains_key("plain.fit"), "{name}");
    }
}
