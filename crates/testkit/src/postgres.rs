//! Throw-away PostgreSQL servers for tests: a new cluster in a temporary directory, on a random port of loopback and a
//! socket in that directory. They end with the test process, in whatever way it ends, and leave nothing behind.
//!
//! PostgreSQL refuses to run as root: started by root, a server runs as the user `postgres`.

use crate::{free_port, skipped};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Settings of a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// True when commits reach the disk; without, they are much faster and still survive a kill.
    pub fsync: bool,
    /// True to offer TLS with a certificate for `localhost` of a separate authority.
    pub tls: bool,
    /// Further settings, `name = value`.
    pub settings: Vec<String>,
    /// Parent of its directory; by default the directory of temporary files.
    pub parent: Option<PathBuf>,
}

/// A running server, which ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    binaries: PathBuf,
    directory: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    password: String,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    /// Ends the server when this end of the pipe is closed.
    _watcher: ChildStdin,
}

/// A separate database on a server.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name.
    pub name: String,
    port: u16,
    socket: PathBuf,
    psql: PathBuf,
}

const SUPERUSER: &str = "postgres";
static NAMES: AtomicU32 = AtomicU32::new(1);

impl Server {
    /// Returns the server that all tests of a process share; `None`, with a message of the skip, where PostgreSQL is
    /// not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options::default())).as_ref()
    }

    /// Starts a server; `None`, with a message of the skip, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// Panics when it is installed and does not start.
    pub fn start(options: &Options) -> Option<Self> {
        let Some(binaries) = binaries() else {
            skipped("PostgreSQL 15 or later is not installed (Debian: postgresql)");
            return None;
        };
        let parent = options.parent.clone().unwrap_or_else(std::env::temp_dir);
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("almagest-pg-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory for the server");
        let user = server_user();
        let server = Self {
            binaries,
            directory,
            user,
            port: free_port(),
            password: random_password(),
            running: Mutex::new(None),
        };
        server.make_cluster(options).expect("a cluster is made");
        server.launch();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns the directory of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("sock")
    }

    /// Returns the certificate of the authority that signed the server's, with [`Options::tls`].
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// Returns the password of the user `postgres`, required on TCP.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the path of one of PostgreSQL's own programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Returns its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(&self.directory);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn make_cluster(&self, options: &Options) -> io::Result<()> {
        for dir in [self.directory.clone(), self.socket()] {
            fs::create_dir_all(&dir)?;
            self.set_access(&dir, 0o755)?;
        }
        let password = self.directory.join("pw");
        fs::write(&password, &self.password)?;
        self.set_access(&password, 0o600)?;
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-N"]);
        initdb.arg(format!("--pwfile={}", password.display()));
        check_success(&initdb.output()?)?;
        fs::remove_file(&password)?;
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             unix_socket_permissions = 0777\n",
            self.port,
            self.socket().display()
        );
        if !options.fsync {
            text += "fsync = off\n";
        }
        if options.tls {
            self.make_certificates()?;
            text += "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n";
        }
        for setting in &options.settings {
            text += &format!("{setting}\n");
        }
        let mut file =
            fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        file.write_all(text.as_bytes())
    }

    fn set_access(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        match self.user {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    fn make_certificates(&self) -> io::Result<()> {
        let script = "set -e; umask 077
            openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=authority -keyout ca.key -out ca.crt
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout data/server.key -out server.csr
            printf 'subjectAltName=DNS:localhost' >ext
            openssl x509 -req -days 3650 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile ext -out data/server.crt
            chmod 644 ca.crt";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&self.directory);
        check_success(&command.output()?)?;
        self.set_access(&self.data().join("server.key"), 0o600)?;
        self.set_access(&self.data().join("server.crt"), 0o644)
    }

    fn launch(&self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .expect("a log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log).process_group(0);
        let server = command.spawn().expect("postgres starts");
        let watcher = watch(server.id(), &self.directory).expect("a watcher starts");
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Running { server, _watcher: watcher });
        let until = Instant::now() + Duration::from_secs(60);
        while self.try_psql("postgres", "SELECT 1").is_err() {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "the server did not come up:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a new, empty database.
    pub fn database(&self) -> Database {
        let name = format!("t{}", NAMES.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        Database { name, port: self.port, socket: self.socket(), psql: self.binaries.join("psql") }
    }

    /// Makes a new database that equals another one, which must have no connections.
    pub fn copy(&self, of: &str) -> Database {
        let copy = self.database();
        self.psql("postgres", &format!("DROP DATABASE {0}", copy.name));
        self.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE {of}", copy.name));
        copy
    }

    /// Returns the output of psql for some statements, without decoration.
    ///
    /// # Panics
    /// Panics when one of them fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|fault| panic!("{sql}\n{fault}"))
    }

    fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        psql(&self.binaries.join("psql"), &self.socket(), self.port, database, sql)
    }

    /// Kills every process of the server at once, as a power cut would; the data remain.
    pub fn kill(&self) {
        let Some(running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let Running { mut server, .. } = running;
        let pid = server.id();
        signal("STOP", pid); // so that it starts no more of them
        for child in children(pid) {
            signal("KILL", child);
        }
        signal("KILL", pid);
        let _ = server.wait();
        // A power cut also removes its shared memory, and its claim on the data.
        let lock = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&lock).unwrap_or_default();
        if let Some(id) = text.lines().nth(6).and_then(|l| l.split_whitespace().nth(1)) {
            let _ = Command::new("ipcrm").args(["-m", id]).output();
        }
        let _ = fs::remove_file(lock);
        for entry in fs::read_dir(self.socket()).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }

    /// Restarts it after [`Server::kill`] or [`Server::stop`].
    pub fn restart(&self) {
        self.kill();
        self.launch();
    }

    /// Stops it in an orderly way; the data remain.
    pub fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { mut server, .. }) = running {
            signal("INT", server.id());
            let _ = server.wait();
        }
    }

    /// Ends the sessions of all others in a database.
    pub fn drop_connections(&self, database: &str) {
        self.psql(
            "postgres",
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            ),
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Database {
    /// Returns its URL on the server's socket, where no password is required.
    pub fn url(&self) -> String {
        let host = self.socket.display().to_string().replace('/', "%2F");
        format!("postgres://{SUPERUSER}@{host}:{}/{}", self.port, self.name)
    }

    /// Returns its URL on TCP, where the password is required.
    pub fn tcp_url(&self) -> String {
        format!("postgres://{SUPERUSER}@localhost:{}/{}", self.port, self.name)
    }

    /// Returns the output of psql for some statements, or its message when one of them fails.
    ///
    /// # Errors
    /// The message of psql.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        psql(&self.psql, &self.socket, self.port, &self.name, sql)
    }

    /// Returns the output of psql for some statements, without decoration.
    ///
    /// # Panics
    /// Panics when one of them fails.
    pub fn psql(&self, sql: &str) -> String {
        psql(&self.psql, &self.socket, self.port, &self.name, sql)
            .unwrap_or_else(|fault| panic!("{sql}\n{fault}"))
    }
}

fn psql(
    program: &Path,
    socket: &Path,
    port: u16,
    database: &str,
    sql: &str,
) -> Result<String, String> {
    let out = Command::new(program)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .arg("-h")
        .arg(socket)
        .args(["-p", &port.to_string(), "-U", SUPERUSER, "-d", database])
        .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .output()
        .map_err(|e| e.to_string())?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// Starts a process that waits until this one has ended and then stops the server and removes its directory.
fn watch(server: u32, directory: &Path) -> io::Result<ChildStdin> {
    let script = "cat >/dev/null; kill -QUIT $1 2>/dev/null || exit 0; sleep 0.5; kill -KILL -$1 2>/dev/null; rm -rf -- \"$2\"";
    let mut watcher = Command::new("sh")
        .args(["-c", script, "watcher", &server.to_string()])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(watcher.stdin.take().expect("its input is a pipe"))
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).output();
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn check_success(output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Returns the directory of initdb and postgres, 15 or later.
fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::env::var_os("PG_BINDIR").map(PathBuf::from).into_iter().collect();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr"] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let mut dirs: Vec<PathBuf> = entries
            .map(|e| e.path().join("bin"))
            .filter(|bin| bin.display().to_string().contains("p") && bin.join("initdb").exists())
            .collect();
        dirs.sort();
        found.extend(dirs.into_iter().rev());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        .filter_map(|dir| fs::canonicalize(dir.join("initdb")).ok()?.parent().map(Path::to_owned));
    found.extend(in_path);
    found.into_iter().find(|dir| {
        let output = Command::new(dir.join("postgres")).arg("--version").output();
        let output = output.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
        let version = output.unwrap_or_default();
        let version = version.split_whitespace().nth(2).and_then(|v| v.split('.').next());
        let is_new = version.and_then(|v| v.parse::<u32>().ok()).is_some_and(|v| v >= 15);
        is_new && ["initdb", "postgres", "psql"].iter().all(|p| dir.join(p).exists())
    })
}

/// Returns user and group that the server runs as, when we are root.
fn server_user() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| {
        use std::os::unix::fs::MetadataExt;
        m.uid() == 0
    });
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|l| l.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

fn random_password() -> String {
    let mut bytes = [0; 12];
    let mut source = fs::File::open("/dev/urandom").expect("random numbers");
    io::Read::read_exact(&mut source, &mut bytes).expect("random numbers");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_rows_survive_a_kill_and_nothing_is_left() {
        let Some(server) = Server::start(&Options { tls: true, ..Options::default() }) else {
            return;
        };
        let database = server.database();
        database.psql("CREATE TABLE t (x int); INSERT INTO t VALUES (1)");
        server.kill();
        server.restart();
        assert_eq!(database.psql("SELECT x FROM t"), "1");
        assert!(server.authority().is_file());
        let (directory, pid) = {
            let running = server.running.lock().unwrap();
            (server.directory.clone(), running.as_ref().unwrap().server.id())
        };
        drop(server);
        assert!(!directory.exists());
        assert!(!Path::new(&format!("/proc/{pid}/data")).exists());
    }
}
