//! The identity of deliveries: two origins with a directory of one name are two deliveries, on both engines and from every kind of
//! source; and when a delivery is complete.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Daemon, Desk, Small, until};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::sshd::Servers;
use testkit::web;

const NIGHT: &str = "20071011_v1";

fn small(seed: u64) -> Small<'static> {
    Small { frames: 4, detections: 10, seed, ..Small::default() }
}

/// A directory of a camera with a night of its own: names as those of the other cameras, other content.
fn camera(desk: &Desk, name: &str, night: &Small) -> PathBuf {
    let made = desk.simulate(night);
    let directory = desk.dir.path().join(name).join(made.file_name().unwrap());
    fs::create_dir_all(directory.parent().unwrap()).unwrap();
    fs::rename(made, &directory).unwrap();
    // Images of one geometry have one size: this file's size differs.
    fs::write(directory.join("camera.txt"), name.repeat(usize::try_from(night.seed).unwrap()))
        .unwrap();
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// SHA-256 of every file of a directory, by name, as `sha256sum` of coreutils computes it.
fn sums(directory: &Path) -> BTreeMap<String, String> {
    let output = std::process::Command::new("sh")
        .args(["-c", "cd \"$0\" && sha256sum -- *", text(directory)])
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let pair =
        |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    lines.lines().filter_map(pair).collect()
}

/// The current files of a delivery, by name, as the archive has them.
fn held(desk: &Desk, delivery: &str) -> BTreeMap<String, String> {
    let query = format!(
        "SELECT file.name, sha256 FROM file JOIN delivery USING (delivery_id)
         WHERE delivery.name = '{delivery}' AND file.state = 'current'"
    );
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    desk.rows(&query).iter().map(|row| (text(row, "name"), text(row, "sha256"))).collect()
}

/// Every file of a delivery is in the library under the delivery's own name, and nothing was superseded.
#[track_caller]
fn is_held(desk: &Desk, delivery: &str, directory: &Path) {
    let wanted = sums(directory);
    assert!(wanted.len() > 5);
    assert_eq!(held(desk, delivery), wanted, "{delivery}");
    assert_eq!(sums(&desk.site.join("library").join(delivery)), wanted, "{delivery}");
}

/// Current multiframes, detections and previews of a delivery.
fn shown(desk: &Desk, delivery: &str) -> [u64; 3] {
    let count = |from: &str| {
        desk.count(&format!("SELECT count(*) FROM {from} WHERE delivery = '{delivery}'"))
    };
    [
        count("multiframe"),
        count("detection JOIN multiframe USING (multiframe_id)"),
        count("preview JOIN multiframe USING (multiframe_id)"),
    ]
}

fn states(desk: &Desk) -> BTreeMap<String, String> {
    let all = desk.status()["deliveries"].as_array().unwrap().clone();
    let text = |d: &serde_json::Value, key: &str| d[key].as_str().unwrap().to_owned();
    all.iter().map(|d| (text(d, "name"), text(d, "state"))).collect()
}

#[test]
fn two_cameras_with_a_directory_of_one_name_are_two_deliveries() {
    for desk in Desk::of_both_engines() {
        let (one, two) = (camera(&desk, "cam1", &small(1)), camera(&desk, "cam2", &small(2)));
        desk.run(&one).ended(0);
        let alone = shown(&desk, NIGHT);
        assert!(alone.iter().all(|n| *n > 0), "{alone:?}");
        desk.run(&two).ended(0);
        let second = format!("{NIGHT}@cam2");
        is_held(&desk, NIGHT, &one);
        is_held(&desk, &second, &two);
        assert_eq!(desk.count("SELECT count(*) FROM file WHERE state <> 'current'"), 0);
        assert_eq!(shown(&desk, NIGHT), alone, "the first camera keeps all that it had");
        let both = shown(&desk, &second);
        assert_eq!(both[0], alone[0]);
        let night = "SELECT count(*) FROM multiframe WHERE night = 20071011 AND version_num = '1'";
        assert_eq!(desk.count(night), 2 * alone[0], "night and version are those of the directory");
        let previews = desk.site.join("previews");
        assert!(previews.join(NIGHT).is_dir() && previews.join(&second).is_dir());
        // Again, by either path: nothing is new, nothing moves.
        desk.run(&one).ended(0);
        desk.run(&two).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM delivery"), 2);
        desk.at_site(&["transfer"]).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM file WHERE state <> 'current'"), 0);
        for verb in [&["reconcile"][..], &["scrub"], &["verify", "--checksums"]] {
            desk.at_site(verb).ended(0);
        }
        // One camera is retracted, the other stays; and comes back.
        desk.at_site(&["retract", &second, "--reason", "test"]).ended(0);
        assert_eq!(shown(&desk, NIGHT), alone);
        assert_eq!(shown(&desk, &second), [0, 0, 0]);
        desk.at_site(&["retract", &second, "--undo", "--reason", "test"]).ended(0);
        assert_eq!(shown(&desk, &second), both);
        desk.verified();
    }
}

#[test]
fn a_later_processing_supersedes_its_own_camera_alone() {
    for desk in Desk::of_both_engines() {
        let cameras = [("cam1", 1_u64), ("cam2", 2)];
        let first: Vec<PathBuf> =
            cameras.iter().map(|(name, seed)| camera(&desk, name, &small(*seed))).collect();
        first.iter().for_each(|directory| drop(desk.run(directory).ended(0)));
        let second = format!("{NIGHT}@cam2");
        let before = shown(&desk, &second);
        let later = camera(&desk, "cam1", &Small { version: 2, ..small(3) });
        desk.run(&later).ended(0);
        assert_eq!(shown(&desk, "20071011_v2")[0], before[0]);
        assert_eq!(shown(&desk, NIGHT), [0, 0, 0], "the first camera's earlier processing");
        assert_eq!(shown(&desk, &second), before, "the other camera's frames have the same names");
        let other = camera(&desk, "cam2", &Small { version: 2, ..small(4) });
        desk.run(&other).ended(0);
        assert_eq!(shown(&desk, &second), [0, 0, 0]);
        assert_eq!(shown(&desk, "20071011_v2@cam2")[0], before[0]);
        assert_eq!(shown(&desk, "20071011_v2")[0], before[0]);
        desk.verified();
    }
}

#[test]
fn the_same_files_at_another_path_need_the_operators_word() {
    for desk in Desk::of_both_engines() {
        let one = camera(&desk, "cam1", &small(1));
        desk.run(&one).ended(0);
        let moved = desk.dir.path().join("moved").join(NIGHT);
        fs::create_dir_all(&moved).unwrap();
        for name in sums(&one).keys() {
            fs::copy(one.join(name), moved.join(name)).unwrap();
        }
        for dry in [&["--dry-run"][..], &[]] {
            let said = desk.at_site(&[&["run", text(&moved)], dry].concat());
            assert_eq!(said.code, Some(3), "{said:?}");
            let wanted = format!("--join {NIGHT}");
            assert!(said.err.contains(&wanted) && said.err.contains("--new"), "{}", said.err);
        }
        assert_eq!(desk.count("SELECT count(*) FROM delivery"), 1);
        // Joined, and that is remembered.
        let late = moved.join("late.dat");
        fs::write(&late, "late").unwrap();
        desk.at_site(&["run", text(&moved), "--join", NIGHT]).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM delivery"), 1);
        assert_eq!(held(&desk, NIGHT).len(), sums(&moved).len());
        fs::write(moved.join("later.dat"), "later").unwrap();
        desk.run(&moved).ended(0);
        assert!(held(&desk, NIGHT).contains_key("later.dat"));
        desk.at_site(&["reconcile"]).ended(0);
        let wrong = desk.at_site(&["run", text(&moved), "--join", "20990101_v1"]);
        assert_eq!(wrong.code, Some(3), "{wrong:?}");
        // The same files again, as a delivery of their own.
        let own = desk.dir.path().join("own").join(NIGHT);
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::rename(&one, &own).unwrap();
        assert_eq!(desk.run(&own).code, Some(3));
        desk.at_site(&["run", text(&own), "--new"]).ended(0);
        is_held(&desk, &format!("{NIGHT}@own"), &own);
        assert_eq!(desk.count("SELECT count(*) FROM file WHERE state <> 'current'"), 0);
        desk.verified();
    }
}

fn add_source(desk: &Desk, name: &str, url: &str, more: &[&str]) {
    let path = desk.site.join("almagest.toml");
    let mut text = fs::read_to_string(&path).expect("there");
    let quick = ["poll_seconds = 1", "settle_seconds = 0"];
    text +=
        &format!("\n[sources.{name}]\nurl = \"{url}\"\n{}\n", [&quick, more].concat().join("\n"));
    fs::write(path, text).expect("written");
}

#[test]
fn sources_of_every_kind_are_providers_of_their_own() {
    let desk = Desk::new();
    let names = ["cam1", "cam2", "cam3"];
    let directories: Vec<PathBuf> =
        names.iter().zip(1..).map(|(name, seed)| camera(&desk, name, &small(seed))).collect();
    add_source(&desk, "disk", text(directories[0].parent().unwrap()), &[]);
    let mut wanted = vec![("disk", &directories[0])];
    let ssh = Servers::start(1);
    if let Some(servers) = &ssh {
        let options = format!("ssh_options = [\"-F\", \"{}\"]", servers.configuration().display());
        let url = format!("ssh://h1{}", directories[1].parent().unwrap().display());
        add_source(&desk, "far", &url, &[&options]);
        wanted.push(("far", &directories[1]));
    }
    let nginx = web::nginx(directories[2].parent().unwrap(), None);
    if let Some(server) = &nginx {
        add_source(&desk, "web", &format!("http://127.0.0.1:{}", server.port), &[]);
        wanted.push(("web", &directories[2]));
    }
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    let registered = || {
        desk.status()["deliveries"].as_array().is_some_and(|all| {
            all.iter().filter(|d| d["state"] == "registered").count() == wanted.len()
        })
    };
    until("all of them", registered);
    daemon.end();
    let rows = desk.rows("SELECT origin, delivery FROM delivery_origin ORDER BY origin");
    assert_eq!(rows.len(), wanted.len(), "{rows:?}");
    let mut plain = 0;
    for (source, directory) in &wanted {
        let row = rows.iter().find(|row| row["origin"] == *source).expect("its origin");
        let delivery = row["delivery"].as_str().unwrap();
        plain += u32::from(delivery == NIGHT);
        assert!(delivery == NIGHT || delivery == format!("{NIGHT}@{source}"), "{delivery}");
        is_held(&desk, delivery, directory);
    }
    assert_eq!(plain, 1, "one of them came first");
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE state <> 'current'"), 0);
    let listed = desk.at_site(&["sources", "--json"]).json(0);
    for source in listed.as_array().unwrap() {
        assert_eq!(source["deliveries"][0]["state"], "registered", "{source}");
    }
    // By hand, under the path or URL of a source, each is what it was.
    desk.at_site(&["run", text(&directories[0])]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM delivery"), wanted.len() as u64);
    desk.at_site(&["reconcile"]).ended(0);
}

#[test]
fn a_run_declares_the_delivery_complete() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small(1));
        fs::remove_file(delivery.join("OK_TO_COPY")).unwrap();
        let state = || states(&desk)[NIGHT].clone();
        desk.at_site(&["transfer", text(&delivery)]).ended(0);
        assert_eq!(state(), "arriving", "nothing says that it is complete");
        desk.at_site(&["run", text(&delivery), "--more-to-come"]).ended(0);
        assert_eq!(state(), "arriving");
        assert!(desk.status()["deliveries"][0]["awaited"].is_string());
        desk.run(&delivery).ended(0);
        assert_eq!(state(), "complete");
        assert!(desk.status()["deliveries"][0]["awaited"].is_null());
    }
}

