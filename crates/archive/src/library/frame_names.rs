//! Files of one frame: images of a delivery whose names differ only in their FITS and compression endings.
//!
//! If the source shows only the later of two such files, that file supersedes the earlier one as newer content of the same name
//! does: it takes over the catalogue, and only it gets new rounds. The earlier file's products show until the later file has them
//! ([`crate::products`]). If the source shows the earlier file again and the later one no longer, the order is reversed. Files that
//! the source shows side by side stay two images, with a finding. Start at [`supersede`].

use crate::Timestamp;
use crate::error::ArchiveFault;
use crate::findings::{self, Found};
use crate::history::Cause;
use crate::library::request_all;
use crate::product_names;
use crate::products::supersession;
use crate::refusals::{self, Stage};
use crate::site::Site;
use engine::{Connection, Optional};
use model::{Finding, RefusalCode};
use rusqlite::params;

/// Code of the finding of two images of a delivery whose names denote the same frame.
const FRAME_TWICE: &str = RefusalCode::FRAME_TWICE.as_str();

/// The condition that a row of `file` is the latest content of its name: the file is current, or a file of another name
/// superseded it.
pub const LATEST_OF_NAME: &str =
    "(SELECT successor.name FROM file AS successor WHERE successor.file_id = file.superseded_by)
    IS DISTINCT FROM file.name";

/// Makes the images of a delivery current that its source shows, and marks those that it no longer shows as superseded by another
/// image of the same frame: by the one registered next, else by the latest that the source shows. An image that the source lists
/// again under its earlier name is current again, and all its use cases are redone. `present` are the names that the source
/// shows, sorted. Returns the superseded files.
pub(crate) fn supersede(
    tx: &Connection,
    site: &Site,
    delivery: i64,
    present: &[String],
    now: Timestamp,
) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT frame_name, file_id, name, state FROM file
         WHERE delivery_id = ?1 AND kind = 'image' AND {LATEST_OF_NAME} ORDER BY frame_name, file_id"
    ))?;
    let rows = select.query_map([delivery], |r| {
        let (file, name, state) = (r.get(1)?, r.get::<String>(2)?, r.get::<String>(3)?);
        let is_shown = present.binary_search(&name).is_ok();
        Ok(FrameFile { frame: r.get(0)?, file, name, is_current: state == "current", is_shown })
    })?;
    let mut files: Vec<FrameFile> = rows.collect::<Result<_, _>>()?;
    for back in files.iter_mut().filter(|file| file.is_shown && !file.is_current) {
        tx.prepare_cached(
            "UPDATE file SET state = 'current', superseded_by = NULL WHERE file_id = ?1",
        )?
        .execute([back.file])?;
        request_all(tx, site, back.file, "the source shows the file again", now)?;
        back.is_current = true;
    }
    files.retain(|file| file.is_current);
    tx.prepare_cached(
        "DELETE FROM finding WHERE delivery_id = ?1 AND stage = ?2 AND round = 0 AND code = ?3",
    )?
    .execute(params![delivery, Stage::Register.name(), FRAME_TWICE])?;
    let mut update = tx.prepare_cached(
        "UPDATE file SET state = 'superseded', superseded_by = ?2 WHERE file_id = ?1",
    )?;
    let mut superseded = Vec::new();
    for of_frame in files.chunk_by(|a, b| a.frame == b.frame) {
        let latest_shown = || of_frame.iter().rfind(|other| other.is_shown);
        let mut side_by_side: Option<&FrameFile> = None;
        for (at, one) in of_frame.iter().enumerate() {
            let newer = of_frame.get(at + 1).or_else(latest_shown);
            if let Some(newer) = newer.filter(|_| !one.is_shown) {
                update.execute([one.file, newer.file])?;
                superseded.push(one.file);
                continue;
            }
            if let Some(older) = side_by_side.replace(one) {
                note_twice(tx, delivery, &older.name, (one.file, &one.name))?;
            }
        }
    }
    Ok(superseded)
}

/// The latest content of one name of a frame.
#[derive(Debug)]
struct FrameFile {
    frame: String,
    file: i64,
    name: String,
    is_current: bool,
    /// True when the source shows the name.
    is_shown: bool,
}

/// Records a finding about two images of a delivery whose names denote the same frame.
fn note_twice(
    tx: &Connection,
    delivery: i64,
    older: &str,
    (newer_file, newer): (i64, &str),
) -> Result<(), ArchiveFault> {
    let finding = Finding {
        code: FRAME_TWICE.into(),
        file: newer.to_owned(),
        hdu: None,
        subject: Some(older.to_owned()),
        files: 1,
        count: 1,
        message: format!(
            "{older} and {newer} are one frame by their names; both are processed, so the archive has each of their sources twice"
        ),
    };
    let found = vec![Found { finding: &finding, members: [(newer_file, 1)].into() }];
    findings::note(tx, delivery, Stage::Register, 0, found)
}

