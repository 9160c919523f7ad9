//! Providers of deliveries. Frames of one provider supersede and name each other, those of two never do.
//!
//! Start at [`is_same`]. Origins are recorded in `delivery_origin`. The table `camera` holds the telescopes and instruments of
//! each delivery: those of all its frames in the archive, current or not.

use crate::error::ArchiveFault;
use engine::{Connection, ToSql};

/// Origin of a delivery: its name, its address, and whether the configuration names the origin as a source.
type Origin = (String, String, bool);

/// Returns whether two deliveries come from one provider.
///
/// The provider is the same when the deliveries share an origin. It is not the same when both come from configured sources, when
/// their origins delivered directories of one name that are two deliveries, or when their headers name different telescopes or
/// instruments.
pub(crate) fn is_same(c: &Connection, one: i64, other: i64) -> Result<bool, ArchiveFault> {
    if one == other {
        return Ok(true);
    }
    let (a, b) = (origins(c, one)?, origins(c, other)?);
    if pairs(&a, &b).any(|(a, b)| a.0 == b.0 || a.1 == b.1 && !(a.2 && b.2)) {
        return Ok(true);
    }
    if pairs(&a, &b).any(|(a, b)| a.2 && b.2) {
        return Ok(false);
    }
    for (a, b) in pairs(&a, &b) {
        if have_namesakes(c, &a.0, &b.0)? {
            return Ok(false);
        }
    }
    let (a, b) = (cameras(c, one)?, cameras(c, other)?);
    Ok(a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| may_be_one(a, b))))
}

fn pairs<'o>(a: &'o [Origin], b: &'o [Origin]) -> impl Iterator<Item = (&'o Origin, &'o Origin)> {
    a.iter().flat_map(move |a| b.iter().map(move |b| (a, b)))
}

fn origins(c: &Connection, delivery: i64) -> Result<Vec<Origin>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT origin, address, is_source FROM delivery JOIN delivery_origin ON delivery_origin.delivery = delivery.name
         WHERE delivery_id = ?1 ORDER BY origin",
    )?;
    let rows =
        select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?, r.get::<i64>(2)? == 1)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns whether two origins delivered directories of one name that are different deliveries.
fn have_namesakes(c: &Connection, a: &str, b: &str) -> Result<bool, ArchiveFault> {
    Ok(c.prepare_cached(
        "SELECT EXISTS (SELECT * FROM delivery_origin AS a JOIN delivery_origin AS b ON b.directory = a.directory
                        WHERE a.origin = ?1 AND b.origin = ?2 AND a.delivery <> b.delivery)",
    )?
    .query_row([a, b], |r| r.get(0))?)
}

/// Telescope and instrument; an empty text where the headers name none.
type Camera = (String, String);

