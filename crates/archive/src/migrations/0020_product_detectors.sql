-- Supersession by detector: the detections of a detector yield only to accepted detections of the same detector.

-- What is published of the detections of each detector: a row per image and detector with an accepted catalogue HDU, an empty one included.
CREATE TABLE product_detector (
    multiframe_id   INTEGER NOT NULL REFERENCES image (multiframe_id), -- the image
    ext_num         INTEGER NOT NULL CHECK (ext_num >= 1),             -- extension number (primary = 1) of the detector
    detector        TEXT CHECK (length(detector) > 0),                 -- the detector as the headers of all processings name it, e.g. cam_num 3; NULL: unknown, its place counts
    state           TEXT NOT NULL CHECK (state IN ('current', 'superseded', 'retracted')), -- superseded: a newer image of the name shows the detector instead, or a decision ended it
    version         INTEGER NOT NULL CHECK (version >= 0),             -- version of the image's catalogue that its detections come from; 0: unknown
    ended_event     INTEGER CHECK (ended_event >= 1),                  -- event that ended its detections; NULL: they are current
    changed_event   INTEGER NOT NULL CHECK (changed_event >= 1),       -- event of the latest change of this row
    uncovered_event INTEGER CHECK (uncovered_event >= 1),              -- first event that published a newer round of the image's catalogue without accepted detections of the detector; NULL: the detections are of the newest round
    aside_event     INTEGER CHECK (aside_event > uncovered_event),     -- decision in force that ends the detections that such a round left; NULL: none
    PRIMARY KEY (multiframe_id, ext_num),
    CHECK ((state = 'current') = (ended_event IS NULL)),
    CHECK (aside_event IS NULL OR uncovered_event IS NOT NULL)
) STRICT;
CREATE INDEX product_detector_changed ON product_detector (changed_event);
CREATE INDEX product_detector_uncovered ON product_detector (multiframe_id) WHERE uncovered_event IS NOT NULL;

-- Spans of events in which detections that were opened again did not show.
CREATE TABLE detector_interruption (
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the image
    ext_num       INTEGER NOT NULL CHECK (ext_num >= 1),               -- extension number (primary = 1) of the detector
    from_event    INTEGER NOT NULL CHECK (from_event >= 1),            -- the event that had ended them
    to_event      INTEGER NOT NULL CHECK (to_event > from_event),      -- the event that opened them again
    PRIMARY KEY (multiframe_id, ext_num, from_event)
) STRICT;
INSERT INTO detector_interruption (multiframe_id, ext_num, from_event, to_event)
    SELECT DISTINCT interruption.multiframe_id, detector_rows.ext_num, from_event, to_event
    FROM interruption JOIN detector_rows ON detector_rows.multiframe_id = interruption.multiframe_id
    WHERE use_case = 'catalogue';
DELETE FROM interruption WHERE use_case = 'catalogue';
