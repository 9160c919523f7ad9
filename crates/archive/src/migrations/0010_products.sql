-- Supersession by product: what is published of each image, and which of the images of one name shows it.

-- What is published of each image: a row per image and use case. Of the images of one name the newest that has a product shows it.
CREATE TABLE product (
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the image
    use_case      TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- which of its products
    state         TEXT NOT NULL CHECK (state IN ('current', 'superseded', 'retracted')), -- superseded: a newer image of the name shows instead
    ended_event   INTEGER CHECK (ended_event >= 1),                    -- event that ended its rows; NULL: they are current
    changed_event INTEGER NOT NULL CHECK (changed_event >= 1),         -- event of the latest change of this row
    kept          INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),   -- 1: current only because the newer image of the name lacks this product
    PRIMARY KEY (multiframe_id, use_case),
    CHECK ((state = 'current') = (ended_event IS NULL)),
    CHECK (kept = 0 OR state = 'current')
) STRICT;
CREATE INDEX product_changed ON product (changed_event);
CREATE INDEX product_kept ON product (multiframe_id) WHERE kept = 1;

-- Decisions that a kept product of an older image ends although the newer image of the name lacks it.
CREATE TABLE set_aside (
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the older image
    use_case      TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- which of its products
    event_id      INTEGER NOT NULL REFERENCES event (event_id),        -- the decision
    undone_event  INTEGER REFERENCES event (event_id) CHECK (undone_event > event_id), -- its undo
    PRIMARY KEY (multiframe_id, use_case, event_id)
) STRICT;

ALTER TABLE finding ADD COLUMN members TEXT; -- which images (in rounds) or files (in stage register): JSON [[first id, last id, occurrences in each], …]; NULL in rows older than this column
