//! Throw-away web and S3 servers for tests, all on loopback: nginx (ranges, directory pages), Python's (pages, no
//! ranges), moto and s3s-fs (S3), and one of our own that is faulty on purpose.

use crate::{free_port, python, skipped};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct WebServer {
    /// The port on which it listens, on 127.0.0.1.
    pub port: u16,
    child: Child,
    _directory: Option<TempDir>,
}

impl Drop for WebServer {
    /// Ends the server by a signal first: a killed nginx leaves its worker behind.
    fn drop(&mut self) {
        let signalled = Command::new("kill").arg(self.child.id().to_string()).status();
        let began = Instant::now();
        while signalled.as_ref().is_ok_and(|s| s.success())
            && began.elapsed() < Duration::from_secs(5)
            && matches!(self.child.try_wait(), Ok(None))
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launched(command: &mut Command, port: u16, directory: Option<TempDir>) -> WebServer {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut server =
        WebServer { port, child: child.expect("the server starts"), _directory: directory };
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = server.child.try_wait().expect("ours");
        assert!(ended.is_none(), "{command:?} ended: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{command:?} does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

/// Returns a command that ends with this process.
fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// Starts nginx over a directory: directory pages, ranges, ETags. With `user:password`, only for clients that know it.
/// `None` where it is not installed.
/// installed.
///
/// # Panics
/// Panics when it does not start.
pub fn nginx(root: &Path, password: Option<&str>) -> Option<WebServer> {
    let Some(program) = on_path("nginx") else {
        skipped("nginx is not installed");
        return None;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let (port, at) = (free_port(), directory.path().display().to_string());
    let guarded = password.map_or(String::new(), |password| {
        let (user, secret) = password.split_once(':').expect("user:password");
        std::fs::write(directory.path().join("users"), format!("{user}:{{PLAIN}}{secret}\n"))
            .expect("written");
        format!("auth_basic x; auth_basic_user_file {at}/users;")
    });
    let user = if crate::is_root() { "user nobody nogroup;" } else { "" };
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {at}/pid; error_log {at}/log;\n\
         events {{ worker_connections 256; }}\n\
         http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
         uwsgi_temp_path {at}/d; scgi_temp_path {at}/e; default_type application/octet-stream;\n\
         server {{ listen 127.0.0.1:{port}; root {}; autoindex on; {guarded} }} }}\n",
        root.display()
    );
    let configuration = directory.path().join("nginx.conf");
    std::fs::write(&configuration, text).expect("written");
    readable_by_all(directory.path());
    readable_by_all(root);
    let mut command = bound(&program);
    command.arg("-c").arg(configuration).arg("-e").arg(directory.path().join("log"));
    Some(launched(&mut command, port, Some(directory)))
}

/// Makes a test directory accessible to a server that dropped its privileges.
fn readable_by_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for part in directory.ancestors().filter(|p| p.starts_with(std::env::temp_dir())) {
        if let Ok(found) = std::fs::metadata(part) {
            let mut rights = found.permissions();
            rights.set_mode(rights.mode() | 0o055);
            let _ = std::fs::set_permissions(part, rights);
        }
    }
}

/// Starts Python's own server over a directory: pages, no ranges, no ETags. `None` where there is no Python
/// environment.
///
/// # Panics
/// Panics when it does not start.
pub fn python_http(root: &Path) -> Option<WebServer> {
    let port = free_port();
    let mut command = bound(&python()?);
    command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(root);
    Some(launched(command.arg(port.to_string()), port, None))
}

/// Starts moto: S3 in memory; it accepts any credentials. `None` where there is no Python environment.
///
/// # Panics
/// Panics when it does not start.
pub fn moto() -> Option<WebServer> {
    let port = free_port();
    let mut command = bound(&python()?);
    command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
    Some(launched(&mut command, port, None))
}

/// Starts s3s-fs: S3 over a directory whose directories are buckets, for clients with the access key `key` and the
/// secret key `secret`. `None` where it is not installed (`cargo xtask test` does that).
///
/// # Panics
/// Panics when it does not start.
pub fn s3s_fs(root: &Path, key: &str, secret: &str) -> Option<WebServer> {
    let Some(program) =
        std::env::var_os("ALMAGEST_S3S_FS").map(PathBuf::from).filter(|p| p.is_file())
    else {
        skipped("s3s-fs is not installed");
        return None;
    };
    let port = free_port();
    let mut command = bound(&program);
    command.args(["--access-key", key, "--secret-key", secret, "--host", "127.0.0.1"]);
    command.args(["--port", &port.to_string()]).arg(root);
    Some(launched(&mut command, port, None))
}

/// The fault of a server of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It announces more bytes than it sends.
    TooShort,
    /// It sends more bytes than its list of lengths states: other lengths to HEAD and GET.
    TooLong,
    /// It answers everything with 503.
    Busy,
}

/// Starts a server over a directory that is faulty for names that contain `bad`; it supports ranges for none. Its page
/// lists the contents of the directory, and `extra` unchanged. It serves for as long as the process lives; returns its
/// port.
///
/// # Panics
/// Panics when no port is available.
pub fn wrong_http(root: &Path, wrong: Wrong, extra: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let (root, extra) = (Arc::new(root.to_owned()), Arc::new(extra.to_owned()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (root, extra) = (Arc::clone(&root), Arc::clone(&extra));
            std::thread::spawn(move || drop(answer(&stream, &root, wrong, &extra)));
        }
    });
    port
}

fn answer(mut stream: &TcpStream, root: &Path, wrong: Wrong, extra: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let file = root.join(path.trim_start_matches('/'));
    let (status, body) = match std::fs::metadata(&file) {
        Ok(found) if found.is_dir() => {
            let names = std::fs::read_dir(&file)?.flatten().map(|e| {
                let slash = if e.path().is_dir() { "/" } else { "" };
                format!("<a href=\"{}{slash}\">x</a>\n", e.file_name().to_string_lossy())
            });
            let deep = if path.trim_matches('/').is_empty() { "" } else { extra };
            ("200 OK", (names.collect::<String>() + deep).into_bytes())
        }
        Ok(_) => ("200 OK", std::fs::read(&file)?),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let is_bad = path.contains("bad");
    let (status, mut stated, mut sent) = (status, body.len(), body.len());
    let mut status = status;
    match wrong {
        Wrong::Busy if is_bad && method == "GET" => (status, stated, sent) = ("503 Busy", 0, 0),
        Wrong::TooShort if is_bad => (stated, sent) = (stated, sent / 2),
        Wrong::TooLong if is_bad && method == "HEAD" => stated = stated.saturating_sub(7),
        _ => {}
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {stated}\r\nConnection: close\r\n\r\n")?;
    if method != "HEAD" {
        stream.write_all(&body[..sent])?;
    }
    stream.flush()
}
