-- The control store: what was delivered, what is done about it, what was refused, and which acts made the
-- archive. Times are ISO 8601 texts in UTC ending in Z. Ids that leave this file come from counter rows.

-- Numbers given out so far; never decreased, never derived from the rows.
CREATE TABLE counter (
    name TEXT PRIMARY KEY CHECK (name IN ('multiframe', 'event', 'programme')), -- what is numbered
    last INTEGER NOT NULL CHECK (last >= 0)                                     -- the last number given
) STRICT;
INSERT INTO counter (name, last) VALUES ('multiframe', 0), ('event', 0), ('programme', 10000); -- lower programme ids come from profiles

-- One directory of a provider: a night and pipeline version. Its id is the order of registration.
CREATE TABLE delivery (
    delivery_id    INTEGER PRIMARY KEY,                           -- order of registration
    name           TEXT NOT NULL UNIQUE                           -- e.g. 20071011_v1; one plain path component
                   CHECK (length(name) BETWEEN 1 AND 200 AND instr(name, '/') = 0 AND name NOT IN ('.', '..')),
    night          INTEGER CHECK (night BETWEEN 10000101 AND 99991231), -- yyyymmdd; NULL when the name tells none
    version        TEXT CHECK (length(version) > 0),              -- pipeline version; NULL when the name tells none
    source         TEXT NOT NULL CHECK (length(source) > 0),      -- where it came from
    state          TEXT NOT NULL CHECK (state IN ('arriving', 'registered', 'complete')), -- how far it is
    marker         TEXT CHECK (length(marker) > 0),               -- name of the marker file that was seen
    manifest       TEXT CHECK (length(manifest) > 0),             -- name of the provider's manifest that was used
    expected_files INTEGER CHECK (expected_files >= 0),           -- count that marker or manifest announced
    first_seen     TEXT NOT NULL CHECK (first_seen GLOB '????-??-??T*Z'), -- first registration
    last_arrival   TEXT NOT NULL CHECK (last_arrival GLOB '????-??-??T*Z'), -- latest new file
    completed      TEXT CHECK (completed GLOB '????-??-??T*Z'),   -- when all its units were ingested
    CHECK ((state = 'complete') = (completed IS NOT NULL))
) STRICT;

-- One content of one file of a delivery. The same name with other content is another row.
CREATE TABLE file (
    file_id          INTEGER PRIMARY KEY,                                     -- internal
    delivery_id      INTEGER NOT NULL REFERENCES delivery (delivery_id),      -- whose file it is
    name             TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 1000),   -- name within the delivery
    sha256           TEXT NOT NULL CHECK (length(sha256) = 64),               -- of its content, hexadecimal
    bytes            INTEGER NOT NULL CHECK (bytes >= 0),                     -- its length
    kind             TEXT NOT NULL CHECK (kind IN ('image', 'catalogue', 'other')), -- decided by content
    format           TEXT NOT NULL CHECK (length(format) > 0),                -- e.g. fits, fits.gz, text
    survey           TEXT CHECK (length(survey) > 0),                         -- name of the survey profile that fits
    path             TEXT NOT NULL CHECK (length(path) > 0),                  -- below library/; absolute when kept in place
    modified_ns      INTEGER NOT NULL DEFAULT 0,                              -- modification time at the source, ns since 1970
    hdus             INTEGER NOT NULL DEFAULT 0 CHECK (hdus >= 0),            -- HDUs with pixels or rows
    rows             INTEGER NOT NULL DEFAULT 0 CHECK (rows >= 0),            -- table rows of a catalogue, all HDUs
    state            TEXT NOT NULL CHECK (state IN ('current', 'superseded')), -- whether a newer content replaced it
    superseded_by    INTEGER REFERENCES file (file_id),                       -- the newer content
    same_content_as  INTEGER REFERENCES file (file_id),                       -- first file of equal content elsewhere
    arrived          TEXT NOT NULL CHECK (arrived GLOB '????-??-??T*Z'),      -- when its transfer ended
    transfer_seconds REAL NOT NULL DEFAULT 0 CHECK (transfer_seconds >= 0),   -- how long that took
    registered       TEXT NOT NULL CHECK (registered GLOB '????-??-??T*Z'),   -- when it was recorded
    UNIQUE (delivery_id, name, sha256),
    CHECK ((state = 'superseded') = (superseded_by IS NOT NULL)),
    CHECK (superseded_by <> file_id AND same_content_as < file_id)
) STRICT;
CREATE UNIQUE INDEX file_current ON file (delivery_id, name) WHERE state = 'current';
CREATE INDEX file_content ON file (sha256);
CREATE INDEX file_name ON file (name);

