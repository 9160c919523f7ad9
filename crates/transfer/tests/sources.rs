//! Deliveries from every kind of source, against real servers on loopback, with what goes wrong between them and us.

mod provider;

use model::Verification;
use provider::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime};
use testkit::SmallDisk;
use testkit::relay::Relay;
use testkit::sshd::Servers;
use testkit::web::{self, Wrong};
use transfer::{Source, Stall, TransferFault, Volume};

/// A way to the provider, with what keeps it open.
struct Way {
    name: &'static str,
    source: Box<dyn Source>,
    relay: Relay,
    _server: Box<dyn std::any::Any>,
}

/// Ways with ranges, each by way of a relay: SFTP, HTTP and S3.
fn ways(provider: &Provider) -> Vec<Way> {
    let mut ways = Vec::new();
    if let Some(servers) = Servers::start(1) {
        let relay = Relay::to(servers.port(1));
        let source = ssh(&servers, &provider.root(), Some(&relay));
        ways.push(Way { name: "ssh", source, relay, _server: Box::new(servers) });
    }
    if let Some(server) = web::nginx(&provider.root(), None) {
        let relay = Relay::to(server.port);
        let source = http(relay.port);
        ways.push(Way { name: "http", source, relay, _server: Box::new(server) });
    }
    if let Some(server) = web::s3s_fs(provider.dir.path(), KEY, SECRET) {
        let relay = Relay::to(server.port);
        let source = s3(relay.port, "root", SECRET); // the directory is the bucket
        ways.push(Way { name: "s3", source, relay, _server: Box::new(server) });
    }
    ways
}

#[test]
fn every_source_delivers_the_same() {
    let provider = Provider::new();
    let directory = open(provider.root().to_str().unwrap(), |_| {});
    let wanted = provider.fetch(directory.as_ref());
    provider.is_in(&wanted);
    let names =
        |desk: &Desk| desk.arrivals.iter().map(|a| (a.name.clone(), a.sha256)).collect::<Vec<_>>();
    assert!(wanted.fetched.marked_complete);
    let check = |name: &str, source: &dyn Source| {
        let mut desk = provider.fetch(source);
        provider.is_in(&desk);
        assert_eq!(names(&desk), names(&wanted), "{name}: what arrived, in its order");
        assert_eq!(
            desk.arrival(&provider.catalogue()).verified_by,
            Verification::Datasum,
            "{name}"
        );
        assert_eq!(desk.arrival(LARGE).verified_by, Verification::Recheck, "{name}");
        assert!(
            desk.fetched.marked_complete && desk.refusals().is_empty(),
            "{name}: {:?}",
            desk.fetched
        );
        let mode = fs::metadata(desk.library().join(LARGE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o440, "{name}: the library is read only");
        // Again: nothing is fetched.
        desk.try_with(source).unwrap();
        assert_eq!(
            (desk.fetched.bytes, desk.fetched.unchanged.len()),
            (0, provider.names().len()),
            "{name}"
        );
        assert_eq!(source.deliveries().unwrap().names, [NIGHT], "{name}");
        let probe = source.probe(NIGHT).unwrap();
        assert_eq!(probe, source.probe(NIGHT).unwrap(), "{name}");
        let mut listed = probe.names;
        listed.sort();
        assert_eq!(listed, provider.names(), "{name}");
    };
    for way in ways(&provider) {
        check(way.name, way.source.as_ref());
    }
    if let Some(server) = web::python_http(&provider.root()) {
        check("http without ranges", http(server.port).as_ref());
    }
    if let Some(server) = web::moto() {
        upload(server.port, &provider.root(), &[]);
        check("moto", s3(server.port, "survey", SECRET).as_ref());
    }
}

/// Puts a directory, and odd keys, into a bucket of moto.
fn upload(port: u16, root: &std::path::Path, odd: &[&str]) {
    let script = "import sys, os, boto3\n\
        port, root, *odd = sys.argv[1:]\n\
        s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:' + port, region_name='us-east-1',\n\
            aws_access_key_id='a', aws_secret_access_key='b')\n\
        s3.create_bucket(Bucket='survey')\n\
        for here, _, names in os.walk(root):\n\
        \x20   for name in names:\n\
        \x20       path = os.path.join(here, name)\n\
        \x20       s3.put_object(Bucket='survey', Key=os.path.relpath(path, root), Body=open(path, 'rb').read())\n\
        for key in odd:\n\
        \x20   s3.put_object(Bucket='survey', Key=key, Body=b'x')\n";
    let script = script
        .replace("import sys", "import warnings; warnings.simplefilter('ignore')\nimport sys");
    let port = port.to_string();
    let mut words = vec![port.as_str(), root.to_str().expect("UTF-8")];
    words.extend(odd);
    testkit::python_script("upload", &script, &words);
}

#[test]
fn a_connection_cut_in_mid_file_is_reopened_and_resumes() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let faults = &way.relay.faults;
        faults.cut_after.store(3_000_000, SeqCst);
        faults.cuts.store(5, SeqCst);
        let desk = provider.fetch(way.source.as_ref());
        provider.is_in(&desk);
        desk.is_tidy();
        assert_eq!(faults.cuts.load(SeqCst), 0, "{}: it was cut", way.name);
        let received = faults.bytes.load(SeqCst);
        assert!(
            received < LARGE_BYTES * 2,
            "{}: {received} bytes came: the transfer restarted",
            way.name
        );
        assert_eq!(desk.arrival(LARGE).tries, 1, "{}", way.name);
    }
}

