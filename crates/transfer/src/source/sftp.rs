//! `ssh://`: SFTP through the system's ssh, so that keys, host keys, jumps and agents are those of the operator.
//!
//! A connection is one `ssh` process of its own: the window of one connection (2 MB) bounds the data in transit, so a distant
//! source is read over several. Within a connection, requests are kept in transit up to that window.

use super::address::SshPlace;
use super::{
    Access, Connection, Entry, EntryKind, Found, Links, MAX_ENTRIES, Sink, Source, SourceFault,
    Span, below, endless, links,
};
use model::RefusalCode;
use russh_sftp::client::error::Error;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{File, FileAttributes, FileType, OpenFlags, StatusCode};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Bytes requested ahead on a connection: a little more than the window of an OpenSSH channel.
const AHEAD_BYTES: u64 = 5 << 19;
/// Bytes that every server returns at once; a server that reports its limits is sent larger requests.
const READ_BYTES: u64 = 32_768;
/// The largest accepted response: OpenSSH's packets have up to 256 KiB.
const MAX_READ_BYTES: u64 = 261_120;

/// A directory of another computer.
pub(super) struct Sftp {
    reach: Reach,
    /// The connection for listings: one for all listings of all deliveries.
    control: Mutex<Option<SftpConnection>>,
}

/// The settings for the access to the server.
#[derive(Clone, Debug)]
struct Reach {
    place: SshPlace,
    access: Access,
}

impl Sftp {
    pub(super) fn new(place: SshPlace, access: Access) -> Self {
        Self { reach: Reach { place, access }, control: Mutex::default() }
    }

    /// Lists a directory; over a new connection when the previous one is closed.
    fn entries(&self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = control.as_mut() {
            match connection.entries(directory) {
                Err(SourceFault::Passing { .. }) => *control = None,
                done => return done,
            }
        }
        let connection = control.insert(self.reach.connect()?);
        let listed = connection.entries(directory);
        if matches!(listed, Err(SourceFault::Passing { .. })) {
            *control = None;
        }
        listed
    }
}

impl Reach {
    fn path(&self, directory: &str, name: &str) -> String {
        let root = if self.place.path.is_empty() { "." } else { &self.place.path };
        below(root, directory, name)
    }

    /// Starts ssh. The operator's options precede the others, because ssh uses the first value of an option.
    fn ssh(&self, stdio: OwnedFd) -> std::io::Result<Child> {
        let mut command = Command::new("ssh");
        command.args(&self.access.ssh_options);
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=15",
            "ConnectionAttempts=1",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "ControlPath=none", // a shared connection has one window for all
            "Compression=no",
            "Ciphers=^aes128-gcm@openssh.com", // the cheapest for processors of today; the others stay allowed
            "LogLevel=ERROR",                  // its stderr is read only when it ends
            "RequestTTY=no",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ClearAllForwardings=yes",
        ] {
            command.args(["-o", option]);
        }
        if let Some(port) = self.place.port {
            command.args(["-p", &port.to_string()]);
        }
        if !self.place.user.is_empty() {
            command.args(["-l", &self.place.user]);
        }
        command.args(["-s", "--", &self.place.host, "sftp"]);
        let twin = stdio.try_clone()?;
        command.stdin(Stdio::from(stdio)).stdout(Stdio::from(twin)).stderr(Stdio::piped());
        command.spawn()
    }

    fn connect(&self) -> Result<SftpConnection, SourceFault> {
        let host = self.place.to_string();
        let fault = |e: std::io::Error| SourceFault::passing(&host, e);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let (ours, theirs) = UnixStream::pair().map_err(fault)?;
        ours.set_nonblocking(true).map_err(fault)?;
        let ssh = self.ssh(theirs.into()).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                SourceFault::lasting(RefusalCode::NO_SSH, &host, "ssh is not installed")
            }
            _ => fault(e),
        })?;
        let config = Config {
            max_packet_len: 1 << 19,
            request_timeout_secs: self.access.stall.seconds.max(1),
            ..Config::default()
        };
        let session = {
            let _inside = runtime.enter();
            tokio::net::UnixStream::from_std(ours)
                .map(|stream| RawSftpSession::new_with_config(stream, config))
                .map_err(fault)?
        };
        let mut connection = SftpConnection {
            reach: self.clone(),
            runtime,
            session: Arc::new(session),
            ssh,
            read_bytes: READ_BYTES,
            open: None,
        };
        connection.begin()?;
        Ok(connection)
    }
}