-- An image file with its identity in the whole archive.
CREATE TABLE image (
    multiframe_id INTEGER PRIMARY KEY CHECK (multiframe_id >= 1),        -- from counter multiframe
    file_id       INTEGER NOT NULL UNIQUE REFERENCES file (file_id)      -- the file
) STRICT;

-- Versions of an image's catalogue. One catalogue file may serve successive contents of its image.
CREATE TABLE catalogue (
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the image
    version       INTEGER NOT NULL CHECK (version >= 1),               -- 1, 2 … of this image
    file_id       INTEGER NOT NULL REFERENCES file (file_id),          -- the catalogue file
    sha256        TEXT NOT NULL CHECK (length(sha256) = 64),           -- its content
    PRIMARY KEY (multiframe_id, version),
    UNIQUE (multiframe_id, sha256)
) STRICT;
CREATE INDEX catalogue_file ON catalogue (file_id);

-- One round of one use case on one delivery.
CREATE TABLE unit (
    unit_id     INTEGER PRIMARY KEY,                                   -- internal
    delivery_id INTEGER NOT NULL REFERENCES delivery (delivery_id),    -- on which delivery
    use_case    TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- what is done
    round       INTEGER NOT NULL CHECK (round >= 1),                   -- 1, 2 … of this use case and delivery
    recipe      TEXT NOT NULL,                                         -- recipe version that it works by; may be empty
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'proposed', 'approved', 'running', 'staged',
                                               'ingested', 'failed', 'retracted')), -- where it stands
    made        TEXT NOT NULL CHECK (made GLOB '????-??-??T*Z'),       -- when the round was opened
    UNIQUE (delivery_id, use_case, round)
) STRICT;

-- Every change of a unit's state.
CREATE TABLE unit_history (
    unit_id    INTEGER NOT NULL REFERENCES unit (unit_id),             -- whose change
    number     INTEGER NOT NULL CHECK (number >= 1),                   -- 1, 2 … of this unit
    from_state TEXT NOT NULL,                                          -- state before
    to_state   TEXT NOT NULL,                                          -- state after
    changed    TEXT NOT NULL CHECK (changed GLOB '????-??-??T*Z'),     -- when
    who        TEXT NOT NULL CHECK (length(who) > 0),                  -- who or what changed it
    why        TEXT NOT NULL CHECK (length(why) > 0),                  -- the reason
    PRIMARY KEY (unit_id, number)
) STRICT;

-- A part of a round that one computer does in one go. All its files follow one survey profile.
CREATE TABLE task (
    task_id        INTEGER PRIMARY KEY,                                -- internal
    unit_id        INTEGER NOT NULL REFERENCES unit (unit_id),         -- whose part
    number         INTEGER NOT NULL CHECK (number >= 1),               -- 1, 2 … within the round
    survey         TEXT NOT NULL CHECK (length(survey) > 0),           -- name of the survey profile
    state          TEXT NOT NULL CHECK (state IN ('open', 'done', 'given_up')), -- given_up: its files are refused
    result_attempt INTEGER,                                            -- the attempt whose result was taken
    UNIQUE (unit_id, number),
    CHECK ((state = 'done') = (result_attempt IS NOT NULL)),
    FOREIGN KEY (task_id, result_attempt) REFERENCES attempt (task_id, number)
) STRICT;

-- Which files a task covers, and what became of each.
CREATE TABLE task_input (
    task_id           INTEGER NOT NULL REFERENCES task (task_id),      -- the task
    ordinal           INTEGER NOT NULL CHECK (ordinal >= 1),           -- order within the task: by file name
    multiframe_id     INTEGER NOT NULL REFERENCES image (multiframe_id), -- the image
    catalogue_version INTEGER,                                         -- its catalogue, when the task reads one
    outcome           TEXT CHECK (outcome IN ('done', 'refused', 'parked')), -- NULL until the task is done
    PRIMARY KEY (task_id, ordinal),
    UNIQUE (task_id, multiframe_id),
    FOREIGN KEY (multiframe_id, catalogue_version) REFERENCES catalogue (multiframe_id, version)
) STRICT;
CREATE INDEX task_input_multiframe ON task_input (multiframe_id);

