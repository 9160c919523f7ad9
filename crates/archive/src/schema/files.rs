//! Files of deliveries, and the identity of images.

use super::table::{Table, id, index, integer, real, text, time, unique_index};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "file",
        "One content of one file of a delivery. The same name with other \
         content is another row.",
        &[
            id("file_id", "internal"),
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("name", "name within the delivery").check("length(name) BETWEEN 1 AND 1000"),
            text(
                "frame_name",
                "name without FITS and compression endings, which the images of a \
                 frame have in common; never empty",
            )
            .default("''")
            .check("length(frame_name) <= 1000"),
            text("sha256", "of its content, hexadecimal").check("length(sha256) = 64"),
            integer("bytes", "its length").at_least(0),
            text("kind", "decided by content").one_of(&["image", "catalogue", "other"]),
            text("format", "e.g. fits, fits.gz, text").not_empty(),
            text("survey", "name of the survey profile that fits").or_null().not_empty(),
            text("path", "below library/; absolute when kept in place").not_empty(),
            integer("modified_ns", "modification time at the source, ns since 1970").default("0"),
            integer("hdus", "HDUs with pixels or rows").default("0").at_least(0),
            integer("rows", "table rows of a catalogue, all HDUs").default("0").at_least(0),
            text("state", "superseded: newer content replaced it")
                .one_of(&["current", "superseded"]),
            integer("superseded_by", "the newer content").or_null().refers("file (file_id)"),
            integer("same_content_as", "first file of equal content elsewhere")
                .or_null()
                .refers("file (file_id)"),
            time("arrived", "when its transfer ended"),
            real("transfer_seconds", "duration").default("0").at_least(0),
            time("registered", "time of the registration"),
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
        "An image file with its identity in the whole archive.",
        &[
            integer("multiframe_id", "from counter multiframe").key().at_least(1),
            integer("file_id", "the file").unique().refers("file (file_id)"),
        ],
    ),
    Table::new(
        "catalogue",
        "Versions of an image's catalogue. One catalogue file may serve \
         successive contents of its image.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("version", "1, 2 … of this image").at_least(1),
            integer("file_id", "the catalogue file").refers("file (file_id)"),
            text("sha256", "its content").check("length(sha256) = 64"),
        ],
    )
    .key("multiframe_id, version")
    .unique(&["multiframe_id, sha256"])
    .indexes(&[index("catalogue_file", "file_id")]),
];
