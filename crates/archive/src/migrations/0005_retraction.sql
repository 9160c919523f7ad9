-- Undo: what was taken out of the archive, what came back, and when rows that are current were not.

-- Rounds that were taken out of the archive.
CREATE TABLE retraction (
    event_id     INTEGER NOT NULL REFERENCES event (event_id),         -- the act that took it out
    unit_id      INTEGER NOT NULL REFERENCES unit (unit_id),           -- the round
    undone_event INTEGER REFERENCES event (event_id) CHECK (undone_event > event_id), -- the act that brought it back
    purged       TEXT CHECK (purged GLOB '????-??-??T*Z'),             -- when its rows were deleted
    PRIMARY KEY (event_id, unit_id),
    CHECK (undone_event IS NULL OR purged IS NULL)
) STRICT;
CREATE INDEX retraction_unit ON retraction (unit_id);

-- Spans of events in which rows that were opened again did not show.
CREATE TABLE interruption (
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- whose rows
    use_case      TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- in the tables of which use case
    from_event    INTEGER NOT NULL CHECK (from_event >= 1),            -- the event that had ended them
    to_event      INTEGER NOT NULL CHECK (to_event > from_event),      -- the event that opened them again
    PRIMARY KEY (multiframe_id, use_case, from_event)
) STRICT;