-- One start of a task. A task may be started more than once, even at the same time; one result is taken.
CREATE TABLE attempt (
    task_id     INTEGER NOT NULL REFERENCES task (task_id),            -- the task
    number      INTEGER NOT NULL CHECK (number >= 1),                  -- 1, 2 … of this task
    state       TEXT NOT NULL CHECK (state IN ('running', 'taken', 'failed', 'lost', 'surplus')),
        -- taken: its result counts; surplus: another was first; lost: its lease ended
    directory   TEXT NOT NULL CHECK (length(directory) > 0),           -- below staging/
    swept       INTEGER NOT NULL DEFAULT 0 CHECK (swept IN (0, 1)),    -- 1: that directory was removed
    executor    TEXT NOT NULL CHECK (length(executor) > 0),            -- who started it, e.g. local
    holder      TEXT NOT NULL CHECK (length(holder) > 0),              -- process or job that holds the lease
    started     TEXT NOT NULL CHECK (started GLOB '????-??-??T*Z'),    -- when
    lease_until TEXT NOT NULL CHECK (lease_until GLOB '????-??-??T*Z'), -- until when nobody else may sweep it
    ended       TEXT CHECK (ended GLOB '????-??-??T*Z'),               -- when it was over
    why         TEXT,                                                  -- why it failed or was lost
    seconds     REAL CHECK (seconds >= 0),                             -- wall-clock time by its own report
    cpu_seconds REAL CHECK (cpu_seconds >= 0),                         -- CPU time by its own report
    peak_memory_bytes INTEGER CHECK (peak_memory_bytes >= 0),          -- by its own report
    input_bytes INTEGER CHECK (input_bytes >= 0),                      -- read from the library
    result      TEXT,                                                  -- its manifest (JSON), when taken
    PRIMARY KEY (task_id, number),
    CHECK ((state = 'running') = (ended IS NULL)),
    CHECK (state <> 'taken' OR result IS NOT NULL)
) STRICT;
CREATE INDEX attempt_running ON attempt (state) WHERE state = 'running';

-- Every act of curation that changed what the archive shows.
CREATE TABLE event (
    event_id INTEGER PRIMARY KEY CHECK (event_id >= 1),                -- from counter event
    act      TEXT NOT NULL CHECK (act IN ('ingest', 'reference', 'retract', 'restore', 'abandon')), -- what was done;
        -- abandon: the number was kept for a batch that took another one or failed
    unit_id  INTEGER REFERENCES unit (unit_id),                        -- to which round
    happened TEXT NOT NULL CHECK (happened GLOB '????-??-??T*Z'),      -- when
    who      TEXT NOT NULL CHECK (length(who) > 0),                    -- who or what did it
    why      TEXT NOT NULL CHECK (length(why) > 0),                    -- in a few words
    software TEXT NOT NULL CHECK (length(software) > 0),               -- version of the program
    CHECK (act = 'reference' OR unit_id IS NOT NULL)
) STRICT;
CREATE INDEX event_unit ON event (unit_id);

-- What a staged round leaves to ingest.
CREATE TABLE batch (
    unit_id      INTEGER PRIMARY KEY REFERENCES unit (unit_id),        -- the round
    staged       TEXT NOT NULL CHECK (staged GLOB '????-??-??T*Z'),    -- when its last task was done
    reserved     TEXT CHECK (reserved GLOB '????-??-??T*Z'),           -- when its id ranges were recorded
    reserved_event INTEGER UNIQUE CHECK (reserved_event >= 1),         -- event number kept for it; its lake files carry it
    event_id     INTEGER UNIQUE REFERENCES event (event_id),           -- the ingest; the claim to have published it
    failed_check TEXT CHECK (length(failed_check) > 0),                -- name of the check that refused it
    CHECK (event_id IS NULL OR failed_check IS NULL)
) STRICT;

