//! Throw-away sshd servers for tests: each with processes of its own like a separate computer, all on loopback.

use crate::{is_root, skipped};
use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Servers h1, h2 …, which end when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Servers {
    directory: TempDir,
    ports: Vec<u16>,
    running: Mutex<Vec<Option<Child>>>,
}

impl Servers {
    /// Starts some servers. `None` where sshd is not installed or the test does not run as root.
    ///
    /// # Panics
    /// Panics when a server does not start.
    pub fn start(count: usize) -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").is_file() || !is_root() {
            skipped("sshd is not installed, or this is not root");
            return None;
        }
        let directory = tempfile::tempdir().ok()?;
        // Directory that confines sshd's unprivileged part; Debian's service makes it too.
        let _ = std::fs::create_dir_all("/run/sshd");
        for key in ["host_key", "client_key"] {
            let path = directory.path().join(key);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path)
                .status();
            assert!(made.is_ok_and(|s| s.success()), "ssh-keygen");
        }
        let servers = Self { ports: free_ports(count), directory, running: Mutex::default() };
        servers.write_client_configuration();
        for number in 0..count {
            let child = servers.launch(number);
            servers.running.lock().expect("no panic").push(Some(child));
        }
        Some(servers)
    }

    /// Returns the port of a server, counted from 1.
    pub fn port(&self, number: usize) -> u16 {
        self.ports[number - 1]
    }

    /// Returns the names of the servers, as ssh accepts them with [`Servers::configuration`].
    pub fn names(&self) -> Vec<String> {
        (1..=self.ports.len()).map(|n| format!("h{n}")).collect()
    }

    /// Returns the client's configuration: `ssh -F`.
    pub fn configuration(&self) -> PathBuf {
        self.path("ssh_config")
    }

    /// Ends a server and every process that was started through it, as a power cut would. Counted from 1.
    ///
    /// # Panics
    /// Panics when it does not run.
    pub fn kill(&self, number: usize) {
        let child = self.running.lock().expect("no panic")[number - 1].take();
        let mut child = child.expect("sshd runs");
        child.kill().expect("sshd lives");
        child.wait().expect("sshd ends");
    }

    /// Restarts a server that was killed.
    ///
    /// # Panics
    /// Panics when it does not start.
    pub fn restart(&self, number: usize) {
        let child = self.launch(number - 1);
        self.running.lock().expect("no panic")[number - 1] = Some(child);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write_client_configuration(&self) {
        let read = |name: &str| std::fs::read_to_string(self.path(name)).expect("a key");
        std::fs::write(self.path("authorized_keys"), read("client_key.pub")).expect("written");
        let host_key = read("host_key.pub");
        let (mut known, mut text) = (String::new(), String::new());
        for (name, port) in self.names().iter().zip(&self.ports) {
            let _ = writeln!(known, "[127.0.0.1]:{port} {host_key}");
            let _ = write!(
                text,
                "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
                 IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  LogLevel ERROR\n",
                self.path("client_key").display(),
                self.path("known_hosts").display()
            );
        }
        std::fs::write(self.path("known_hosts"), known).expect("written");
        std::fs::write(self.configuration(), text).expect("written");
    }

    fn launch(&self, number: usize) -> Child {
        let port = self.ports[number];
        // SHLVL: bash run by sshd reads .bashrc unless SHLVL shows that it is not the first shell.
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\n\
             PrintMotd no\nPrintLastLog no\nMaxStartups 200:30:400\nMaxSessions 100\nSetEnv SHLVL=1\n\
             Subsystem sftp internal-sftp\n",
            self.path("host_key").display(),
            self.path("authorized_keys").display()
        );
        let configuration = self.path(&format!("sshd_config_{number}"));
        std::fs::write(&configuration, text).expect("written");
        let log = std::fs::File::create(self.path(&format!("log_{number}"))).expect("a log");
        // In separate namespaces no process outlives it; it ends with this process.
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--uts",
            ])
            .args([
                "bash",
                "-c",
                "hostname \"$1\"; /usr/sbin/sshd -D -e -f \"$2\" & wait $!",
                "sshd",
            ])
            .arg(format!("h{}", number + 1))
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv");
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "sshd {number} does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

fn free_ports(count: usize) -> Vec<u16> {
    let sockets: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    sockets.iter().map(|s| s.local_addr().expect("its address").port()).collect()
}

impl Drop for Servers {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for child in running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
