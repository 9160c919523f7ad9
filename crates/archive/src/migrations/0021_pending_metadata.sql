-- Metadata that wait for detections: what a frame says of its catalogue changes in the event that publishes that catalogue's detections.

-- Frames, and detectors of frames, whose latest metadata were read with a catalogue whose detections are not published.
CREATE TABLE pending_metadata (
    multiframe_id     INTEGER NOT NULL REFERENCES image (multiframe_id), -- the frame
    ext_num           INTEGER NOT NULL CHECK (ext_num >= 0),           -- its detector; 0: the frame itself
    event_id          INTEGER NOT NULL REFERENCES event (event_id),    -- the event that stored the rows, in which they began and ended
    catalogue_version INTEGER,                                         -- version of the catalogue with which they were read; NULL: without one
    PRIMARY KEY (multiframe_id, ext_num)
) STRICT;
