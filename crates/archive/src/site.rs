//! A site on disk: its directories and files, the check that the disk is suitable for it, and the faults of a site without archive.

use crate::error::{ArchiveError, ArchiveFault, in_words};
use crate::unfinished;
use engine::{Address, Database, EngineError};
use lake::LakeTable;
use model::{Advice, UseCase};
use rusqlite::OpenFlags;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directories of a site. Made by [`Site::create`], found by [`Site::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    root: PathBuf,
    store: Database,
    connections: usize,
    products: &'static [UseCase],
    lake_tables: &'static [LakeTable],
}

/// A text file to be copied into a new site.
#[derive(Clone, Copy, Debug)]
pub struct SiteFile<'a> {
    /// Path below the site, e.g. `surveys/wfcam.toml`.
    pub path: &'a str,
    /// Its content.
    pub text: &'a str,
}

const DIRECTORIES: [&str; 6] =
    ["library", "previews", "staging", "lake/detection", "logs", "surveys"];

impl Site {
    /// Opens the site at a directory that has an embedded archive.
    ///
    /// # Errors
    /// [`ArchiveFault::NoSite`].
    pub fn open(root: &Path) -> Result<Self, ArchiveError> {
        Self::open_on(root, &Database::default())
    }

    /// Opens the site at a directory, whose archive is at the place that its configuration names.
    ///
    /// # Errors
    /// [`ArchiveFault::NoSite`] when the archive is embedded and does not exist.
    pub fn open_on(root: &Path, store: &Database) -> Result<Self, ArchiveError> {
        let site = Self::at(root)?.on(store.clone());
        if !site.lacks_database() {
            return Ok(site);
        }
        let fault = absent(&site);
        Err(ArchiveError { act: "open the site".to_owned(), fault })
    }

    /// Creates a new site: its directories and the given files. The archive itself is created by [`crate::Archive::create`].
    /// Existing files stay unchanged.
    ///
    /// # Errors
    /// Returns an error when the disk is a network disk, or a directory or file cannot be created.
    pub fn create(root: &Path, texts: &[SiteFile<'_>]) -> Result<Self, ArchiveError> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| ArchiveError {
                act: "lay out the site".to_owned(),
                fault: ArchiveFault::Io { path, source },
            }
        };
        files::create_dir(root).map_err(fault(root))?;
        let site = Self::at(root)?;
        for directory in DIRECTORIES {
            let path = site.root.join(directory);
            files::create_dir(&path).map_err(fault(&path))?;
        }
        for text in texts {
            let path = site.root.join(text.path);
            if path.exists() {
                continue;
            }
            files::publish_bytes(&path, text.text.as_bytes())
                .map_err(|f| fault(&path)(f.source))?;
        }
        Ok(site)
    }

    /// Returns the site at a directory that need not hold an archive yet.
    ///
    /// # Errors
    /// Returns an error when there is no working directory to start from.
    pub fn at(root: &Path) -> Result<Self, ArchiveError> {
        let root = std::path::absolute(root).map_err(|source| ArchiveError {
            act: "find the site".to_owned(),
            fault: ArchiveFault::Io { path: root.to_owned(), source },
        })?;
        let (store, products) = (Database::default(), UseCase::ALL);
        Ok(Self { root, store, connections: 2, products, lake_tables: lake::tables() })
    }

    /// Returns the same site with its archive in another database.
    pub fn on(mut self, store: Database) -> Self {
        self.store = store;
        self
    }

    /// Returns the same site with another number of connections that load at the same time.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Returns the same site with other products. The CHECK lists of an archive that is created there allow these.
    pub fn with_products(mut self, products: &'static [UseCase]) -> Self {
        self.products = products;
        self
    }

    /// Returns the products of the site.
    pub fn products(&self) -> &'static [UseCase] {
        self.products
    }

    /// Returns the same site with other lake tables than those that `model::tables` defines.
    pub fn with_lake_tables(mut self, lake_tables: &'static [LakeTable]) -> Self {
        self.lake_tables = lake_tables;
        self
    }

    /// Returns the lake tables of the site.
    pub fn lake_tables(&self) -> &'static [LakeTable] {
        self.lake_tables
    }

    /// Returns the number of connections that load at the same time.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Returns true when the archive is in the site itself, and not on a server.
    pub fn is_embedded(&self) -> bool {
        self.store.url.is_none()
    }

    /// Returns true when the archive is embedded and its database does not exist.
    pub fn lacks_database(&self) -> bool {
        self.is_embedded() && !self.database().is_file()
    }

    /// Returns the server's database, when there is one.
    ///
    /// # Errors
    /// [`EngineError`] for an address that cannot be read.
    pub fn address(&self) -> Result<Option<Address>, EngineError> {
        if self.is_embedded() {
            return Ok(None);
        }
        let mut store = self.store.clone();
        store.password_file = store.password_file.map(|path| self.root.join(path));
        Address::of(&store).map(Some)
    }

    /// Returns the server's database under the login of queries, when there is one.
    ///
    /// # Errors
    /// [`EngineError`] for an address that cannot be read.
    pub fn query_address(&self) -> Result<Option<Address>, EngineError> {
        if self.is_embedded() {
            return Ok(None);
        }
        let mut store = self.store.clone();
        store.password_file = store.password_file.map(|path| self.root.join(path));
        store.query_password_file = store.query_password_file.map(|path| self.root.join(path));
        Address::of_queries(&store).map(Some)
    }

    /// Returns the place of the archive, in words.
    pub fn location(&self) -> String {
        self.store.url.clone().unwrap_or_else(|| self.database().display().to_string())
    }

    /// Returns the fault of a server's database that holds no archive.
    pub(crate) fn without_archive(&self) -> ArchiveFault {
        let create = self.store.url.clone().map(|database| {
            Box::new(Advice::InitDatabase {
                site: self.root.display().to_string(),
                database,
                password_file: in_words(self.store.password_file.as_deref()),
            })
        });
        ArchiveFault::NoArchive { location: self.location(), create }
    }

    /// Returns the database that the configuration names.
    pub fn store(&self) -> &Database {
        &self.store
    }

    /// Returns the site's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("almagest.toml")
    }

    /// Returns the directory of survey profiles.
    pub fn surveys(&self) -> PathBuf {
        self.root.join("surveys")
    }

    /// Returns the directory of delivered files.
    pub fn library(&self) -> PathBuf {
        self.root.join("library")
    }

    /// Returns the directory of JPEG previews.
    pub fn previews(&self) -> PathBuf {
        self.root.join("previews")
    }

    /// Returns the directory of work in progress and finished batches.
    pub fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Returns the directory of published detections.
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    /// Returns the directory of logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Returns the path of the database file.
    pub fn database(&self) -> PathBuf {
        self.root.join("archive.db")
    }

    /// Returns the path of a library file, from the path that the archive stores.
    pub fn library_file(&self, stored: &str) -> PathBuf {
        self.library().join(stored) // an absolute stored path replaces the library
    }

    /// Returns the path that the archive stores for a library file: relative to `library/`, else absolute.
    pub fn stored_path(&self, file: &Path) -> PathBuf {
        file.strip_prefix(self.library()).unwrap_or(file).to_owned()
    }

    /// Refuses a disk on which SQLite's locks do not work.
    ///
    /// # Errors
    /// [`ArchiveFault::NetworkDisk`], or the system's error.
    pub fn check_disk(&self) -> Result<(), ArchiveError> {
        let during = |fault| ArchiveError { act: "use the disk of the site".to_owned(), fault };
        match network_disk(&self.root) {
            Ok(None) => Ok(()),
            Ok(Some(kind)) => {
                Err(during(ArchiveFault::NetworkDisk { path: self.root.clone(), kind }))
            }
            Err(source) => Err(during(ArchiveFault::Io { path: self.root.clone(), source })),
        }
    }

    /// Returns the faults of the site's directories and files: one sentence each, empty when there are none.
    pub fn examine(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.is_embedded()
            && let Err(error) = self.check_disk()
        {
            faults.push(model::one_line(&error));
        }
        for directory in DIRECTORIES {
            let path = self.root.join(directory);
            if !path.is_dir() {
                faults.push(format!("directory {} is missing: create it", path.display()));
            }
        }
        let suffixes: &[&str] = if self.is_embedded() { &["", "-wal", "-shm"] } else { &[] };
        for suffix in suffixes {
            let path = self.root.join(format!("archive.db{suffix}"));
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.permissions().mode() & 0o040 == 0 => faults.push(format!(
                    "{} is not readable by its group, which cannot attach then; chmod g+r",
                    path.display()
                )),
                Ok(_) => {}
                // The next process that opens the database creates the files of its log.
                Err(fault) if !suffix.is_empty() && fault.kind() == io::ErrorKind::NotFound => {}
                Err(_) => faults.push(format!("{} is missing or unreadable", path.display())),
            }
        }
        faults
    }
}

/// Returns the fault of a site without archive.db: the archive may have moved since the configuration was read.
pub(crate) fn absent(site: &Site) -> ArchiveFault {
    if let Some(interrupted) = unfinished::interrupted(site.root()) {
        return interrupted;
    }
    let before = site.root().join(unfinished::MIGRATED);
    let open = |path| rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    match before.is_file().then(|| open(&before)) {
        Some(Ok(c)) => match engine::relocation::check(&c) {
            Err(moved) if moved.is_moved() => moved.into(),
            _ => ArchiveFault::NoSite(site.root().to_owned()),
        },
        _ => ArchiveFault::NoSite(site.root().to_owned()),
    }
}

/// Lets the group read a file, if this process's user owns it.
pub(crate) fn let_group_read(path: &Path) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    if permissions.mode() & 0o040 == 0 {
        permissions.set_mode(permissions.mode() | 0o040);
        std::fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

/// Returns the kind of network file system that holds a path; `None` when it is none.
fn network_disk(path: &Path) -> io::Result<Option<&'static str>> {
    let magic = rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff;
    if let Some(kind) = network_magic(magic) {
        return Ok(Some(kind));
    }
    const FUSE: u64 = 0x6573_5546;
    if magic == FUSE {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        return Ok(network_mount(&mounts, &path.canonicalize()?));
    }
    Ok(None)
}

/// Returns the kind of a file system that other machines write to as well, from its number in statfs(2).
fn network_magic(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x00c3_6400 => "CephFS",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x0102_1997 => "9p",
        0xaad7_aaea => "PanFS",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

/// Returns the kind of a FUSE file system from its type in the mount table. The longest mount point that contains the path
/// counts.
fn network_mount(mountinfo: &str, path: &Path) -> Option<&'static str> {
    const NETWORK: [(&str, &str); 7] = [
        ("fuse.sshfs", "sshfs"),
        ("fuse.glusterfs", "GlusterFS"),
        ("fuse.ceph", "CephFS"),
        ("fuse.rclone", "rclone"),
        ("fuse.s3fs", "s3fs"),
        ("fuse.davfs", "WebDAV"),
        ("fuse.moosefs", "MooseFS"),
    ];
    let mount = mountinfo
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            Some((before.split(' ').nth(4)?, after.split(' ').next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())?;
    NETWORK.iter().find(|(kind, _)| mount.1.starts_with(kind)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_disks_are_known_by_number_and_mount() {
        assert_eq!(network_magic(0x6969), Some("NFS"));
        assert_eq!(network_magic(0xef53), None, "ext4");
        let mounts = "22 1 8:1 / / rw - ext4 /dev/vda rw\n\
                      40 22 0:50 / /data rw - fuse.sshfs me@far: rw\n\
                      41 40 0:51 / /data/usb rw - fuseblk /dev/sdb rw\n";
        assert_eq!(network_mount(mounts, Path::new("/data/site")), Some("sshfs"));
        assert_eq!(network_mount(mounts, Path::new("/data/usb/site")), None);
        assert_eq!(network_mount(mounts, Path::new("/home")), None);
    }

    #[test]
    fn a_site_is_laid_out_once_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("site");
        let text = SiteFile { path: "surveys/x.toml", text: "a" };
        let site = Site::create(&root, &[text]).unwrap();
        std::fs::write(site.surveys().join("x.toml"), "edited").unwrap();
        Site::create(&root, &[text]).unwrap();
        assert_eq!(std::fs::read_to_string(site.surveys().join("x.toml")).unwrap(), "edited");
        assert!(matches!(Site::open(&root).unwrap_err().fault, ArchiveFault::NoSite(_)));
        assert_eq!(site.library_file("n/a.fit"), site.root().join("library/n/a.fit"));
        assert_eq!(site.library_file("/far/a.fit"), Path::new("/far/a.fit"));
        assert_eq!(site.stored_path(&site.library().join("n/a.fit")), Path::new("n/a.fit"));
    }
}