#[test]
fn a_fetch_from_an_unreachable_source_resumes_next_time() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let faults = Arc::clone(&way.relay.faults);
        let mut desk = provider.desk();
        desk.mb_per_second = 20.0;
        let down = Arc::clone(&faults);
        once_under_way(&desk.volumes[0].directory, move || down.is_down.store(true, SeqCst));
        let began = Instant::now();
        desk.try_with(way.source.as_ref()).unwrap();
        assert!(
            desk.fetched.unreachable.is_some() && desk.fetched.not_started > 0,
            "{}: {:?}",
            way.name,
            desk.fetched
        );
        assert!(
            began.elapsed() < Duration::from_secs(900),
            "{}: it must not wait for ever",
            way.name
        );
        assert!(
            !desk.stored().contains_key(LARGE),
            "{}: a half file must not have its name",
            way.name
        );
        faults.is_down.store(false, SeqCst);
        desk.mb_per_second = 0.0;
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        desk.is_tidy();
        let large = desk.arrival(LARGE);
        assert!(large.resumed_bytes > 1 << 20, "{}: {large:?}", way.name);
    }
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    let provider = Provider::new();
    let Some(servers) = Servers::start(1) else { return };
    let source = ssh(&servers, &provider.root(), None);
    let mut desk = provider.desk();
    desk.mb_per_second = 25.0;
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| desk.try_with(source.as_ref()));
        std::thread::sleep(Duration::from_millis(700));
        servers.kill(1);
        std::thread::sleep(Duration::from_millis(1500));
        servers.restart(1); // from here: a server ends with the thread that started it
        fetching.join().unwrap().unwrap();
    });
    assert_eq!(desk.fetched.unreachable, None);
    provider.is_in(&desk);
    desk.is_tidy();
}

#[test]
fn a_trickle_is_cut_and_the_rest_arrives_over_another_connection() {
    let provider = Provider::new();
    for way in ways(&provider) {
        way.relay.faults.cut_after.store(2_000_000, SeqCst);
        way.relay.faults.trickles.store(2, SeqCst);
        let mut desk = provider.desk();
        desk.stall = Stall { seconds: 1, bytes_per_second: 1000.0 };
        let began = Instant::now();
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        assert!(began.elapsed() < Duration::from_secs(900), "{}: {:?}", way.name, began.elapsed());
    }
}