/// Ends the shown products of superseded files whose successors have products already, and shows those of the successors.
pub(crate) fn settle(
    tx: &Connection,
    site: &Site,
    superseded: &[i64],
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT newer.multiframe_id FROM file JOIN image AS newer ON newer.file_id = file.superseded_by
             JOIN product USING (multiframe_id)
         WHERE file.file_id = ?1 AND product.use_case IN ({}) AND product.state <> 'retracted'",
        product_names::describing()
    ))?;
    let mut shown = Vec::new();
    for file in superseded {
        let newer: Option<i64> = select.query_row([file], |r| r.get(0)).optional()?;
        shown.extend(newer);
    }
    if !shown.is_empty() {
        let cause =
            Cause::new("register", "the source shows these frames under other file names alone");
        supersession::realign(tx, site, &shown, &cause, now)?;
    }
    Ok(())
}

/// Closes the open refusals and requests of files that a later file of their frame superseded. Returns the number of resolved
/// refusals.
pub(crate) fn close(
    tx: &Connection,
    delivery: i64,
    superseded: &[i64],
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let cause = Cause::new("register", "the same frame arrived under another file name");
    let mut resolved = 0;
    for file in superseded {
        resolved += refusals::resolve_file(tx, *file, &cause, now)?;
        tx.prepare_cached("DELETE FROM redo WHERE file_id = ?1 AND unit_id IS NULL")?
            .execute([file])?;
    }
    if !superseded.is_empty() {
        findings::forget(tx, delivery, None, &superseded.iter().copied().collect())?;
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::kept::misplaced;
    use engine::Kind;
    use model::frame_name;

    /// Checks that frames that are current in two deliveries under two file names are reported, and that the next act about one of
    /// these deliveries settles them.
    fn check(connection: &Connection, site: &Site) {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        crate::migrations::bring_up(connection, site, now).unwrap();
        let time = "'2026-01-01T00:00:00Z'";
        let mut sql = String::new();
        for version in 1..=2 {
            sql += &format!(
                "INSERT INTO delivery (delivery_id, name, night, version, source, state, first_seen, last_arrival)
                     VALUES ({version}, 'n_v{version}', 20260101, '{version}', 's', 'arriving', {time}, {time});
                 INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, opened)
                     VALUES ({version}, {version}, 'metadata', 1, '1', 'ingested', {time});
                 INSERT INTO event VALUES ({version}, 'ingest', {version}, {time}, 'test', 'test', '0');"
            );
        }
        let files = [
            (1, "a.fit"),
            (2, "a.fit.gz"),
            (2, "b.FITS.fz"),
            (2, "c.fit"),
            (2, "c.fits"),
            (2, ".fit"),
        ];
        for (n, (delivery, name)) in (1..).zip(files) {
            let frame = frame_name(name);
            sql += &format!(
                "INSERT INTO file (file_id, delivery_id, name, frame_name, sha256, bytes, kind, format, path, state, arrived,
                         registered)
                     VALUES ({n}, {delivery}, '{name}', '{frame}', '{n:064}', 1, 'image', 'fits', 'd/f{n}', 'current', {time},
                         {time});
                 INSERT INTO image (multiframe_id, file_id) VALUES ({n}, {n});
                 INSERT INTO product (multiframe_id, use_case, state, changed_event)
                     VALUES ({n}, 'metadata', 'current', {delivery});"
            );
        }
        sql += "UPDATE counter SET last = 2 WHERE name = 'event';";
        connection.execute_batch(&sql).unwrap();
        let found = || -> Vec<(i64, bool)> {
            let found = misplaced(connection).unwrap();
            found.iter().map(|m| (m.multiframe_id.get(), m.should_show)).collect()
        };
        // The next fetch determines whether the source still shows both files of the frame c.
        assert_eq!(found(), [(1, false)]);
        let tx = connection.begin(Kind::Write).unwrap();
        supersession::realign(&tx, site, &[1], &Cause::new("test", "test"), now).unwrap();
        tx.commit().unwrap();
        assert_eq!(found(), []);
        let mut select =
            connection.prepare("SELECT state FROM product ORDER BY multiframe_id").unwrap();
        let states: Vec<String> =
            select.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
        let [current, superseded] = ["current", "superseded"];
        assert_eq!(states, [superseded, current, current, current, current, current]);
    }

    #[test]
    fn a_frame_under_two_names_is_shown_once() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        check(&Connection::Sqlite(rusqlite::Connection::open_in_memory().unwrap()), &site);
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let url = Some(server.database().url());
        let site = site.on(crate::Database { url: url.clone(), ..Default::default() });
        let database = crate::Database { url, ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = Connection::Postgres(engine::Server::connect(&address).unwrap());
        check(&server, &site);
    }
}
