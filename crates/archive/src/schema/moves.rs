//! The place of the archive: its move to another one, and the locks of those that write.

use super::table::{Table, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "relocation",
        "The other archive of a move. An archive in ordinary use has no row \
         here, or one of state `arrived`.",
        &[
            text(
                "state",
                "moved: everything is at `place`, and nothing is read or written \
                 here; arriving: the copy from `place` is not confirmed, and nothing \
                 is read or written here; arrived: the copy from `place` is this \
                 archive",
            )
            .key()
            .one_of(&["moved", "arriving", "arrived"]),
            text("move", "the same in both archives of one move").not_empty(),
            text("place", "the other archive: URL without password, or path").not_empty(),
            time("changed", "when the row was written (UTC)"),
        ],
    ),
    Table::new(
        "reopening",
        "Reopenings of this archive after a move, since the place to which it \
         had moved was lost.",
        &[
            text("move", "the move that is revoked, as in `relocation`").not_empty(),
            text("place", "the place that was lost: URL without password, or path").not_empty(),
            integer("lost_events", "events that only that place has; NULL: it could not be read")
                .or_null()
                .at_least(0),
            time("reopened", "when").key(),
            text("who", "by whom").not_empty(),
            text("why", "the reason").not_empty(),
        ],
    ),
    Table::new(
        "writer_lock",
        "The locks of writers on a server: the table's own lock belongs to \
         the one write transaction, the row's to what it names. Readers have \
         no right to it. The embedded archive has SQLite's own lock.",
        &[text("name", "what is done by one process at a time: merging partitions")
            .key()
            .one_of(&["fold"])],
    ),
];
