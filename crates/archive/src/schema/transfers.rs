//! Transfers: what came from where, when, how fast, how often tried; and what the library is found to be.

use super::table::{Table, index, integer, real, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "transfer",
        "Each transfer of a file, finished or postponed.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "name within the delivery").check("length(name) BETWEEN 1 AND 1000"),
            integer("number", "1, 2 … of this name").at_least(1),
            text("source", "from where: a directory, or a URL without secrets").not_empty(),
            text("outcome", "postponed: it is tried again").one_of(&["arrived", "postponed"]),
            text("why", "reason of a postponement").or_null(),
            integer("file_id", "the content that arrived").or_null().refers("file (file_id)"),
            integer("bytes", "its length").or_null().at_least(0),
            integer("resumed_bytes", "of these, fetched by an earlier attempt")
                .or_null()
                .at_least(0),
            integer("tries", "number of reads from its beginning").or_null().at_least(1),
            text(
                "proof",
                "what verified the content: the provider's checksum, its own DATASUM, or \
                 size and date that stayed the same",
            )
            .or_null()
            .one_of(&["sha256", "md5", "datasum", "second_look"]),
            real("seconds", "duration").or_null().at_least(0),
            time("ended", "end time"),
        ],
    )
    .key("delivery_id, name, number")
    .checks(&[
        "(outcome = 'arrived') = (file_id IS NOT NULL)",
        "(outcome = 'postponed') = (why IS NOT NULL)",
    ])
    .indexes(&[index("transfer_file", "file_id")]),
    Table::new(
        "skipped",
        "Entries that a delivery's source showed at the last listing and that \
         were not fetched.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "as the source shows it, escaped where needed")
                .check("length(name) BETWEEN 1 AND 4000"),
            text("code", "machine-readable reason")
                .check_each("code NOT GLOB '*[^a-z0-9_]*'", "code !~ '[^a-z0-9_]'"),
            text("why", "reason in words").not_empty(),
            time("first_seen", "first listing that showed it"),
        ],
    )
    .key("delivery_id, name"),
    Table::new(
        "scrub",
        "When the bytes of a library file were last compared with its \
         checksum.",
        &[
            integer("file_id", "the file").refers("file (file_id)").key(),
            time("looked", "time of the comparison"),
            text("outcome", "what was found").one_of(&["sound", "rotten", "lost", "unreadable"]),
        ],
    )
    .indexes(&[index("scrub_unsound", "outcome").only("outcome <> 'sound'")]),
];
