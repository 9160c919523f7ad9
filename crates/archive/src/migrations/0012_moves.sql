-- The place of the archive: its move to another one, and the locks of those that write.

-- The other archive of a move. An archive in ordinary use has no row here, or one of state `arrived`.
CREATE TABLE relocation (
    state   TEXT NOT NULL PRIMARY KEY CHECK (state IN ('moved', 'arriving', 'arrived')),
        -- moved: everything is at `place`, and nothing is read or written here; arriving: the copy from `place` is not
        -- confirmed, and nothing is read or written here; arrived: the copy from `place` is this archive
    move    TEXT NOT NULL CHECK (length(move) > 0),              -- the same in both archives of one move
    place   TEXT NOT NULL CHECK (length(place) > 0),             -- the other archive: URL without password, or path
    changed TEXT NOT NULL CHECK (changed GLOB '????-??-??T*Z')   -- when the row was written (UTC)
) STRICT;

-- The locks of writers on a server: the table's own lock belongs to the one write transaction, the row's to what it names.
-- Readers have no right to it. The embedded archive has SQLite's own lock.
CREATE TABLE writer_lock (
    name TEXT NOT NULL PRIMARY KEY CHECK (name IN ('fold'))               -- what is done by one process at a time: merging partitions
) STRICT;
INSERT INTO writer_lock (name) VALUES ('fold');

-- Files that no table lists any more and that are to be deleted: a purge notes them in its transaction, and whoever opens the
-- archive for writing deletes what an interrupted one left.
CREATE TABLE deletion (
    place TEXT NOT NULL CHECK (place IN ('previews', 'lake')),                 -- directory of the site
    path  TEXT NOT NULL CHECK (length(path) > 0 AND substr(path, 1, 1) <> '/'), -- below that directory
    PRIMARY KEY (place, path)
) STRICT;
