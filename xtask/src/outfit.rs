//! Prerequisites of the tests in addition to Rust: a Python environment with the checking tools, and Debian packages.

use crate::{root, target};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Debian packages used by the tests: (package, a program in it).
const PACKAGES: &[(&str, &str)] = &[
    ("sqlite3", "sqlite3"),
    ("postgresql", "initdb"),
    ("postgresql-client", "psql"),
    ("openssl", "openssl"),
    ("openssh-client", "ssh"),
    ("openssh-server", "sshd"),
    ("nginx-light", "nginx"),
    ("iproute2", "ip"),
    ("munge", "munged"),
    ("slurmctld", "slurmctld"),
    ("slurmd", "slurmd"),
    ("slurm-client", "sbatch"),
];

/// The available and the missing prerequisites.
#[derive(Default)]
pub struct Outfit {
    /// Interpreter with the packages of `xtask/requirements.txt`.
    pub python: Option<PathBuf>,
    /// An S3 server that keeps real files.
    pub s3s_fs: Option<PathBuf>,
    /// One line per missing prerequisite.
    pub missing: Vec<String>,
}

impl Outfit {
    /// Passes the available prerequisites to the tests that a command runs.
    pub fn lend(&self, command: &mut Command) {
        if let Some(python) = &self.python {
            command.env("ALMAGEST_PYTHON", python);
        }
        if let Some(program) = &self.s3s_fs {
            command.env("ALMAGEST_S3S_FS", program);
        }
    }
}

/// Sets up the prerequisites that do not exist yet. It never fails: missing ones are listed.
pub fn prepare() -> Outfit {
    let mut outfit = Outfit::default();
    for (package, program) in PACKAGES {
        if !on_path(program) && !install(package) {
            outfit.missing.push(format!("Debian package {package}"));
        }
    }
    match python() {
        Ok(python) => outfit.python = Some(python),
        Err(reason) => outfit.missing.push(format!("Python environment ({reason})")),
    }
    match s3s_fs() {
        Ok(program) => outfit.s3s_fs = Some(program),
        Err(reason) => outfit.missing.push(format!("s3s-fs ({reason})")),
    }
    outfit
}

/// Builds an S3 server that keeps real files and requires credentials; built once, next to the other build products.
fn s3s_fs() -> Result<PathBuf, String> {
    const VERSION: &str = "0.14.1";
    let home = target().join("tools");
    let program = home.join("bin/s3s-fs");
    let mark = home.join("s3s-fs.version");
    if program.is_file() && fs::read_to_string(&mark).is_ok_and(|have| have == VERSION) {
        return Ok(program);
    }
    eprintln!("xtask: building s3s-fs in {}", home.display());
    let words = [
        "install",
        "s3s-fs",
        "--version",
        VERSION,
        "--features",
        "binary",
        "--locked",
        "--force",
        "--root",
    ];
    // The lightest build, since it runs for seconds.
    let made = Command::new(env!("CARGO"))
        .args(words)
        .arg(&home)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|s| s.success()) {
        return Err("cargo install failed".to_owned());
    }
    fs::write(&mark, VERSION).map_err(|e| e.to_string())?;
    Ok(program)
}

/// Returns true when a program is installed.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian does not put the programs of a PostgreSQL server in the path.
    let servers = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let servers = servers.map(|version| version.path().join("bin"));
    // Nor are daemons in the path of ordinary users.
    let servers = servers.chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    std::env::split_paths(&path).chain(servers).any(|dir| dir.join(program).is_file())
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn install(package: &str) -> bool {
    if !on_path("apt-get") {
        return false;
    }
    eprintln!("xtask: installing {package}");
    let get = |words: &[&str]| {
        quiet(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(words))
    };
    let wanted = ["install", "-y", "--no-install-recommends", package];
    get(&wanted) || (get(&["update"]) && get(&wanted))
}

/// Makes the Python environment of the tests.
fn python() -> Result<PathBuf, String> {
    let list = root().join("xtask/requirements.txt");
    let wanted = fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    environment("python", &wanted, "import astropy, duckdb, moto")
}

/// Makes a Python environment in `target/NAME` with the packages of a list of requirements, again when the list changes, and
/// returns its interpreter, which can run the statement `probe`.
pub fn environment(name: &str, requirements: &str, probe: &str) -> Result<PathBuf, String> {
    let home = target().join(name);
    let interpreter = home.join("bin/python");
    let mark = home.join("requirements.installed");
    let works = || quiet(Command::new(&interpreter).args(["-c", probe]));
    if fs::read_to_string(&mark).is_ok_and(|have| have == requirements) && works() {
        return Ok(interpreter);
    }
    eprintln!("xtask: setting up the Python environment in {}", home.display());
    let _ = fs::remove_dir_all(&home);
    let make = || quiet(Command::new("python3").args(["-m", "venv"]).arg(&home));
    if !(make() || install("python3-venv") && make()) {
        return Err("python3 -m venv failed".to_owned());
    }
    let list = home.join("requirements.txt");
    fs::write(&list, requirements).map_err(|e| format!("{}: {e}", list.display()))?;
    let log = target().join(format!("{name}-install.log"));
    let out = fs::File::create(&log).map_err(|e| e.to_string())?;
    let pip = Command::new(&interpreter)
        .args(["-m", "pip", "install", "--disable-pip-version-check", "-r"])
        .arg(&list)
        .stderr(out.try_clone().map_err(|e| e.to_string())?)
        .stdout(out)
        .status();
    if !pip.is_ok_and(|s| s.success()) {
        return Err(format!("pip could not install the packages, see {}", log.display()));
    }
    fs::write(&mark, requirements).map_err(|e| e.to_string())?;
    Ok(interpreter)
}
