-- Checksums of the lake's data files, which never change: `verify --checksums` compares them.
CREATE TABLE lake_file (
    name      TEXT PRIMARY KEY,                                          -- below lake/detection/
    xxhash64  TEXT NOT NULL CHECK (length(xxhash64) = 16)                -- of its bytes, seed 0, hexadecimal
) STRICT;