impl Source for Sftp {
    fn deliveries(&self) -> Result<Found, SourceFault> {
        let mut found = Found::default();
        for entry in self.entries("")? {
            match entry.kind {
                EntryKind::Directory => found.names.push(entry.name),
                EntryKind::Link => found.skipped.push(links::skipped(&entry.name, entry.note)),
                _ => {}
            }
        }
        found.names.sort();
        found.skipped.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        self.entries(directory)
    }

    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault> {
        Ok(Box::new(self.reach.connect()?))
    }

    fn place(&self, directory: &str) -> String {
        let root = self.reach.place.to_string();
        below(&root, directory, "")
    }
}

struct SftpConnection {
    reach: Reach,
    runtime: Runtime,
    session: Arc<RawSftpSession>,
    ssh: Child,
    read_bytes: u64,
    /// The file that was read last.
    open: Option<Open>,
}

/// A file that is open on the server.
struct Open {
    path: String,
    /// The entry as it was requested: the handle is not valid for another content under the same name.
    entry: Entry,
    handle: String,
}

impl Drop for SftpConnection {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

impl SftpConnection {
    fn begin(&mut self) -> Result<(), SourceFault> {
        let session = Arc::clone(&self.session);
        let version = match self.runtime.block_on(session.init()) {
            Ok(version) => version,
            Err(error) => return Err(self.not_begun(&error)),
        };
        if version.extensions.contains_key("limits@openssh.com")
            && let Ok(limits) = self.runtime.block_on(session.limits())
            && limits.max_read_len > 0
        {
            self.read_bytes = limits.max_read_len.clamp(READ_BYTES, MAX_READ_BYTES);
        }
        Ok(())
    }

    /// Makes the fault of a failed session, with ssh's message.
    fn not_begun(&mut self, error: &Error) -> SourceFault {
        let _ = self.ssh.kill();
        let mut stderr_text = String::new();
        if let Some(stderr) = &mut self.ssh.stderr {
            let _ = stderr.take(4096).read_to_string(&mut stderr_text);
        }
        let host = self.reach.place.to_string();
        let last = stderr_text.lines().map(str::trim).rfind(|line| !line.is_empty());
        let why = last.map_or_else(|| error.to_string(), str::to_owned);
        if why.contains("Permission denied") || why.contains("Host key verification failed") {
            return SourceFault::lasting(RefusalCode::NO_ACCESS, host, why);
        }
        SourceFault::passing(host, why)
    }

