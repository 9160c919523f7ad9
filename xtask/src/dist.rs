//! The prebuilt distribution for Linux on x86-64: a tar file and a Debian package of the same files.
//!
//! The binaries are linked against glibc 2.17 (2012) by zig's linker, so that they run on every distribution in use; a
//! statically linked musl would be slower, for its allocator. Layout: `bin/`, `share/man/man1/`, completions where the shells
//! look for them, `lib/systemd/system/`, `share/doc/almagest/`. Start at [`make`].

use crate::outfit::{environment, on_path};
use crate::{root, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The glibc that is linked against: the oldest one that Rust's standard library supports.
const GLIBC: (u32, u32) = (2, 17);
/// The tools, from the Python package index: the linker is inside the package `ziglang`.
const TOOLS: &str = "cargo-zigbuild==0.24.1\nziglang==0.17.1\n";
const PROGRAMS: [&str; 2] = ["almagest", "almagest-node"];
/// (name for `almagest completions`, directory and name of the script below the prefix).
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/almagest"),
    ("fish", "share/fish/vendor_completions.d/almagest.fish"),
    ("zsh", "share/zsh/site-functions/_almagest"),
];
const DOCUMENTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE-APACHE", "LICENSE-MIT"];
const UNITS: [&str; 2] = ["almagest.service", "almagest@.service"];

/// Builds the binaries and packs them into `target/dist/`.
pub fn make() -> Result<(), String> {
    let programs = build()?;
    let dist = target().join("dist");
    let name = format!("almagest-{VERSION}-x86_64-linux");
    let tree = dist.join(&name);
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|e| format!("{}: {e}", dist.display()))?;
    }
    lay_out(&tree, &programs)?;
    let tar = dist.join(format!("{name}.tar.gz"));
    pack(&dist, &name, &tar)?;
    let mut made = vec![tar];
    if on_path("dpkg-deb") {
        made.push(debian(&dist, &tree)?);
    } else {
        println!("no Debian package: dpkg-deb is not installed");
    }
    for file in made {
        let bytes = fs::metadata(&file).map_err(|e| format!("{}: {e}", file.display()))?.len();
        let name = file.file_name().unwrap_or_default();
        let sum = run(Command::new("sha256sum").arg(name).current_dir(&dist))?;
        let beside = format!("{}.sha256", file.display());
        fs::write(&beside, &sum).map_err(|e| format!("{beside}: {e}"))?;
        println!("{} {:.1} MB", file.display(), bytes as f64 / 1e6);
    }
    Ok(())
}

/// Builds the programs, and checks that they need no newer glibc than [`GLIBC`].
fn build() -> Result<Vec<PathBuf>, String> {
    let python = environment("dist-tools", TOOLS, "import ziglang")?;
    let tools = python.parent().unwrap_or(Path::new("")).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(tools.clone()).chain(std::env::split_paths(&path)))
            .map_err(|e| e.to_string())?;
    let (major, minor) = GLIBC;
    let built = Command::new(tools.join("cargo-zigbuild"))
        .current_dir(root())
        .args(["zigbuild", "--release", "--locked", "--bins"])
        .args(["-p", "almagest", "-p", "node"])
        .args(["--target", &format!("{TRIPLE}.{major}.{minor}")])
        .env("PATH", path)
        .status()
        .map_err(|e| format!("cargo zigbuild: {e}"))?;
    if !built.success() {
        return Err("cargo zigbuild failed".to_owned());
    }
    let programs = PROGRAMS.map(|program| target().join(TRIPLE).join("release").join(program));
    for program in &programs {
        let bytes = fs::read(program).map_err(|e| format!("{}: {e}", program.display()))?;
        let newest = newest_glibc(&bytes);
        if newest.is_none_or(|newest| newest > GLIBC) {
            return Err(format!(
                "{} needs glibc {newest:?}, and {GLIBC:?} is promised",
                program.display()
            ));
        }
    }
    Ok(programs.into())
}

/// Returns the newest version of glibc whose symbols a binary needs; `None` for a binary that needs none.
fn newest_glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    let mut newest = None;
    for (at, _) in bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK) {
        let rest = bytes.get(at + MARK.len()..).unwrap_or_default();
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(0);
        let words = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut numbers = words.split('.').map_while(|word| word.parse::<u32>().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) {
            newest = newest.max(Some((major, minor)));
        }
    }
    newest
}