-- How many rows of each table a published batch brought, as counted while loading.
CREATE TABLE batch_rows (
    unit_id    INTEGER NOT NULL REFERENCES batch (unit_id),            -- the batch
    table_name TEXT NOT NULL CHECK (length(table_name) > 0),           -- the table
    rows       INTEGER NOT NULL CHECK (rows >= 0),                     -- rows published
    PRIMARY KEY (unit_id, table_name)
) STRICT;

-- Rows of each catalogue HDU of a published batch: read = written + refused.
CREATE TABLE hdu_rows (
    unit_id       INTEGER NOT NULL REFERENCES batch (unit_id),         -- the batch
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the image
    hdu           INTEGER NOT NULL CHECK (hdu >= 0),                   -- HDU of the catalogue file, primary = 0
    rows_read     INTEGER NOT NULL CHECK (rows_read >= 0),             -- rows in the file
    rows_written  INTEGER NOT NULL CHECK (rows_written >= 0),          -- rows in the archive
    rows_refused  INTEGER NOT NULL CHECK (rows_refused >= 0),          -- rows refused
    PRIMARY KEY (unit_id, multiframe_id, hdu),
    CHECK (rows_read = rows_written + rows_refused)
) STRICT;

-- Identity of a programme and the last object id given to its detections.
CREATE TABLE programme_counter (
    programme_id INTEGER PRIMARY KEY CHECK (programme_id >= 1),        -- from counter programme, or from a profile
    last_obj_id  INTEGER NOT NULL DEFAULT 0 CHECK (last_obj_id >= 0)   -- object ids 1 to this one are in id_range
) STRICT;

-- Object ids given to a batch. Every id from 1 to the counter belongs to exactly one range.
CREATE TABLE id_range (
    programme_id INTEGER NOT NULL REFERENCES programme_counter (programme_id), -- whose ids
    first_obj_id INTEGER NOT NULL CHECK (first_obj_id >= 1),                   -- first
    last_obj_id  INTEGER NOT NULL CHECK (last_obj_id >= first_obj_id),         -- last
    unit_id      INTEGER NOT NULL REFERENCES batch (unit_id),                  -- given to this batch
    state        TEXT NOT NULL CHECK (state IN ('reserved', 'ingested', 'retracted', 'abandoned')), -- what became of it
    why          TEXT CHECK (length(why) > 0),                                 -- why it was abandoned
    PRIMARY KEY (programme_id, first_obj_id),
    UNIQUE (unit_id, programme_id),
    CHECK ((state = 'abandoned') = (why IS NOT NULL))
) STRICT;

-- What was not accepted. One row per delivery, file content, stage, HDU and code while it is not dealt with.
CREATE TABLE refusal (
    refusal_id  INTEGER PRIMARY KEY,                                   -- shown to operators
    delivery_id INTEGER NOT NULL REFERENCES delivery (delivery_id),    -- in which delivery
    file_id     INTEGER REFERENCES file (file_id),                     -- the content; NULL: never registered
    unit_id     INTEGER REFERENCES unit (unit_id),                     -- the round that refused it, if one did
    file_name   TEXT NOT NULL,                                         -- name in the delivery; empty: a whole round
    stage       TEXT NOT NULL CHECK (stage IN ('transfer', 'register', 'preview', 'metadata', 'catalogue', 'ingest')),
    code        TEXT NOT NULL CHECK (length(code) > 0 AND code NOT GLOB '*[^a-z0-9_]*'), -- reason, for machines
    hdu         INTEGER CHECK (hdu >= 0),                              -- primary = 0; NULL: the whole file
    keyword     TEXT,                                                  -- header keyword at fault
    column_name TEXT,                                                  -- table column at fault
    message     TEXT NOT NULL,                                         -- one sentence for people
    rows        INTEGER NOT NULL DEFAULT 0 CHECK (rows >= 0),          -- how many rows, when rows are refused
    row_ranges  TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(row_ranges)), -- [{"first":…,"last":…}, …]
    parked      INTEGER NOT NULL CHECK (parked IN (0, 1)),             -- 1: waits, and is taken up by itself
    state       TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'dismissed', 'retried', 'resolved')),
    seen_times  INTEGER NOT NULL DEFAULT 1 CHECK (seen_times >= 1),    -- how often it was met
    first_seen  TEXT NOT NULL CHECK (first_seen GLOB '????-??-??T*Z'), -- when first
    last_seen   TEXT NOT NULL CHECK (last_seen GLOB '????-??-??T*Z')   -- when last
) STRICT;
CREATE UNIQUE INDEX refusal_open ON refusal
    (delivery_id, file_name, stage, code, ifnull(hdu, -1), ifnull(file_id, 0), ifnull(unit_id * (file_name = ''), 0))
    WHERE state = 'open';