#[test]
fn corrupted_bytes_are_detected_and_refetched() {
    let provider = Provider::new();
    provider.states_sums();
    let Some(server) = web::nginx(&provider.root(), None) else { return };
    let relay = Relay::to(server.port);
    relay.faults.corrupt_at.store(5_000_000, SeqCst);
    relay.faults.corruptions.store(1, SeqCst);
    let mut desk = provider.desk();
    desk.connections = 1;
    desk.try_with(http(relay.port).as_ref()).unwrap();
    provider.is_in(&desk);
    desk.is_tidy();
    assert_eq!(relay.faults.corruptions.load(SeqCst), 0, "a byte was changed");
    assert_eq!(
        (desk.arrival(LARGE).tries, desk.arrival(LARGE).verified_by),
        (2, Verification::Sha256)
    );
}

#[test]
fn a_file_that_differs_from_its_list_is_refused_after_a_second_read() {
    let provider = Provider::new();
    provider.states_sums();
    let name = provider.catalogue();
    let mut bytes = fs::read(provider.file(&name)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(provider.file(&name), bytes).unwrap();
    for way in ways(&provider) {
        let desk = provider.fetch(way.source.as_ref());
        assert_eq!(
            desk.refusals(),
            [(name.clone(), "checksum_not_as_stated".to_owned())],
            "{}",
            way.name
        );
        assert_eq!(desk.stored().len(), provider.names().len() - 1, "{}", way.name);
        desk.is_tidy();
        assert!(
            desk.fetched.listed.as_ref().is_some_and(|(n, list)| *n > 5 && list == "SHA256SUMS")
        );
    }
}

#[test]
fn wrong_lengths_hold_nothing_else_up() {
    for (wrong, is_refused) in
        [(Wrong::TooShort, false), (Wrong::Busy, false), (Wrong::TooLong, true)]
    {
        let provider = Provider::new();
        fs::write(provider.file("bad.dat"), noise(100_000)).unwrap();
        let port = web::wrong_http(&provider.root(), wrong, "");
        let desk = provider.fetch(http(port).as_ref());
        assert_eq!(desk.stored().len(), provider.names().len() - 1, "{wrong:?}");
        assert!(!desk.stored().contains_key("bad.dat"), "{wrong:?}");
        if is_refused {
            assert_eq!(
                desk.refusals(),
                [("bad.dat".to_owned(), "changed_while_read".to_owned())],
                "{wrong:?}"
            );
        } else {
            assert_eq!(desk.fetched.postponed.len(), 1, "{wrong:?}: {:?}", desk.fetched);
            assert_eq!(desk.fetched.postponed[0].0, "bad.dat");
        }
    }
}

#[test]
fn unreadable_files_are_refused_and_the_rest_arrives() {
    let provider = Provider::new();
    fs::write(provider.file("secret.fit"), "x").unwrap();
    let Some(server) = web::nginx(&provider.root(), None) else { return };
    fs::set_permissions(provider.file("secret.fit"), fs::Permissions::from_mode(0o600)).unwrap();
    let desk = provider.fetch(http(server.port).as_ref());
    assert_eq!(desk.refusals(), [("secret.fit".to_owned(), "unreadable".to_owned())]);
    assert_eq!(desk.stored().len(), provider.names().len() - 1);
}

#[test]
fn secrets_are_required_and_never_shown() {
    let provider = Provider::new();
    let refused = |source: &dyn Source| {
        let mut desk = provider.desk();
        let fault = desk.try_with(source).expect_err("the listing is refused");
        assert!(!fault.is_transient(), "{fault:?}");
        let text = format!("{} {fault:?}", chain(&fault));
        assert!(!text.contains("falsch") && !text.contains("X-Amz"), "{text}");
        text
    };
    if let Some(server) = web::s3s_fs(provider.dir.path(), KEY, SECRET) {
        refused(s3(server.port, "root", "falsch").as_ref());
        provider.is_in(&provider.fetch(s3(server.port, "root", SECRET).as_ref()));
    }
    if let Some(server) = web::nginx(&provider.root(), Some("wfcam:richtig")) {
        let with = |secret: &str| {
            open(&format!("http://127.0.0.1:{}", server.port), |access| {
                access.user = "wfcam".to_owned();
                access.secret = Some(transfer::source::Secret::new(secret.to_owned()));
            })
        };
        assert!(refused(with("falsch").as_ref()).contains("401"));
        provider.is_in(&provider.fetch(with("richtig").as_ref()));
    }
    if let Some(servers) = Servers::start(1) {
        let source = open(&format!("ssh://h1{}", provider.root().display()), |access| {
            let none = ["-i", "/nonexistent", "-o", "IdentitiesOnly=yes", "-F"].map(str::to_owned);
            access.ssh_options = none.to_vec();
            access.ssh_options.push("/dev/null".to_owned());
            access.ssh_options.extend([
                "-o".to_owned(),
                format!("Port={}", servers.port(1)),
                "-o".to_owned(),
                "HostName=127.0.0.1".to_owned(),
                "-o".to_owned(),
                "StrictHostKeyChecking=no".to_owned(),
                "-o".to_owned(),
                "UserKnownHostsFile=/dev/null".to_owned(),
                "-o".to_owned(),
                "IdentityAgent=none".to_owned(),
            ]);
        });
        assert!(refused(source.as_ref()).contains("Permission denied"));
    }
}

#[test]
fn hostile_names_are_refused_and_stay_outside() {
    let provider = Provider::new();
    let long = "w".repeat(250);
    for name in ["a\nb.fit", "\u{3b1}.fit", "$(x).fit", "-rf.fit", &long] {
        fs::write(provider.file(name), "x").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", provider.file("link.fit")).unwrap();
    fs::create_dir(provider.file("sub")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, provider.file("fifo.fit"), rustix::fs::Mode::RWXU)
        .unwrap();
    let codes = |desk: &Desk| {
        let mut codes: Vec<String> = desk.refusals().into_iter().map(|(_, code)| code).collect();
        codes.sort();
        codes
    };
    let stays_inside = |desk: &Desk| {
        let above: Vec<_> =
            fs::read_dir(desk.library().parent().unwrap()).unwrap().flatten().collect();
        assert_eq!(above.len(), 1, "{above:?}");
        assert!(
            !desk.stored().values().any(|bytes| bytes.starts_with(b"root:")),
            "a link was followed"
        );
        desk.is_tidy();
    };
    if let Some(servers) = Servers::start(1) {
        let desk = provider.fetch(ssh(&servers, &provider.root(), None).as_ref());
        let wanted = [
            "name_newline",
            "name_not_ascii",
            "name_option",
            "name_shell_character",
            "name_too_long",
            "not_a_file_device",
            "not_a_file_directory",
            "symbolic_link",
        ];
        assert_eq!(codes(&desk), wanted);
        stays_inside(&desk);
    }
    if let Some(server) = web::moto() {
        let long = format!("{NIGHT}/{}", "w".repeat(300));
        let odd = [
            &format!("{NIGHT}/\u{3b1}.fit"),
            &long,
            &format!("{NIGHT}/..fit"),
            &format!("{NIGHT}/<b>.fit"),
        ];
        let night = tempfile::tempdir().unwrap();
        fs::create_dir(night.path().join(NIGHT)).unwrap();
        fs::write(night.path().join(NIGHT).join("notes.txt"), "good").unwrap();
        upload(server.port, night.path(), &odd.map(String::as_str));
        let desk = provider.fetch(s3(server.port, "survey", SECRET).as_ref());
        assert_eq!(codes(&desk), ["name_markup", "name_not_ascii", "name_parent", "name_too_long"]);
        assert_eq!(desk.stored().into_keys().collect::<Vec<_>>(), ["notes.txt"]);
        stays_inside(&desk);
    }
    let clean = Provider::new();
    let extra = format!(
        "<a href=\"..%2f..%2fevil.fit\">1</a><a href='a%0ab.fit'>2</a><a href=\"{}\">3</a><a href='%ff.fit'>4</a>",
        "w".repeat(300)
    );
    let desk = clean.fetch(http(web::wrong_http(&clean.root(), Wrong::TooShort, &extra)).as_ref());
    clean.is_in(&desk);
    assert_eq!(codes(&desk), ["name_newline", "name_not_utf8", "name_separator", "name_too_long"]);
    stays_inside(&desk);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_taken_as_it_is_then() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let mut desk = provider.desk();
        desk.mb_per_second = 30.0;
        let path = provider.file(LARGE);
        let mut other = noise(LARGE_BYTES - 1_000_000);
        other.reverse();
        once_under_way(&desk.volumes[0].directory, move || {
            // As careful providers do it: beside it, then renamed.
            fs::write(path.with_extension("new"), other).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        });
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        assert_eq!(desk.arrival(LARGE).tries, 2, "{}", way.name);
        desk.is_tidy();
        fs::write(provider.file(LARGE), noise(LARGE_BYTES)).unwrap();
    }
}

#[test]
fn changed_content_is_a_new_version_and_files_deleted_at_the_source_are_kept() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let name = provider.catalogue();
        let first = fs::read(provider.file(&name)).unwrap();
        let mut desk = provider.fetch(way.source.as_ref());
        let (mut second, gone) = (first.clone(), "OK_TO_COPY");
        second.extend_from_slice(&[0; 2880]);
        fs::write(provider.file(&name), &second).unwrap();
        fs::remove_file(provider.file(gone)).unwrap();
        desk.try_with(way.source.as_ref()).unwrap();
        let stored = desk.stored();
        assert!(stored[&name] == first, "{}: the old content stays", way.name);
        assert!(
            stored[&format!("2/{name}")] == second,
            "{}: the new one is stored next to it",
            way.name
        );
        assert!(stored.contains_key(gone), "{}: fetched files are kept", way.name);
        fs::write(provider.file(&name), &first).unwrap();
        fs::write(provider.file(gone), "").unwrap();
    }
}

