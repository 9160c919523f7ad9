//! A provider with a small night, reached in every way there is; and what a fetch of it gives.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::relay::Relay;
use transfer::source::{Access, Address, Secret};
use transfer::{
    Entry, Fetched, FetchedFile, Fill, Known, Mode, Pace, Request, Source, Stall, TransferFault,
    Unfinished, Volume,
};

pub const NIGHT: &str = "20071011_v1";
/// A file of several pieces: it has no checksum of its own.
pub const LARGE: &str = "large.dat";
pub const LARGE_BYTES: u64 = 40_000_123;
pub const KEY: &str = "almagest-key";
pub const SECRET: &str = "almagest-secret";

/// A directory with deliveries, `root/20071011_v1`, and room for libraries.
pub struct Provider {
    pub dir: TempDir,
}

impl Provider {
    /// With a small night and a large file.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("made");
        let spec = simulate::NightSpec {
            frames: 4,
            detections: 20,
            size: 64,
            ..simulate::NightSpec::default()
        };
        simulate::night(&root, &spec, &|_| {}).expect("simulated");
        let provider = Self { dir };
        fs::write(provider.file(LARGE), noise(LARGE_BYTES)).expect("written");
        provider
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub fn night(&self) -> PathBuf {
        self.root().join(NIGHT)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.night().join(name)
    }

    /// A catalogue of the night: its HDUs have DATASUMs.
    pub fn catalogue(&self) -> String {
        self.names().into_iter().find(|name| name.ends_with("_cat.fits")).expect("there is one")
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.night())
            .expect("it is there")
            .map(|e| e.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Adds the list that `sha256sum` would write.
    pub fn states_sums(&self) {
        let lines = self.names().into_iter().map(|name| {
            let (sum, _) =
                files::sha256(fs::File::open(self.file(&name)).expect("there")).expect("readable");
            format!("{}  {name}\n", files::hex(&sum))
        });
        fs::write(self.file("SHA256SUMS"), lines.collect::<String>()).expect("written");
    }

    /// A fetch into a new library.
    pub fn fetch(&self, source: &dyn Source) -> Desk {
        Desk::new(&self.dir.path().join(format!("library-{}", rand()))).with(source)
    }

    pub fn desk(&self) -> Desk {
        Desk::new(&self.dir.path().join(format!("library-{}", rand())))
    }

    /// The library holds what the provider has, and nothing else.
    #[track_caller]
    pub fn is_in(&self, desk: &Desk) {
        let stored = desk.stored();
        for name in self.names() {
            let wanted = fs::read(self.file(&name)).expect("readable");
            let found = stored.get(&name).unwrap_or_else(|| panic!("{name} is not in the library"));
            assert!(*found == wanted, "{name} differs: {} and {} bytes", found.len(), wanted.len());
        }
        assert_eq!(stored.len(), self.names().len(), "{:?}", stored.keys());
    }
}

/// Bytes that do not compress and do not repeat.
pub fn noise(bytes: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut all = Vec::with_capacity(usize::try_from(bytes).expect("small") + 8);
    while (all.len() as u64) < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend_from_slice(&state.to_le_bytes());
    }
    all.truncate(usize::try_from(bytes).expect("small"));
    all
}

fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Opens the provider under a URL, with changed settings of the access.
pub fn open(url: &str, change: impl FnOnce(&mut Access)) -> Box<dyn Source> {
    let mut access = Access { max_connections: 4, stall: stall(), ..Access::default() };
    change(&mut access);
    let address = Address::parse(url, Path::new("/")).expect("an address");
    transfer::source::open(&address, access).expect("a source")
}

pub fn stall() -> Stall {
    Stall { seconds: 5, ..Stall::default() }
}

/// `ssh://` to a server, perhaps by way of a relay.
pub fn ssh(
    servers: &testkit::sshd::Servers,
    root: &Path,
    relay: Option<&Relay>,
) -> Box<dyn Source> {
    let configuration = servers.configuration().display().to_string();
    open(&format!("ssh://h1{}", root.display()), |access| {
        access.ssh_options = vec!["-F".to_owned(), configuration];
        if let Some(relay) = relay {
            // The first value of an option counts; the key is known under the port of the server.
            let key = format!("HostKeyAlias=[127.0.0.1]:{}", servers.port(1));
            let more = ["-o", &key, "-o", &format!("Port={}", relay.port)].map(str::to_owned);
            access.ssh_options.extend(more);
        }
    })
}

pub fn http(port: u16) -> Box<dyn Source> {
    open(&format!("http://127.0.0.1:{port}"), |_| {})
}

/// S3 for who knows the secret.
pub fn s3(port: u16, bucket: &str, secret: &str) -> Box<dyn Source> {
    open(&format!("s3://{bucket}"), |access| {
        access.endpoint = format!("http://127.0.0.1:{port}");
        access.user = KEY.to_owned();
        access.secret = Some(Secret::new(secret.to_owned()));
    })
}

