-- Transfer: what came from where, when, how fast, how often tried; and what the library is found to be.

ALTER TABLE delivery ADD COLUMN awaited TEXT CHECK (length(awaited) > 0); -- what is known to be still to come; NULL when nothing is

-- Every time that a file was brought, or could not be.
CREATE TABLE transfer (
    delivery_id   INTEGER NOT NULL REFERENCES delivery (delivery_id),       -- whose file it is
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 1000),    -- name within the delivery
    number        INTEGER NOT NULL CHECK (number >= 1),                     -- 1, 2 … of this name
    source        TEXT NOT NULL CHECK (length(source) > 0),                 -- from where: a directory, or a URL without secrets
    outcome       TEXT NOT NULL CHECK (outcome IN ('arrived', 'postponed')), -- postponed: it is tried again
    why           TEXT,                                                     -- what stood in the way
    file_id       INTEGER REFERENCES file (file_id),                        -- the content that arrived
    bytes         INTEGER CHECK (bytes >= 0),                               -- its length
    resumed_bytes INTEGER CHECK (resumed_bytes >= 0),                       -- of these, brought by an earlier try
    tries         INTEGER CHECK (tries >= 1),                               -- times that it was read from its beginning
    proof         TEXT CHECK (proof IN ('sha256', 'md5', 'datasum', 'second_look')),
        -- what vouches for it: the provider's checksum, its own DATASUM, or size and date that stayed the same
    seconds       REAL CHECK (seconds >= 0),                                -- how long that took
    ended         TEXT NOT NULL CHECK (ended GLOB '????-??-??T*Z'),         -- when it was over
    PRIMARY KEY (delivery_id, name, number),
    CHECK ((outcome = 'arrived') = (file_id IS NOT NULL)),
    CHECK ((outcome = 'postponed') = (why IS NOT NULL))
) STRICT;
CREATE INDEX transfer_file ON transfer (file_id);

-- When the bytes of a library file were last compared with its checksum.
CREATE TABLE scrub (
    file_id INTEGER PRIMARY KEY REFERENCES file (file_id),                  -- the file
    looked  TEXT NOT NULL CHECK (looked GLOB '????-??-??T*Z'),              -- when
    outcome TEXT NOT NULL CHECK (outcome IN ('sound', 'rotten', 'lost', 'unreadable')) -- what was found
) STRICT;