CREATE INDEX refusal_file ON refusal (file_id, stage);

-- Every decision on a refusal, by people or by what happened.
CREATE TABLE refusal_history (
    refusal_id INTEGER NOT NULL REFERENCES refusal (refusal_id),       -- whose change
    number     INTEGER NOT NULL CHECK (number >= 1),                   -- 1, 2 … of this refusal
    to_state   TEXT NOT NULL,                                          -- state after
    changed    TEXT NOT NULL CHECK (changed GLOB '????-??-??T*Z'),     -- when
    who        TEXT NOT NULL CHECK (length(who) > 0),                  -- who or what decided
    why        TEXT NOT NULL CHECK (length(why) > 0),                  -- the reason
    PRIMARY KEY (refusal_id, number)
) STRICT;

-- What was odd in what was accepted: the drift report, counted per round.
CREATE TABLE finding (
    delivery_id  INTEGER NOT NULL REFERENCES delivery (delivery_id),   -- in which delivery
    stage        TEXT NOT NULL CHECK (stage IN ('transfer', 'register', 'preview', 'metadata', 'catalogue', 'ingest')),
    round        INTEGER NOT NULL CHECK (round >= 0),                  -- of the stage's unit; 0 outside rounds
    code         TEXT NOT NULL CHECK (length(code) > 0),               -- kind, for machines
    subject      TEXT NOT NULL,                                        -- keyword or column; empty: none
    files        INTEGER NOT NULL CHECK (files >= 1),                  -- in how many files
    occurrences  INTEGER NOT NULL CHECK (occurrences >= 1),            -- how often in all
    example_file TEXT NOT NULL,                                        -- one of the files
    example_hdu  INTEGER CHECK (example_hdu >= 0),                     -- and the HDU
    message      TEXT NOT NULL,                                        -- one sentence for people
    PRIMARY KEY (delivery_id, stage, round, code, subject)
) STRICT;

-- Files that a use case is to do again: a refusal was retried, a programme was added, an old content came back.
CREATE TABLE redo (
    redo_id  INTEGER PRIMARY KEY,                                      -- internal
    file_id  INTEGER NOT NULL REFERENCES file (file_id),               -- image file
    use_case TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- what is to be done
    asked    TEXT NOT NULL CHECK (asked GLOB '????-??-??T*Z'),         -- when
    why      TEXT NOT NULL CHECK (length(why) > 0),                    -- the reason
    unit_id  INTEGER REFERENCES unit (unit_id)                         -- the round that took it up; NULL: none yet
) STRICT;
CREATE UNIQUE INDEX redo_pending ON redo (file_id, use_case) WHERE unit_id IS NULL;

-- Descriptions of the columns that come from table definitions, for readers that show them.
CREATE TABLE column_description (
    table_name  TEXT NOT NULL CHECK (length(table_name) > 0),          -- public name of the table
    column_name TEXT NOT NULL CHECK (length(column_name) > 0),         -- name of the column
    ordinal     INTEGER NOT NULL CHECK (ordinal >= 1),                 -- position, which is the Parquet field id
    type        TEXT NOT NULL CHECK (length(type) > 0),                -- i16, i32, i64, f32, f64, bool, text, bytes
    unit        TEXT NOT NULL,                                         -- VOUnits; empty: none
    ucd         TEXT NOT NULL,                                         -- UCD1+; empty: none
    description TEXT NOT NULL CHECK (length(description) > 0),         -- one sentence
    source      TEXT NOT NULL,                                         -- keyword, TTYPE or formula; empty: assigned
    PRIMARY KEY (table_name, column_name)
) STRICT;

-- Migrations that were applied.
CREATE TABLE migration (
    number  INTEGER PRIMARY KEY CHECK (number >= 1),                   -- 1, 2 …
    name    TEXT NOT NULL CHECK (length(name) > 0),                    -- what it brought
    applied TEXT NOT NULL CHECK (applied GLOB '????-??-??T*Z')         -- when
) STRICT;
