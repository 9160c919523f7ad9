//! Files of deliveries, and the identity of images.

use super::table::{Table, id, index, integer, real, text, time, unique_index};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "file",
        "One content of one file of a delivery. The same name with other content \
         is another row.",
        &[
            id("file_id", "assigned in the order of registration"),
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "name within the delivery").check("length(name) BETWEEN 1 AND 1000"),
            text(
                "frame_name",
                "name without FITS and compression suffixes, common to the images of a \
                 frame; never empty",
            )
            .default("''")
            .check("length(frame_name) <= 1000"),
            text("sha256", "SHA-256 of the content, hexadecimal").check("length(sha256) = 64"),
            integer("bytes", "size in bytes").at_least(0),
            text("kind", "kind of file, derived from its content").one_of(&[
                "image",
                "catalogue",
                "other",
            ]),
            text("format", "file format, e.g. fits, fits.gz, text").not_empty(),
            text("survey", "name of the matching survey profile; NULL: none").or_null().not_empty(),
            text("path", "path below library/; absolute when the file is kept in place")
                .not_empty(),
            integer(
                "modified_ns",
                "modification time at the source, nanoseconds since 1970-01-01 UTC",
            )
            .default("0"),
            integer("hdus", "number of HDUs with pixels or rows").default("0").at_least(0),
            integer("rows", "number of table rows of a catalogue, over all HDUs")
                .default("0")
                .at_least(0),
            text("state", "superseded: newer content of the same name replaced it")
                .one_of(&["current", "superseded"]),
            integer("superseded_by", "file with the newer content")
                .or_null()
                .refers("file (file_id)"),
            integer(
                "same_content_as",
                "first registered file of equal content; NULL: none is older",
            )
            .or_null()
            .refers("file (file_id)"),
            time("arrived", "time at which the transfer finished (UTC)"),
            real("transfer_seconds", "duration of the transfer in seconds")
                .default("0")
                .at_least(0),
            time("registered", "time of the registration (UTC)"),
        ],
    )
    .unique(&["delivery_id, name, sha256"])
    .checks(&[
        "(state = 'superseded') = (superseded_by IS NOT NULL)",
        "superseded_by <> file_id AND same_content_as < file_id",
    ])
    .indexes(&[
        unique_index("file_current", "delivery_id, name").only("state = 'current'"),
        index("file_content", "sha256"),
        index("file_name", "name"),
        index("file_frame_name", "frame_name, delivery_id"),
    ]),
    Table::new(
        "image",
        "Image files and their ids in the whole archive.",
        &[
            integer("multiframe_id", "id of the image, from counter multiframe").key().at_least(1),
            integer("file_id", "the image file").unique().refers("file (file_id)"),
        ],
    ),
    Table::new(
        "catalogue",
        "Versions of the catalogue of an image. One catalogue file may belong to \
         successive contents of its image.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("version", "version of the catalogue of this image: 1, 2 …").at_least(1),
            integer("file_id", "the catalogue file").refers("file (file_id)"),
            text("sha256", "SHA-256 of the content, hexadecimal").check("length(sha256) = 64"),
        ],
    )
    .key("multiframe_id, version")
    .unique(&["multiframe_id, sha256"])
    .indexes(&[index("catalogue_file", "file_id")]),
];
