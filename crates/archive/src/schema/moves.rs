//! Migrations of the archive between engines and hosts, and the locks of writers.

use super::table::{Table, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "relocation",
        "The other archive of a migration between engines or hosts. An archive in \
         ordinary use has no row here, or one in state arrived.",
        &[
            text(
                "state",
                "moved: the archive is at `place` now, and this one is neither read nor \
                 written; arriving: the copy from `place` is not confirmed, and this \
                 archive is neither read nor written; arrived: this archive is the copy \
                 from `place`",
            )
            .key()
            .one_of(&["moved", "arriving", "arrived"]),
            text("move", "id of the migration, equal in both archives").not_empty(),
            text("place", "the other archive: URL without password, or path").not_empty(),
            time("changed", "time at which the row was written (UTC)"),
        ],
    ),
    Table::new(
        "reopening",
        "Reopenings of this archive after the archive that had replaced it was \
         lost.",
        &[
            text("move", "id of the migration that is revoked, as in `relocation`").not_empty(),
            text("place", "the lost archive: URL without password, or path").not_empty(),
            integer(
                "lost_events",
                "number of events that only the lost archive had; NULL: unknown",
            )
            .or_null()
            .at_least(0),
            time("reopened", "time of the reopening (UTC)").key(),
            text("who", "operator").not_empty(),
            text("why", "reason").not_empty(),
        ],
    ),
    Table::new(
        "writer_lock",
        "Locks of the writers on a server. The lock of the table belongs to the \
         single write transaction, the lock of a row to the work that it names. \
         Readers have no rights on it. An embedded archive uses the lock of \
         SQLite.",
        &[text("name", "work that only one process may do at a time; fold: merging of partitions")
            .key()
            .one_of(&["fold"])],
    ),
];