/// Returns the telescopes and instruments that the ingested headers of a delivery name.
fn cameras(c: &Connection, delivery: i64) -> Result<Vec<Camera>, ArchiveFault> {
    let mut select =
        c.prepare_cached("SELECT telescope, instrument FROM camera WHERE delivery_id = ?1")?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn may_be_one(a: &Camera, b: &Camera) -> bool {
    let fits = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
    fits(&a.0, &b.0) && fits(&a.1, &b.1)
}

/// Writes the cameras that frames name; `joined` is a join onto `frame` and `file` that selects the frames.
fn record(tx: &Connection, joined: &str, values: &[&dyn ToSql]) -> Result<(), ArchiveFault> {
    tx.execute(
        &format!(
            "INSERT INTO camera (delivery_id, telescope, instrument)
             SELECT DISTINCT delivery_id, telescope, instrument FROM (
                 SELECT file.delivery_id, coalesce(lower(trim(frame.telescope)), '') AS telescope,
                     coalesce(lower(trim(frame.instrument)), '') AS instrument
                 FROM {joined}) AS named
             WHERE telescope <> '' OR instrument <> ''
             ON CONFLICT DO NOTHING"
        ),
        values,
    )?;
    Ok(())
}

/// Records the cameras in the metadata of a round that an event published.
pub(crate) fn record_cameras(tx: &Connection, unit: i64, event: i64) -> Result<(), ArchiveFault> {
    record(
        tx,
        "task JOIN task_input USING (task_id) JOIN image ON image.multiframe_id = task_input.multiframe_id
             JOIN file ON file.file_id = image.file_id
             JOIN multiframe_all AS frame ON frame.multiframe_id = image.multiframe_id
         WHERE task.unit_id = ?1 AND frame.begin_event = ?2",
        &[&unit, &event],
    )
}

/// Replaces the cameras of a delivery after rows of its frames were deleted.
pub(crate) fn renew_cameras(tx: &Connection, delivery: i64) -> Result<(), ArchiveFault> {
    tx.execute("DELETE FROM camera WHERE delivery_id = ?1", [delivery])?;
    record(
        tx,
        "file JOIN image ON image.file_id = file.file_id
             JOIN multiframe_all AS frame ON frame.multiframe_id = image.multiframe_id
         WHERE file.delivery_id = ?1",
        &[&delivery],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Site;
    use crate::tests::filling;
    use crate::tests::filling::Filling;
    use engine::Kind;

    /// Checks that deliveries whose frames name two cameras or none get the cameras that the frames name.
    fn cameras_of_deliveries(connection: &Connection) {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::create(dir.path(), &[]).unwrap();
        crate::migrations::bring_up(connection, &site, "2026-01-01T00:00:00Z".parse().unwrap())
            .unwrap();
        let tx = connection.begin(Kind::Move).unwrap();
        tx.execute_batch("INSERT INTO programme_counter (programme_id) VALUES (7)").unwrap();
        let frames = Filling { first: 10, frames: 8, per_delivery: 2, calibrations: 0 };
        filling::rows(&tx, &frames);
        tx.execute_batch(
            "UPDATE multiframe_all SET telescope = ' UKIRT', instrument = CASE WHEN multiframe_id = 12 THEN 'UFTI' ELSE 'WFCAM ' END
             WHERE multiframe_id < 14;
             UPDATE multiframe_all SET instrument = 'wfcam' WHERE multiframe_id = 14;
             INSERT INTO camera VALUES (15, 'vista', 'vircam');",
        )
        .unwrap();
        for delivery in 15..=18 {
            renew_cameras(&tx, delivery).unwrap();
        }
        tx.commit().unwrap();
        let mut select = connection
            .prepare("SELECT delivery_id, telescope, instrument FROM camera ORDER BY 1, 2, 3")
            .unwrap();
        let rows: Vec<(i64, String, String)> = select
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let camera = |delivery, telescope: &str, instrument: &str| {
            (delivery, telescope.to_owned(), instrument.to_owned())
        };
        let wanted = [
            camera(15, "ukirt", "wfcam"),
            camera(16, "ukirt", "ufti"),
            camera(16, "ukirt", "wfcam"),
            camera(17, "", "wfcam"),
        ];
        assert_eq!(rows, wanted);
    }

    #[test]
    fn cameras_of_deliveries_on_both_engines() {
        let embedded = rusqlite::Connection::open_in_memory().unwrap();
        cameras_of_deliveries(&Connection::Sqlite(embedded));
        let Some(server) = testkit::postgres::Server::shared() else { return };
        let database = crate::Database { url: Some(server.database().url()), ..Default::default() };
        let address = engine::Address::of(&database).unwrap();
        let server = engine::Server::connect(&address).unwrap();
        cameras_of_deliveries(&Connection::Postgres(server));
    }

    #[test]
    fn cameras_differ_where_both_are_named() {
        let camera =
            |telescope: &str, instrument: &str| (telescope.to_owned(), instrument.to_owned());
        assert!(may_be_one(&camera("ukirt", "wfcam"), &camera("ukirt", "wfcam")));
        assert!(may_be_one(&camera("ukirt", ""), &camera("ukirt", "wfcam")));
        assert!(!may_be_one(&camera("ukirt", "ufti"), &camera("ukirt", "wfcam")));
        assert!(!may_be_one(&camera("vista", ""), &camera("ukirt", "wfcam")));
    }
}