/// Puts programs, manual pages, completions, units and documents in their places below a prefix.
fn lay_out(tree: &Path, programs: &[PathBuf]) -> Result<(), String> {
    for program in programs {
        let name = program.file_name().unwrap_or_default();
        copy(program, &tree.join("bin").join(name))?;
    }
    let almagest = tree.join("bin/almagest");
    run(Command::new(&almagest).arg("man").arg(tree.join("share/man/man1")))?;
    for (shell, path) in COMPLETIONS {
        let script = run(Command::new(&almagest).args(["completions", shell]))?;
        write(&tree.join(path), script.as_bytes())?;
    }
    for unit in UNITS {
        let path = root().join("dist/systemd").join(unit);
        copy(&path, &tree.join("lib/systemd/system").join(unit))?;
    }
    for document in DOCUMENTS {
        copy(&root().join(document), &tree.join("share/doc/almagest").join(document))?;
    }
    Ok(())
}

/// Packs a directory. The same files give the same bytes: sorted, without owners, dated as the last commit.
fn pack(dist: &Path, name: &str, tar: &Path) -> Result<(), String> {
    run(Command::new("tar")
        .current_dir(dist)
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"])
        .arg(format!("--mtime=@{}", commit_time()?))
        .args(["--use-compress-program=gzip -9n", "-cf"])
        .arg(tar)
        .arg(name))?;
    Ok(())
}

/// Returns the time of the last commit, in seconds since 1970.
fn commit_time() -> Result<String, String> {
    let words = ["log", "-1", "--format=%ct"];
    Ok(run(Command::new("git").current_dir(root()).args(words))?.trim().to_owned())
}

/// Makes a Debian package of the files, below `/usr`.
fn debian(dist: &Path, tree: &Path) -> Result<PathBuf, String> {
    let staging = dist.join("deb");
    let usr = staging.join("usr");
    fs::create_dir_all(&staging).map_err(|e| format!("{}: {e}", staging.display()))?;
    run(Command::new("cp").arg("-a").arg(tree).arg(&usr))?;
    for unit in UNITS {
        let path = usr.join("lib/systemd/system").join(unit);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        write(&path, text.replace("/usr/local/bin/", "/usr/bin/").as_bytes())?;
    }
    let zsh = usr.join("share/zsh/vendor-completions");
    fs::rename(usr.join("share/zsh/site-functions"), &zsh).map_err(|e| e.to_string())?;
    let size = run(Command::new("du").args(["-sk", "--apparent-size"]).arg(&usr))?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let (major, minor) = GLIBC;
    let control = format!(
        "Package: almagest\n\
         Version: {VERSION}-1\n\
         Architecture: amd64\n\
         Maintainer: The Almagest authors <almagest@example.org>\n\
         Installed-Size: {size}\n\
         Depends: libc6 (>= {major}.{minor})\n\
         Recommends: openssh-client\n\
         Suggests: postgresql-client, slurm-client\n\
         Section: science\n\
         Priority: optional\n\
         Homepage: https://example.org/almagest\n\
         Description: survey-archive curation\n \
         Takes the pipeline products of an astronomical survey camera (FITS images and\n \
         catalogues) into an archive: transfer, previews, metadata and detections, on\n \
         an embedded database or PostgreSQL, on one computer or Slurm.\n"
    );
    write(&staging.join("DEBIAN/control"), control.as_bytes())?;
    let package = dist.join(format!("almagest_{VERSION}-1_amd64.deb"));
    run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&staging))?;
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", commit_time()?)
        .args(["--root-owner-group", "--build"])
        .arg(&staging)
        .arg(&package))?;
    fs::remove_dir_all(&staging).map_err(|e| format!("{}: {e}", staging.display()))?;
    Ok(package)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let parent = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let parent = to.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent)
        .and_then(|()| fs::copy(from, to))
        .map(drop)
        .map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}

/// Runs a command, and returns what it wrote to its standard output.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|e| format!("{program}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{program} failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{program}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::newest_glibc;

    #[test]
    fn versions_of_glibc_are_compared_as_numbers() {
        let names = b"\0GLIBC_2.2.5\0GLIBC_2.17\0GLIBC_2.9\0GLIBC_PRIVATE\0GLIBC_";
        assert_eq!(newest_glibc(names), Some((2, 17)));
        assert_eq!(newest_glibc(b"\0ld-musl\0"), None);
    }
}
