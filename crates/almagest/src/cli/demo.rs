//! `almagest demo`: a small night from delivery to query, in the working directory.

use super::dry_run::tell_dry_run;
use super::{Format, contact_sheet, init, night as work, run as verbs, simulate, sql, transfer};
use crate::exit::{self, Exit};
use crate::report::{quoted, say};
use curate::site::{self, Site};
use curate::steps::{Completeness, Declarations, NightRun};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the demo's own site and inbox.
    #[arg(default_value = "almagest-demo", value_name = "DIR")]
    directory: PathBuf,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// The queries of the demo: (title, query).
const QUERIES: [(&str, &str); 3] = [
    (
        "Frames by programme and filter",
        "SELECT p.name AS programme, m.filter_name AS filter, count(DISTINCT m.multiframe_id) AS frames,
                sum(d.rows) AS detections, round(avg(c.seeing * a.x_pix_size), 2) AS seeing_arcsec,
                round(avg(c.phot_zp_cat), 2) AS zero_point
         FROM detector_rows AS d
         JOIN multiframe AS m USING (multiframe_id)
         JOIN multiframe_detector AS c ON c.multiframe_id = d.multiframe_id AND c.ext_num = d.ext_num
         JOIN astrometry AS a ON a.multiframe_id = d.multiframe_id AND a.ext_num = d.ext_num
         JOIN programme AS p ON p.programme_id = d.programme_id
         WHERE d.end_event IS NULL
         GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "The brightest stars in a cone of 3 arcmin, each with its frame",
        "WITH field AS (SELECT a.central_ra AS ra, a.central_dec AS dec FROM astrometry AS a
                        JOIN detector_rows AS d USING (multiframe_id, ext_num) WHERE d.end_event IS NULL
                        ORDER BY d.rows DESC, multiframe_id, ext_num LIMIT 1)
         SELECT d.obj_id, round(d.ra, 5) AS ra, round(d.dec, 5) AS dec, m.filter_name AS filter,
                round(d.aper_mag3, 3) AS mag, round(d.aper_mag3_err, 3) AS err, m.file_name
         FROM field, detection AS d JOIN multiframe AS m USING (multiframe_id)
         WHERE in_cone(d.ra, d.dec, field.ra, field.dec, 3/60.0) AND d.class = -1
         ORDER BY d.aper_mag3 LIMIT 8",
    ),
    (
        "Stars and galaxies, and how many are clean (no quality flag)",
        "SELECT CASE class WHEN -1 THEN 'star' WHEN 1 THEN 'galaxy' WHEN 0 THEN 'noise' WHEN -2 THEN 'probable star'
                           WHEN -3 THEN 'probable galaxy' WHEN -9 THEN 'saturated' ELSE 'other' END AS class,
                count(*) AS detections, sum(pp_err_bits = 0) AS clean, round(min(aper_mag3), 2) AS brightest,
                round(avg(aper_mag3), 2) AS mean_mag
         FROM detection GROUP BY 1 ORDER BY 2 DESC",
    ),
];

/// Makes the demo's site and simulates its night if necessary, runs the night, and shows the results.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let root = &arguments.directory;
    if site::is_site(root) && !root.join("inbox").is_dir() {
        let message = format!("{} is a site that the demo did not create", root.display());
        return Err(exit::conflict(message));
    }
    // Enough frames for several programmes, each through more than one filter.
    let spec = ::simulate::NightSpec { frames: 40, ..::simulate::NightSpec::default() };
    let inbox = root.join("inbox");
    let delivery = inbox.join(spec.delivery());
    if arguments.dry_run {
        tell_dry_run(true);
        if !site::is_site(root) {
            say!("make site {}", root.display());
        }
        if !delivery.join(::simulate::MARKER).exists() {
            say!("simulate {}: {} images", delivery.display(), spec.frames);
        }
        say!("run {}, query it, and write a contact sheet", delivery.display());
        return Ok(Exit::Done);
    }
    if !site::is_site(root) {
        init::create(root, &archive::Database::default(), model::profile::shipped())?;
        say!("created site {}", root.display());
    }
    curate::advice::note_site(Some(root));
    if !delivery.join(::simulate::MARKER).exists() {
        let _ = std::fs::remove_dir_all(&delivery); // an interrupted simulation
        let night = simulate::simulated(&inbox, &spec)?;
        say!(
            "simulated {}: {} images with {} detectors\n",
            night.delivery.display(),
            night.frames.len(),
            night.detectors
        );
    }
    let site = Site::find(Some(root.clone()))?;
    let deliveries = transfer::opened(&site, &[delivery.to_string_lossy().into_owned()])?;
    let mut night = work::open(site, "demo")?;
    let declared = Declarations { completeness: Completeness::Complete, ..Declarations::default() };
    verbs::curate(&mut night, &deliveries, &declared)?;
    work::report(&night);
    if night.interrupted() {
        return Ok(Exit::Interrupted);
    }
    let session = sql::session(night.site(), None)?;
    for (title, query) in QUERIES {
        say!("\n{title}");
        sql::write_to(&session, query, Format::Table, std::io::stdout())?;
    }
    let sheet = night.site().place.root().join("contact-sheet.html");
    contact_sheet::write(night.site(), None, &sheet)?;
    say!("\npreviews: open {} in a browser", sheet.display());
    say!("{}", go_on(root, &mut night)?);
    Ok(Exit::Done)
}

/// Returns the commands to continue with, by the name under which this program was called.
fn go_on(root: &Path, night: &mut NightRun) -> anyhow::Result<String> {
    let me = std::env::args().next().unwrap_or_else(|| "almagest".to_owned());
    let site = quoted(root);
    let status = night.archive().status()?;
    let mut commands = Vec::new();
    let mut add = |words: String, about: &'static str| commands.push((words, about));
    if status.parked_refusals > 0 {
        add("refusals list".to_owned(), "frames of a project that is not in the archive yet");
        add("programme add U07B12 u/07b/12".to_owned(), "unparks them; then run again");
        add(format!("run {}", quoted(&root.join("inbox/20071011_v1"))), "");
    }
    add("sql \"SELECT count(*) FROM detection\"".to_owned(), "");
    add("status".to_owned(), "");
    add("verify".to_owned(), "");
    add("attach".to_owned(), "the same archive in DuckDB, from Python or R");
    let mut text = String::from("\nnext commands:\n");
    for (words, about) in commands {
        let command = format!("{me} --site {site} {words}");
        let about = if about.is_empty() { String::new() } else { format!("   # {about}") };
        let _ = writeln!(text, "  {command}{about}");
    }
    let _ =
        write!(text, "  {me} init SITE && {me} --site SITE run DELIVERY_DIR   # your own delivery");
    Ok(text)
}
