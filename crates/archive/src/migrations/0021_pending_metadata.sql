-- Metadata that wait for detections: what a frame says of its catalogue changes in the event that publishes that catalogue's detections.

-- Frames, and detectors of frames, with metadata that were read with a catalogue whose detections are not published.
CREATE TABLE pending_metadata (
    multiframe_id     INTEGER NOT NULL REFERENCES image (multiframe_id), -- the frame
    ext_num           INTEGER NOT NULL CHECK (ext_num >= 0),           -- its detector; 0: the frame itself
    catalogue_version INTEGER NOT NULL CHECK (catalogue_version >= 0), -- version of the catalogue with which they were read; 0: without one
    event_id          INTEGER NOT NULL REFERENCES event (event_id),    -- the event that stored the rows, in which they began and ended
    PRIMARY KEY (multiframe_id, ext_num, catalogue_version)
) STRICT;