/// The listed object is requested, and nothing else: the condition is the store's to keep.
#[test]
fn an_object_that_was_replaced_is_not_read_for_the_one_that_was_listed() {
    let provider = Provider::new();
    let Some(server) = web::moto() else { return };
    upload(server.port, &provider.root(), &[]);
    let source = s3(server.port, "survey", SECRET);
    let listed = source.list(NIGHT).unwrap();
    let entry = listed.iter().find(|e| e.name == LARGE).unwrap();
    let mut other = noise(LARGE_BYTES);
    other.reverse();
    fs::write(provider.file(LARGE), other).unwrap();
    upload(server.port, &provider.root(), &[]);
    let span = transfer::source::Span { from: 0, to: 1000 };
    let read = source.connect().unwrap().read(NIGHT, entry, span, &mut |_| Ok(()));
    assert!(matches!(read, Err(transfer::SourceFault::Changed { .. })), "{read:?}");
}

/// A provider whose server makes no pages: the list of a delivery names its files.
#[test]
fn a_list_replaces_a_directory_page() {
    let provider = Provider::new();
    provider.states_sums();
    let list = provider.file("SHA256SUMS");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}{}  ../../evil.fit\n", "a".repeat(64))).unwrap();
    let Some(server) = web::nginx(&provider.root(), None) else { return };
    let source = open(&format!("http://127.0.0.1:{}", server.port), |access| {
        access.listing = "SHA256SUMS".to_owned();
    });
    let desk = provider.fetch(source.as_ref());
    provider.is_in(&desk);
    assert_eq!(desk.arrival(LARGE).verified_by, Verification::Sha256);
    let codes: Vec<String> = desk.refusals().into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["name_separator", "missing_from_delivery"]);
}

