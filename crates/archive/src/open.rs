//! Creating, opening and examining archives: what the handles of [`crate::handle`] need of the concepts.
//!
//! Opening checks the site and the history of its schema. Opening for writing also upgrades the schema and the roles of a server,
//! and finishes what killed processes left: files to delete and loads that were abandoned.
//!
//! Start at [`Reader::open`], [`Archive::create`] and [`Archive::open`].

use crate::error::{ArchiveError, ArchiveFault};
use crate::handle::{Access, Archive, Reader, Rehearsal, at_work, connect, connect_noting};
use crate::retraction::deletions;
use crate::site::{self, Site};
use crate::{Timestamp, migrations, partitions, roles, unfinished};
use engine::Dialect;

/// Returns the command that updates the rights of a site's roles.
fn roles_of(site: &Site) -> String {
    format!("`{}`", model::Advice::InitRoles { site: site.root().display().to_string() })
}

impl Reader {
    /// Opens the archive of a site for reading.
    ///
    /// # Errors
    /// Returns an error when there is no archive, it is newer than the program, or its server is unsuitable.
    pub fn open(site: &Site) -> Result<Self, ArchiveError> {
        Self::connected(site, Access::Read)
    }

    /// Connects to an archive that exists and that this program can read.
    fn connected(site: &Site, access: Access) -> Result<Self, ArchiveError> {
        let fault = |fault| ArchiveError { act: "open the archive".to_owned(), fault };
        if site.lacks_database() {
            return Err(fault(site::absent(site)));
        }
        if site.is_embedded() && access != Access::Read {
            site.check_disk()?;
        }
        let (connection, note) = connect_noting(site, access).map_err(fault)?;
        let found = migrations::migration_number(&connection).map_err(fault)?;
        if found == 0 && !site.is_embedded() {
            let interrupted = unfinished::interrupted(site.root());
            return Err(fault(interrupted.unwrap_or_else(|| site.without_archive())));
        }
        Ok(Self { connection, site: site.clone(), note })
    }

    /// Returns the facts about the database, and its faults: one sentence each.
    ///
    /// # Errors
    /// Returns an error when the database cannot be read.
    pub fn examine(&self) -> Result<(Vec<String>, Vec<String>), ArchiveError> {
        self.read("examine the database", |c| match c.dialect() {
            Dialect::Sqlite => Ok((Vec::new(), Vec::new())),
            Dialect::Postgres => {
                let (mut facts, mut faults) = partitions::examine(c, self.site.lake_tables())?;
                let (user, may_write): (String, bool) = c.query_row(
                    "SELECT current_user::text, has_table_privilege('unit', 'INSERT, UPDATE, DELETE')",
                    [],
                    |r| Ok((r.get(0)?, r.get(1)?)),
                )?;
                match may_write {
                    true => facts.push(format!("{user} may write to the database")),
                    false => faults.push(format!(
                        "{user} cannot write to the database: commands that change the archive fail for this login"
                    )),
                }
                let unreadable = roles::unreadable(c, self.site.lake_tables())?;
                if !unreadable.is_empty() {
                    let roles = roles_of(&self.site);
                    faults.push(format!("readers cannot read {}: {roles}", unreadable.join(", ")));
                }
                Ok((facts, faults))
            }
        })
    }
}

impl Archive {
    /// Creates the archive of a new site.
    ///
    /// # Errors
    /// Returns an error when the site has an archive already, its disk is unsuitable, or its server cannot be reached.
    pub fn create(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        Ok(Self { _at_work: Some(lock), ..Self::create_alone(site, now)? })
    }

    /// Creates the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::create`].
    pub fn create_alone(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let exists = || ArchiveError {
            act: "create an archive".to_owned(),
            fault: ArchiveFault::SiteExists(site.root().to_owned()),
        };
        if site.is_embedded() {
            if site.database().exists() {
                return Err(exists());
            }
            site.check_disk()?;
        }
        let connection =
            connect(site, Access::Create).map_err(ArchiveError::during("create an archive"))?;
        if !site.is_embedded() {
            let found = migrations::migration_number(&connection)
                .map_err(ArchiveError::during("create an archive"))?;
            if found > 0 {
                return Err(ArchiveError {
                    act: "create an archive".to_owned(),
                    fault: ArchiveFault::Conflict(format!(
                        "{} holds an archive already",
                        site.location()
                    )),
                });
            }
        }
        let reader = Reader { connection, site: site.clone(), note: None };
        Ok(Self::of(reader).brought_up(now)?.without_remains())
    }

    /// Opens the archive of a site for writing. New migrations and columns are applied first, and a moved lake is recorded.
    ///
    /// # Errors
    /// Returns an error when there is no archive, it is newer than the program, or its disk or server is unsuitable.
    pub fn open(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        Ok(Self { _at_work: Some(lock), ..Self::open_alone(site, now)? })
    }

    /// Opens the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_alone(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        Ok(Self::connected(site)?.brought_up(now)?.without_remains())
    }

    /// Opens the archive for a rehearsal: as [`Archive::open`], and every write is rolled back after it has answered as it would,
    /// so that a command shows what it would do. Only for acts that change nothing but the database and the lake, whose new
    /// files are removed again. Remains of killed processes stay, and nothing is upgraded: each write begins with the upgrade.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_rehearsal(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        let mut archive = Self::connected(site)?.prepared()?;
        let fault = ArchiveError::during("open the archive");
        let found = migrations::migration_number(&archive.connection).map_err(fault)?;
        archive.reader.note = migrations::would_upgrade(found).or(archive.reader.note);
        let rehearsal = Rehearsal { now, upgrade: migrations::bring_up };
        Ok(Self { _at_work: Some(lock), rehearsal: Some(rehearsal), ..archive })
    }

    fn connected(site: &Site) -> Result<Self, ArchiveError> {
        Reader::connected(site, Access::Write).map(Self::of)
    }

    fn prepared(self) -> Result<Self, ArchiveError> {
        if let Some(sqlite) = self.connection.sqlite() {
            let prepare = || -> Result<(), ArchiveFault> {
                // With a limit, the last connection leaves the -wal empty; without, the next one reads megabytes that are in the
                // database already.
                sqlite.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\
                     PRAGMA journal_size_limit = 4194304;",
                )?;
                lake::keep_wal_files(sqlite)?;
                Ok(())
            };
            prepare().map_err(ArchiveError::during("prepare the archive"))?;
        }
        Ok(self)
    }

    fn brought_up(self, now: Timestamp) -> Result<Self, ArchiveError> {
        let mut archive = self.prepared()?;
        let site = archive.site.clone();
        let rights = archive
            .write("open", "upgrade the archive", |tx| migrations::bring_up(tx, &site, now))?;
        archive.reader.note = rights.map(|fault| {
            format!(
                "the rights of the database's roles are not up to date: {fault}: {}",
                roles_of(&site)
            )
        });
        if site.is_embedded() {
            for suffix in ["", "-wal", "-shm"] {
                let path = site.root().join(format!("archive.db{suffix}"));
                // `doctor` reports a group that cannot read, so the error does not stop the program.
                let _ = site::let_group_read(&path);
            }
        }
        Ok(archive)
    }

    /// Removes the remains of killed processes. The next process meets a failure here again, so the error does not stop the
    /// program.
    fn without_remains(mut self) -> Self {
        let _ = deletions::finish(&mut self);
        let _ = self.clear_abandoned();
        self
    }
}