/// A library, and what its ledger knows.
pub struct Desk {
    pub volumes: Vec<Volume>,
    pub mode: Mode,
    pub connections: usize,
    pub mb_per_second: f64,
    pub stall: Stall,
    pub known: Mutex<BTreeMap<String, Vec<Known>>>,
    pub arrivals: Vec<FetchedFile>,
    pub groups: usize,
    pub fetched: Fetched,
    pub stop: Arc<AtomicBool>,
    pub is_settled: Box<dyn Fn(&Entry) -> bool + Sync + Send>,
    pub unfinished: Unfinished,
    pub max_file_bytes: u64,
}

impl Desk {
    pub fn new(library: &Path) -> Self {
        Self {
            volumes: vec![Volume { directory: library.join(NIGHT), keep_free_bytes: 0 }],
            mode: Mode::Copy,
            connections: 4,
            mb_per_second: 0.0,
            stall: stall(),
            known: Mutex::default(),
            arrivals: Vec::new(),
            groups: 0,
            fetched: Fetched::default(),
            stop: Arc::default(),
            is_settled: Box::new(|_| true),
            unfinished: Unfinished::default(),
            max_file_bytes: u64::MAX,
        }
    }

    /// Fetches; what lands is known from then on.
    pub fn try_with(&mut self, source: &dyn Source) -> Result<(), TransferFault> {
        let pace = Pace::new(self.mb_per_second * 1e6);
        let known = &self.known;
        let request = Request {
            source,
            directory: NIGHT,
            volumes: &self.volumes,
            fill: Fill::InOrder,
            mode: self.mode,
            threads: 2,
            max_connections: self.connections,
            pace: &pace,
            stall: self.stall,
            known: &|name| known.lock().expect("no panic").get(name).cloned().unwrap_or_default(),
            survey_of: &|_| transfer::SurveyRules {
                survey: "wfcam".parse().ok(),
                ..Default::default()
            },
            unfinished: &self.unfinished,
            max_file_bytes: self.max_file_bytes,
            markers: &["OK_TO_COPY".to_owned()],
            is_manifest: &|name| name == "SHA256SUMS",
            rank: &|name| u8::from(!name.contains("_cat")),
            is_settled: &*self.is_settled,
            progress: &|_| {},
            stop: &self.stop,
        };
        let (arrivals, groups) = (&mut self.arrivals, &mut self.groups);
        self.fetched = transfer::fetch(&request, &mut |group| {
            *groups += 1;
            for one in group {
                let known_one = Known {
                    bytes: one.bytes,
                    modified_ns: one.modified_ns,
                    sha256: one.sha256,
                    path: one.path.clone(),
                    reexamine: false,
                };
                known
                    .lock()
                    .expect("no panic")
                    .entry(one.name.clone())
                    .or_default()
                    .push(known_one);
            }
            arrivals.extend_from_slice(group);
            Ok(())
        })?;
        Ok(())
    }

    #[track_caller]
    pub fn with(mut self, source: &dyn Source) -> Self {
        self.try_with(source).unwrap_or_else(|e| panic!("{}", chain(&e)));
        self
    }

    pub fn library(&self) -> &Path {
        &self.volumes[0].directory
    }

    /// Files of the library by their names below the delivery's directory.
    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for volume in &self.volumes {
            let mut open = vec![volume.directory.clone()];
            while let Some(here) = open.pop() {
                for entry in fs::read_dir(here).into_iter().flatten().flatten() {
                    let path = entry.path();
                    if path.is_dir() {
                        open.push(path);
                    } else {
                        let name = path.strip_prefix(&volume.directory).expect("below");
                        all.insert(name.display().to_string(), fs::read(&path).expect("readable"));
                    }
                }
            }
        }
        all
    }

    pub fn arrival(&self, name: &str) -> &FetchedFile {
        self.arrivals
            .iter()
            .find(|a| a.name == name)
            .unwrap_or_else(|| panic!("{name} did not arrive"))
    }

    pub fn refusals(&self) -> Vec<(String, String)> {
        self.fetched.refusals.iter().map(|r| (r.file.clone(), r.code.to_string())).collect()
    }

    /// Nothing is on its way any more.
    #[track_caller]
    pub fn is_tidy(&self) {
        let left: Vec<String> = self.stored().into_keys().filter(|n| n.starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// An error with everything it came from.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

/// Acts as soon as a partial file in a directory has some MiB, however busy the machine is.
pub fn once_under_way(directory: &Path, act: impl FnOnce() + Send + 'static) {
    const MIN_BYTES: u64 = 3 << 20;
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        let is_under_way = || {
            fs::read_dir(&directory).into_iter().flatten().flatten().any(|entry| {
                entry.file_name().to_string_lossy().starts_with(".arriving-")
                    && entry.metadata().is_ok_and(|m| m.len() >= MIN_BYTES)
            })
        };
        let began = Instant::now();
        while !is_under_way() && began.elapsed() < Duration::from_secs(300) {
            std::thread::sleep(Duration::from_millis(5));
        }
        act();
    });
}