#[test]
fn clocks_need_not_agree() {
    let provider = Provider::new();
    let set = |name: &str, time: SystemTime| {
        let file = fs::File::options().write(true).open(provider.file(name)).unwrap();
        file.set_modified(time).unwrap();
    };
    let day = Duration::from_secs(86_400);
    set(LARGE, SystemTime::now() + 3650 * day);
    set(&provider.catalogue(), SystemTime::UNIX_EPOCH + day);
    for way in ways(&provider) {
        let mut desk = provider.fetch(way.source.as_ref());
        provider.is_in(&desk);
        desk.try_with(way.source.as_ref()).unwrap();
        assert_eq!(desk.fetched.bytes, 0, "{}", way.name);
    }
}

#[test]
fn files_that_do_not_fit_are_not_started_and_a_full_disk_leaves_no_partial_file() {
    let provider = Provider::new();
    let directory = open(provider.root().to_str().unwrap(), |_| {});
    let mut desk = provider.desk();
    desk.volumes[0].keep_free_bytes = u64::MAX / 2;
    let fault = desk.try_with(directory.as_ref()).map(|()| desk.refusals());
    // Every file is larger than the room there is: all are refused, one by one.
    assert!(fault.unwrap().iter().all(|(_, code)| code == "no_room"));
    let Some(small) = SmallDisk::new(30) else { return };
    for way in ways(&provider) {
        let mut desk = Desk::new(small.path());
        fs::write(provider.file("second.dat"), noise(20_000_000)).unwrap();
        fs::remove_file(provider.file(LARGE)).unwrap();
        fs::write(provider.file(LARGE), noise(20_000_000)).unwrap();
        let fault = desk.try_with(way.source.as_ref()).expect_err("it does not fit");
        assert!(fault.is_gate() && chain(&fault).contains("are free"), "{}", chain(&fault));
        assert!(desk.arrivals.is_empty());
        // Another process fills the disk meanwhile.
        fs::remove_file(provider.file("second.dat")).unwrap();
        desk.mb_per_second = 10.0;
        let ballast = small.path().join("ballast");
        let other = ballast.clone();
        once_under_way(&desk.volumes[0].directory, move || {
            drop(fs::write(other, vec![1; 40 << 20]))
        });
        let fault = desk.try_with(way.source.as_ref()).expect_err("the disk is full");
        assert!(matches!(fault, TransferFault::Library { .. }), "{fault:?}");
        fs::remove_file(ballast).unwrap();
        desk.mb_per_second = 0.0;
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        fs::remove_dir_all(small.path().join(NIGHT)).unwrap();
        fs::write(provider.file(LARGE), noise(LARGE_BYTES)).unwrap();
    }
    // A second volume takes what the first has no room for.
    let mut desk = Desk::new(small.path());
    desk.volumes.push(Volume {
        directory: provider.dir.path().join("second").join(NIGHT),
        keep_free_bytes: 0,
    });
    fs::write(provider.file("second.dat"), noise(20_000_000)).unwrap();
    desk.try_with(directory.as_ref()).unwrap();
    provider.is_in(&desk);
}