    fn fault(&self, path: &str, error: Error) -> SourceFault {
        let place = format!("{}: {path}", self.reach.place.host);
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => {
                    SourceFault::lasting(RefusalCode::MISSING_FILE, place, "not found")
                }
                StatusCode::PermissionDenied => {
                    SourceFault::lasting(RefusalCode::UNREADABLE, place, "permission denied")
                }
                _ => SourceFault::busy(place, status.error_message),
            },
            Error::Timeout => SourceFault::passing(place, "no data arrived for too long"),
            other => SourceFault::passing(place, other),
        }
    }

    fn entries(&mut self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        let path = self.reach.path(directory, "");
        let session = Arc::clone(&self.session);
        let list = async {
            let handle = session.opendir(path.as_str()).await?.handle;
            let mut entries = Vec::new();
            loop {
                if entries.len() > MAX_ENTRIES {
                    return Ok(None);
                }
                match session.readdir(handle.as_str()).await {
                    Ok(names) => entries.extend(names.files),
                    Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break,
                    Err(error) => return Err(error),
                }
            }
            let _ = session.close(handle).await;
            Ok(Some(entries))
        };
        let found = self.runtime.block_on(list).map_err(|e| self.fault(&path, e))?;
        let found: Vec<File> = found.ok_or_else(|| endless(&path))?;
        let real = found.into_iter().filter(|f| f.filename != "." && f.filename != "..");
        let entries = real.map(|f| entry(f.filename.into(), &f.attrs)).collect();
        self.follow(directory, entries)
    }

    /// Replaces the links that are followed by their targets. Many are resolved at once, because each response of a
    /// distant server is slow.
    fn follow(&self, directory: &str, mut entries: Vec<Entry>) -> Result<Vec<Entry>, SourceFault> {
        let is_link = |e: &Entry| e.kind == EntryKind::Link;
        if directory.is_empty() && !entries.iter().any(is_link) {
            return Ok(entries);
        }
        let own = self.real_path(&self.reach.path(directory, "")).ok();
        let trees = self.trees();
        self.check_delivery(directory, own.as_deref(), &trees)?;
        let mut requested = Vec::new();
        for (at, entry) in entries.iter().enumerate().filter(|(_, e)| is_link(e)) {
            let path = self.reach.path(directory, &entry.name.to_string_lossy());
            let session = Arc::clone(&self.session);
            let target = async move {
                let target = session.realpath(path).await?.files.into_iter().next();
                let target = target.map(|f| f.filename).unwrap_or_default();
                let attributes = session.stat(target.as_str()).await?.attrs;
                Ok::<_, Error>((target, attributes))
            };
            requested.push((at, self.runtime.spawn(target)));
        }
        for (at, target) in requested {
            let target = self.runtime.block_on(target);
            let Some(link) = entries.get_mut(at) else { continue };
            match target.map_err(|e| SourceFault::passing(self.reach.place.host.as_str(), e))? {
                Ok((target, attributes)) => match self.allows(&target, &trees, own.as_deref()) {
                    Ok(()) => {
                        let found = entry(link.name.clone(), &attributes);
                        *link = Entry { locator: Some(target.into()), ..found };
                    }
                    Err(why) => link.note = why,
                },
                Err(Error::Status(status)) => {
                    link.note = format!("the target cannot be resolved: {}", status.error_message);
                }
                Err(error) => return Err(self.fault("", error)),
            }
        }
        Ok(entries)
    }

    /// Returns the trees into which links may lead: the source's own and the named ones.
    fn trees(&self) -> Vec<String> {
        let root = self.real_path(&self.reach.path("", "")).ok();
        let named = self.reach.access.link_roots.iter().map(|r| r.to_string_lossy().into_owned());
        root.into_iter().chain(named).collect()
    }

    /// Refuses a delivery that is a link itself and leads out of the allowed trees. A server that does not resolve links
    /// returns the path.
    fn check_delivery(
        &self,
        directory: &str,
        own: Option<&str>,
        trees: &[String],
    ) -> Result<(), SourceFault> {
        let Some(own) = own.filter(|_| !directory.is_empty()) else { return Ok(()) };
        if trees.first().is_some_and(|root| below(root, directory, "") == own) {
            return Ok(());
        }
        let place = format!("{}: {own}", self.reach.place.host);
        self.allows(own, trees, None)
            .map_err(|why| SourceFault::lasting(RefusalCode::SYMBOLIC_LINK, place, why))
    }

    /// Checks that a link may lead to a target; returns the reason when it may not.
    fn allows(&self, target: &str, trees: &[String], own: Option<&str>) -> Result<(), String> {
        let target_path = std::path::Path::new(target);
        let mut within = trees.iter().map(String::as_str).chain(own);
        match self.reach.access.links {
            Links::Skip => Err(links::SKIPPED.to_owned()),
            Links::Anywhere => Ok(()),
            Links::Within if within.any(|tree| target_path.starts_with(tree)) => Ok(()),
            Links::Within => Err(links::outside(target)),
        }
    }

    /// Returns a path of the server without links.
    fn real_path(&self, path: &str) -> Result<String, Error> {
        let session = Arc::clone(&self.session);
        let found = self.runtime.block_on(async move { session.realpath(path).await })?;
        let first = found.files.into_iter().next().map(|f| f.filename);
        first.ok_or_else(|| Error::UnexpectedBehavior("a path without a name".to_owned()))
    }

    fn path_of(&self, directory: &str, wanted: &Entry) -> String {
        match &wanted.locator {
            Some(target) => target.to_string_lossy().into_owned(),
            None => self.reach.path(directory, &wanted.name.to_string_lossy()),
        }
    }

    /// Opens a file, unless it is open, and compares it with its listing.
    fn handle(&mut self, path: &str, wanted: &Entry) -> Result<String, SourceFault> {
        let session = Arc::clone(&self.session);
        if let Some(open) = self.open.take() {
            if open.path == path && open.entry == *wanted {
                let handle = open.handle.clone();
                self.open = Some(open);
                return Ok(handle);
            }
            let closing = Arc::clone(&session);
            self.runtime.spawn(async move { closing.close(open.handle).await });
        }
        // Both requests are sent at once, because each response of a distant server is slow. The name is checked too,
        // for a link in its place.
        let opening = async {
            let opened = {
                let (session, path) = (Arc::clone(&session), path.to_owned());
                let empty = FileAttributes::empty();
                tokio::spawn(async move { session.open(path, OpenFlags::READ, empty).await })
            };
            let found = session.lstat(path).await?.attrs;
            let opened = opened.await.map_err(|e| Error::UnexpectedBehavior(e.to_string()))?;
            Ok((found, opened?.handle))
        };
        let (found, handle) = self.runtime.block_on(opening).map_err(|e| self.fault(path, e))?;
        let found = entry(wanted.name.clone(), &found);
        if found.kind != EntryKind::File || !found.is_same(wanted) {
            let closing = Arc::clone(&session);
            self.runtime.spawn(async move { closing.close(handle).await });
            return Err(SourceFault::Changed { place: path.to_owned() });
        }
        let (path, entry) = (path.to_owned(), wanted.clone());
        self.open = Some(Open { path, entry, handle: handle.clone() });
        Ok(handle)
    }
}

