-- Checksums of the lake's data files, which never change: `verify --checksums` compares them.
CREATE TABLE lake_file (
    name      TEXT PRIMARY KEY,                                          -- of the file; no two tables have files of one name
    xxhash64  TEXT NOT NULL CHECK (length(xxhash64) = 16)                -- of its bytes, seed 0, hexadecimal
) STRICT;
