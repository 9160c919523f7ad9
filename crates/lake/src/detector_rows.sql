-- Locations of the detections of equal multiframe_id, ext_num, version, and whether they are current:
-- the access path of every search. Written by `lake::Publication` alone.
CREATE TABLE IF NOT EXISTS detector_rows (
    programme_id INTEGER NOT NULL CHECK (programme_id >= 1), -- owner of the rows
    first_obj_id INTEGER NOT NULL CHECK (first_obj_id >= 1), -- obj_id of the first row; the others follow
    rows INTEGER NOT NULL CHECK (rows >= 1), -- number of rows
    multiframe_id INTEGER NOT NULL CHECK (multiframe_id >= 1), -- Multiframe on which the source was detected.
    ext_num INTEGER NOT NULL CHECK (ext_num >= 1), -- Extension number of the detector, primary = 1.
    version INTEGER NOT NULL CHECK (version >= 1), -- version of the input
    file_id INTEGER NOT NULL, -- data_file_id in the lake's catalogue, of the entry that never ends
    file_row INTEGER NOT NULL CHECK (file_row >= 0), -- first row in the file, from 0
    begin_event INTEGER NOT NULL CHECK (begin_event >= 1), -- event that published the rows
    end_event INTEGER CHECK (end_event >= begin_event), -- event that ended them; NULL = current
    centre_healpix29 INTEGER CHECK (centre_healpix29 >= 0), -- cell of the centre of the circle below
    radius_deg REAL CHECK (radius_deg >= 0), -- radius of a circle that holds every position
    radius_class INTEGER, -- least k >= -12 with radius_deg <= 2^k
    PRIMARY KEY (programme_id, first_obj_id),
    CHECK ((centre_healpix29 IS NULL) = (radius_deg IS NULL) AND (radius_deg IS NULL) = (radius_class IS NULL))
) STRICT; -- with rowid: DuckDB's scanner counts by it
CREATE INDEX IF NOT EXISTS detector_rows_key ON detector_rows (multiframe_id, ext_num, version);
CREATE UNIQUE INDEX IF NOT EXISTS detector_rows_current ON detector_rows (multiframe_id, ext_num, programme_id) WHERE end_event IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS detector_rows_file ON detector_rows (file_id, file_row);
CREATE INDEX IF NOT EXISTS detector_rows_sky ON detector_rows (radius_class, centre_healpix29);
CREATE INDEX IF NOT EXISTS detector_rows_ended ON detector_rows (file_id, file_row, rows) WHERE end_event IS NOT NULL;