#[test]
fn what_explain_advises_for_an_open_delivery_closes_it() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small(1));
        fs::remove_file(delivery.join("OK_TO_COPY")).unwrap();
        desk.at_site(&["run", text(&delivery), "--more-to-come"]).ended(0);
        assert_eq!(states(&desk)[NIGHT], "arriving");
        let explained = desk.at_site(&["explain", NIGHT, "--json"]).json(0);
        let suggestions = explained["suggestions"].as_array().unwrap();
        let commands = suggestions.iter().flat_map(|s| s["commands"].as_array().unwrap());
        let advice: Vec<&str> = commands
            .filter_map(|command| command.as_str()?.strip_prefix("almagest "))
            .filter(|command| command.contains("--complete"))
            .collect();
        assert_eq!(advice.len(), 1, "{advice:?}");
        let words: Vec<&str> = advice[0].split(' ').collect();
        desk.at_site(&words).ended(0);
        assert_eq!(states(&desk)[NIGHT], "complete");
        // A fetch that would await its marker awaits nothing; files that come are taken.
        fs::write(delivery.join("late.dat"), "late").unwrap();
        desk.at_site(&["transfer", text(&delivery)]).ended(0);
        assert!(desk.status()["deliveries"][0]["awaited"].is_null());
        assert_ne!(states(&desk)[NIGHT], "arriving");
        let unknown = desk.at_site(&["transfer", "--complete", "20990101_v1"]);
        assert_eq!(unknown.code, Some(3), "{unknown:?}");
    }
}