impl Connection for SftpConnection {
    fn read(
        &mut self,
        directory: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let path = self.path_of(directory, wanted);
        let handle = self.handle(&path, wanted)?;
        let (session, max_bytes) = (Arc::clone(&self.session), self.read_bytes);
        let depth = usize::try_from(AHEAD_BYTES / max_bytes).unwrap_or(1).max(2);
        let request = |from: u64, bytes: u64| {
            let (session, handle) = (Arc::clone(&session), handle.clone());
            let bytes32 = u32::try_from(bytes).unwrap_or(u32::MAX);
            (bytes, tokio::spawn(async move { session.read(handle, from, bytes32).await }))
        };
        let read = async {
            let mut requested = VecDeque::new();
            let (mut next, mut at) = (span.from, span.from);
            while at < span.to {
                while next < span.to && requested.len() < depth {
                    let bytes = max_bytes.min(span.to - next);
                    requested.push_back(request(next, bytes));
                    next += bytes;
                }
                let Some((bytes, response)) = requested.pop_front() else { break };
                let response = response.await.map_err(|e| SourceFault::passing(&path, e))?;
                let data = response.map_err(|e| match e {
                    Error::Status(s) if s.status_code == StatusCode::Eof => {
                        SourceFault::Changed { place: path.clone() }
                    }
                    e => self.fault(&path, e),
                })?;
                let received = data.data.len() as u64;
                if received == 0 || received > bytes {
                    return Err(SourceFault::passing(
                        &path,
                        "the server returned data that were not requested",
                    ));
                }
                sink(&data.data)?;
                at += received;
                if received < bytes {
                    requested.push_front(request(at, bytes - received)); // a server may return less
                }
            }
            Ok(())
        };
        let done = self.runtime.block_on(read);
        if done.is_err() {
            self.open = None;
        }
        done
    }

    fn stat(&mut self, directory: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        let path = self.path_of(directory, wanted);
        let session = Arc::clone(&self.session);
        let found = self
            .runtime
            .block_on(session.lstat(path.as_str()))
            .map_err(|e| self.fault(&path, e))?;
        let locator = wanted.locator.clone();
        Ok(Entry { locator, ..entry(wanted.name.clone(), &found.attrs) })
    }
}

fn kind(attributes: &FileAttributes) -> EntryKind {
    // A server that reports no mode is trusted that the entry is a file.
    if attributes.permissions.is_none() {
        return EntryKind::File;
    }
    match attributes.file_type() {
        FileType::Dir => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        FileType::File => EntryKind::File,
        _ => EntryKind::Other,
    }
}

fn entry(name: OsString, found: &FileAttributes) -> Entry {
    let kind = kind(found);
    Entry {
        bytes: if kind == EntryKind::File { found.size } else { Some(0) },
        modified_ns: i64::from(found.mtime.unwrap_or(0)).saturating_mul(1_000_000_000),
        has_ranges: true,
        ..Entry::named(name, kind)
    }
}
