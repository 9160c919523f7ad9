//! Transfers of files: origin, duration, attempts; entries that were skipped; and checks of the library.

use super::table::{Table, index, integer, real, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "transfer",
        "Every transfer of a file, completed or postponed.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "name within the delivery").check("length(name) BETWEEN 1 AND 1000"),
            integer("number", "number of the transfer of this name: 1, 2 …").at_least(1),
            text("source", "directory, or URL without credentials").not_empty(),
            text("outcome", "postponed: the transfer is retried").one_of(&["arrived", "postponed"]),
            text("why", "reason of the postponement").or_null(),
            integer("file_id", "the content that arrived").or_null().refers("file (file_id)"),
            integer("bytes", "size in bytes").or_null().at_least(0),
            integer("resumed_bytes", "bytes of these that an earlier attempt had fetched")
                .or_null()
                .at_least(0),
            integer("reads", "number of times that the content was read from its first byte")
                .or_null()
                .at_least(1),
            text(
                "verified_by",
                "how the content was verified: sha256, md5: checksum of the provider; \
                 datasum: DATASUM of the FITS file; recheck: size and modification time \
                 did not change during the transfer",
            )
            .or_null()
            .one_of(&["sha256", "md5", "datasum", "recheck"]),
            real("seconds", "duration in seconds").or_null().at_least(0),
            time("ended", "time of the end (UTC)"),
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
        "Entries of the latest listing of a source that were not fetched.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "name as listed by the source, escaped where needed")
                .check("length(name) BETWEEN 1 AND 4000"),
            text("code", "reason, machine-readable")
                .check_each("code NOT GLOB '*[^a-z0-9_]*'", "code !~ '[^a-z0-9_]'"),
            text("why", "reason in words").not_empty(),
            time("first_seen", "time of the first listing with the entry (UTC)"),
        ],
    )
    .key("delivery_id, name"),
    Table::new(
        "scrub",
        "Latest comparison of each library file with its checksum.",
        &[
            integer("file_id", "the file").refers("file (file_id)").key(),
            time("checked", "time of the comparison (UTC)"),
            text("outcome", "result of the comparison").one_of(&[
                "intact",
                "corrupt",
                "missing",
                "unreadable",
            ]),
        ],
    )
    .indexes(&[index("scrub_damaged", "outcome").only("outcome <> 'intact'")]),
];
