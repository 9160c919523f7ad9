//! `almagest restore`.

use super::backup::{copy_surveys, read, told};
use super::init;
use crate::exit::Exit;
use curate::advice;
use curate::config;
use curate::site::{Site, now};
use model::Advice;
use std::path::PathBuf;
use upkeep::backup::Restoration;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of a backup.
    #[arg(value_name = "DIR")]
    backup: PathBuf,
    /// Site to make, or one whose archive.db is lost.
    #[arg(value_name = "SITE")]
    site: PathBuf,
    /// Empty database for the backup of an archive on a server; see `init`.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// File of mode 0600 that holds the database's password.
    #[arg(long, value_name = "FILE", requires = "database")]
    password_file: Option<PathBuf>,
    /// Make the roles of the database afterwards, as `init --roles` does: a backup holds none, and `sql` needs them.
    #[arg(long, requires = "database")]
    roles: bool,
}

/// Makes a site from a backup, or restores the archive.db that a site lost.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let root = &arguments.site;
    let password_file = arguments.password_file.as_deref().map(std::path::absolute).transpose()?;
    let database =
        archive::Database { url: arguments.database.clone(), password_file, ..Default::default() };
    files::create_dir(root)?;
    let alone = upkeep::migrate::Alone::on(&archive::Site::at(root)?)?;
    let restoration = Restoration::begin(&arguments.backup, root, &database, arguments.roles)?;
    // The archive is restored last: a site without it is recognized as incomplete.
    copy_surveys(&arguments.backup, root)?;
    let config = read(&arguments.backup.join(config::FILE_NAME))?;
    // The restored archive may be at another place than the original.
    let config = config::moved_to(&config, &database);
    files::publish_bytes(&root.join(config::FILE_NAME), config.as_bytes())?;
    init::lay_out(root, &database)?;
    files::crash_point("restore:laid-out");
    let report = restoration.run(now())?;
    drop(alone);
    // The first process that writes corrects the lake's place in the database.
    let site = Site::find(Some(root.clone()))?;
    drop(site.write()?);
    if arguments.roles {
        init::roles(&site)?;
    }
    files::crash_point("restore:opened");
    restoration.end()?;
    advice::note_site(Some(root));
    Ok(told(&report, &format!("next: {}", advice::command(&Advice::Verify))))
}