/// A store that records its requests, and lists nothing.
fn recording_store() -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            while lines.read_line(&mut request).is_ok_and(|n| n > 2) {}
            let body = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></ListBucketResult>";
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all((head + body).as_bytes());
            let _ = sender.send(request);
        }
    });
    (port, asked)
}

#[test]
fn session_tokens_go_with_the_key_that_they_belong_to() {
    let token_of = |settings: &[&str], environment: &[(&str, &str)]| {
        let desk = Desk::bare();
        let (port, asked) = recording_store();
        let endpoint = format!("endpoint = \"http://127.0.0.1:{port}\"");
        add_source(&desk, "store", "s3://survey", &[&[endpoint.as_str()], settings].concat());
        let mut command = desk.command(&["sources"]);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let request = asked.recv().unwrap();
        let at = request.find("X-Amz-Security-Token=").map(|at| at + 21)?;
        request[at..].split(['&', ' ']).next().map(str::to_owned)
    };
    let (user, secret) = ("user = \"ASIAX\"", "secret_env = \"MY_SECRET\"");
    let mine = ("MY_SECRET", "s");
    let usual = ("AWS_SESSION_TOKEN", "of-the-environment");
    assert_eq!(token_of(&[user, secret], &[mine, usual]).as_deref(), Some("of-the-environment"));
    let session = "session_env = \"MY_TOKEN\"";
    let named = token_of(&[user, secret, session], &[mine, usual, ("MY_TOKEN", "named")]);
    assert_eq!(named.as_deref(), Some("named"));
    assert_eq!(token_of(&[user, secret], &[mine]), None);
    let lasting = "user = \"AKIAX\"";
    assert_eq!(token_of(&[lasting, secret], &[mine, usual]), None, "it belongs to another key");
    let all = [("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "s"), usual];
    assert_eq!(token_of(&[], &all).as_deref(), Some("of-the-environment"));
}

#[test]
fn a_library_directory_that_cannot_be_listed_is_a_difference() {
    if !testkit::is_root() {
        testkit::skipped("giving up rights needs root");
        return;
    }
    let desk = Desk::bare();
    let delivery = desk.simulate(&small(1));
    desk.at_site(&["transfer", text(&delivery)]).ended(0);
    let hidden = desk.site.join("library").join(NIGHT).join("2");
    fs::create_dir(&hidden).unwrap();
    fs::write(hidden.join("stray.dat"), "x").unwrap();
    let owner = "65534:65534";
    let run = |program: &str, words: &[&str]| {
        std::process::Command::new(program).args(words).output().expect("it starts")
    };
    assert!(run("chown", &["-R", owner, text(desk.dir.path())]).status.success());
    assert!(run("chmod", &["000", text(&hidden)]).status.success());
    let binary = env!("CARGO_BIN_EXE_almagest");
    let as_nobody = |words: &[&str]| {
        let drop =
            ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", binary, "--site"];
        run("setpriv", &[&drop[..], &[text(&desk.site)], words].concat())
    };
    if !run("setpriv", &["--reuid", "65534", "--clear-groups", "test", "-x", binary])
        .status
        .success()
    {
        testkit::skipped("another user cannot start the program");
        return;
    }
    for offline in [&["reconcile", "--offline", "--json"][..], &["reconcile", "--json"]] {
        let output = as_nobody(offline);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found[0]["code"], "unreadable_directory", "{found}");
        assert!(found[0]["file"].as_str().unwrap().ends_with("/2"), "{found}");
    }
    let verified = as_nobody(&["verify", "--json"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(!verified.status.success() && said.contains("directory_unreadable"), "{verified:?}");
    assert!(run("chmod", &["755", text(&hidden)]).status.success());
    let output = as_nobody(&["reconcile", "--offline", "--json"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"stray\""), "{output:?}");
}

#[test]
fn a_link_gives_its_name_to_the_delivery() {
    let desk = Desk::bare();
    let real = camera(&desk, "store", &small(1));
    let link = desk.inbox().join("20991231_v7");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    fs::write(real.join("w.fit.partial"), "half").unwrap();
    let said = desk.run(&link);
    assert!(said.err.contains("w.fit.partial is skipped"), "{said:?}");
    assert_eq!(desk.value("SELECT name FROM delivery"), "20991231_v7");
    assert_eq!(desk.count("SELECT night FROM delivery"), 20_991_231);
    assert_eq!(desk.value("SELECT name FROM skipped WHERE code = 'unfinished'"), "w.fit.partial");
    assert_eq!(desk.status()["deliveries"][0]["skipped"], 1);
    let explained = desk.at_site(&["explain", "20991231_v7"]).ended(0);
    assert!(explained.contains("1 entry of the source was not fetched"), "{explained}");
    fs::rename(real.join("w.fit.partial"), real.join("w.dat")).unwrap();
    desk.at_site(&["transfer"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE name = 'w.dat'"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM skipped"), 0);
    desk.at_site(&["reconcile"]).ended(0);
    // Through another name of the same directory it is another delivery, unless the operator says otherwise.
    let said = desk.at_site(&["run", &format!("{}/.", text(&real))]);
    assert_eq!(desk.count("SELECT count(*) FROM delivery"), 2, "{said:?}");
}

#[test]
fn nights_that_are_links_arrive_by_themselves() {
    let desk = Desk::bare();
    let real = camera(&desk, "store", &small(1));
    let outside = camera(&desk, "outside", &Small { night: "20071012", ..small(2) });
    for directory in [&real, &outside] {
        let name = directory.file_name().unwrap();
        std::os::unix::fs::symlink(directory, desk.inbox().join(name)).unwrap();
    }
    let roots = format!("link_roots = [\"{}\"]", real.parent().unwrap().display());
    add_source(&desk, "links", text(&desk.inbox()), &[&roots]);
    let listed = desk.at_site(&["sources", "--json"]).json(0);
    assert_eq!(listed[0]["skipped"][0][0], "20071012_v1", "{listed}");
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    until("the night that is a link", || {
        states(&desk).get(NIGHT).is_some_and(|state| state == "registered")
    });
    let said = daemon.end();
    assert!(said.err.contains("20071012_v1 is skipped"), "{}", said.err);
    is_held(&desk, NIGHT, &real);
    assert_eq!(desk.count("SELECT count(*) FROM delivery"), 1);
}

/// Runs a program of gzip over the FITS files of a directory.
fn each_fits(program: &str, directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if text(&path).contains(".fit") {
            let status = std::process::Command::new(program).arg(&path).status().unwrap();
            assert!(status.success(), "{program} {}", path.display());
        }
    }
}

#[test]
fn frames_under_names_with_other_endings_are_the_same_frames() {
    const NEWER: &str = "20071011_v2";
    for desk in Desk::of_both_engines() {
        let first = desk.simulate(&small(1));
        desk.run(&first).ended(0);
        let plain = shown(&desk, NIGHT);
        assert!(plain.iter().all(|n| *n > 0), "{plain:?}");
        let second = desk.simulate(&Small { version: 2, ..small(1) });
        each_fits("gzip", &second);
        desk.run(&second).ended(0);
        let all = || desk.count("SELECT count(*) FROM detection");
        assert_eq!((shown(&desk, NIGHT), shown(&desk, NEWER)), ([0; 3], plain));
        assert_eq!(all(), plain[1], "each detection once");
        let explain = |words: &str| desk.at_site(&["explain", words]).ended(0);
        assert!(!explain(NEWER).contains("have no successor"), "{}", explain(NEWER));
        let name = held(&desk, NIGHT).into_keys().find(|name| name.ends_with(".fit")).unwrap();
        let told = explain(&format!("{NIGHT}/{name}"));
        let successor = format!("by {NEWER}/{name}.gz, multiframe ");
        assert!(told.contains(&successor), "{told}");
        desk.at_site(&["retract", NEWER, "--reason", "test"]).ended(0);
        assert_eq!((shown(&desk, NIGHT), shown(&desk, NEWER)), (plain, [0; 3]));
        desk.at_site(&["retract", NEWER, "--undo", "--reason", "test"]).ended(0);
        assert_eq!((shown(&desk, NIGHT), shown(&desk, NEWER)), ([0; 3], plain));
        desk.verified();
        // The provider unpacks the files in place: they are the newer contents of the same frames.
        each_fits("gunzip", &second);
        desk.run(&second).ended(0);
        assert_eq!((shown(&desk, NIGHT), shown(&desk, NEWER)), ([0; 3], plain));
        assert_eq!(all(), plain[1], "each detection once");
        let told = explain(&format!("{NEWER}/{name}.gz"));
        let line = format!("superseded by {name}, the same frame under another file name");
        assert!(told.contains(&line), "{told}");
        let files = "SELECT count(*) FROM file WHERE kind = 'image' AND state = 'superseded'";
        assert_eq!(desk.count(files), plain[0]);
        for verb in [&["reconcile"][..], &["scrub"], &["verify", "--checksums"]] {
            desk.at_site(verb).ended(0);
        }
        desk.run(&second).ended(0);
        assert_eq!(desk.count(files), plain[0], "nothing changed");
        desk.verified();
    }
}

#[test]
fn two_files_of_one_frame_that_arrive_together_are_reported() {
    for desk in Desk::of_both_engines() {
        let delivery = desk.simulate(&small(1));
        let paths = fs::read_dir(&delivery).unwrap().map(|entry| entry.unwrap().path());
        let names = paths.map(|path| path.display().to_string());
        let plain = names.filter(|name| name.ends_with("_st.fit")).min().unwrap();
        fs::copy(&plain, plain.replace(".fit", ".fits")).unwrap();
        desk.run(&delivery).ended(0);
        let images = desk.count("SELECT count(*) FROM multiframe");
        let found = desk.at_site(&["findings", "--json"]).json(0);
        let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let twice: Vec<_> =
            found.as_array().unwrap().iter().filter(|f| f["code"] == "frame_twice").collect();
        let [one] = twice.as_slice() else { panic!("{found}") };
        let files = [name(&plain), name(&plain.replace(".fit", ".fits"))];
        let message = one["message"].as_str().unwrap();
        assert!(files.iter().all(|file| message.contains(file)), "{one}");
        let noted = "SELECT sum(occurrences) FROM finding WHERE code = 'frame_twice'";
        assert_eq!(desk.count(noted), 1);
        desk.run(&delivery).ended(0);
        assert_eq!(desk.count(noted), 1);
        desk.verified();
        // The provider removes one of them: the other one is the frame.
        fs::remove_file(&plain).unwrap();
        desk.run(&delivery).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM multiframe"), images - 1);
        assert_eq!(desk.count("SELECT count(*) FROM finding WHERE code = 'frame_twice'"), 0);
        desk.verified();
    }
}