#[test]
fn limits_of_connections_and_speed_hold() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let mut desk = provider.desk();
        (desk.connections, desk.mb_per_second) = (2, 20.0);
        let began = Instant::now();
        desk.try_with(way.source.as_ref()).unwrap();
        let seconds = began.elapsed().as_secs_f64();
        assert!(seconds > 40.0 / 20.0 * 0.9, "{}: 40 MB in {seconds} s", way.name);
        // One more lists.
        let most = way.relay.faults.max_open.load(SeqCst);
        assert!(most <= 4 + 1 && desk.fetched.connections <= 2, "{}: {most} connections", way.name);
        provider.is_in(&desk);
    }
}

#[test]
fn a_stopped_fetch_resumes() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let mut desk = provider.desk();
        desk.mb_per_second = 5.0;
        let flag = Arc::clone(&desk.stop);
        once_under_way(&desk.volumes[0].directory, move || flag.store(true, SeqCst));
        desk.try_with(way.source.as_ref()).unwrap();
        assert!(desk.fetched.not_started > 0 && desk.fetched.unreachable.is_none(), "{}", way.name);
        desk.stop.store(false, SeqCst);
        desk.mb_per_second = 0.0;
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        assert!(desk.arrival(LARGE).resumed_bytes > 0, "{}", way.name);
    }
}

#[test]
fn files_that_may_still_grow_arrive_later() {
    let provider = Provider::new();
    for way in ways(&provider) {
        let mut desk = provider.desk();
        desk.is_settled = Box::new(|entry| entry.name != LARGE);
        desk.try_with(way.source.as_ref()).unwrap();
        assert_eq!(desk.fetched.unsettled, [LARGE], "{}", way.name);
        assert_eq!(desk.stored().len(), provider.names().len() - 1, "{}", way.name);
        desk.is_settled = Box::new(|_| true);
        desk.try_with(way.source.as_ref()).unwrap();
        provider.is_in(&desk);
        assert_eq!(desk.arrivals.last().unwrap().name, LARGE, "{}", way.name);
    }
}
