-- Extension numbers: every table counts HDUs as multiframe_detector.ext_num does, the primary HDU being 1.

-- Rows of each catalogue HDU of a published batch: read = written + refused.
CREATE TEMP TABLE old_hdu_rows AS SELECT * FROM hdu_rows;
DROP TABLE hdu_rows;

-- Rows of each catalogue HDU of a published batch: read = written + refused.
CREATE TABLE hdu_rows (
    unit_id       INTEGER NOT NULL REFERENCES batch (unit_id),         -- the batch
    multiframe_id INTEGER NOT NULL REFERENCES image (multiframe_id),   -- the image
    ext_num       INTEGER CHECK (ext_num >= 1), -- extension number (primary = 1) of the image's detector, as multiframe_detector.ext_num; NULL: none belongs to the HDU
    cat_ext_num   INTEGER NOT NULL CHECK (cat_ext_num >= 1), -- extension number (primary = 1) of the HDU in the catalogue file, as multiframe_detector.cat_ext_num
    rows_read     INTEGER NOT NULL CHECK (rows_read >= 0),             -- rows in the file
    rows_written  INTEGER NOT NULL CHECK (rows_written >= 0),          -- rows in the archive
    rows_refused  INTEGER NOT NULL CHECK (rows_refused >= 0),          -- rows refused
    PRIMARY KEY (unit_id, multiframe_id, cat_ext_num),
    CHECK (rows_read = rows_written + rows_refused)
) STRICT;
INSERT INTO hdu_rows (unit_id, multiframe_id, ext_num, cat_ext_num, rows_read, rows_written, rows_refused)
    SELECT unit_id, multiframe_id,
        CASE WHEN EXISTS (SELECT * FROM detector_rows AS d
                          WHERE d.multiframe_id = old_hdu_rows.multiframe_id AND d.ext_num = hdu + 1) THEN hdu + 1 END,
        hdu + 1, rows_read, rows_written, rows_refused
    FROM old_hdu_rows;
DROP TABLE old_hdu_rows;

DROP INDEX refusal_open;
DROP INDEX refusal_key;
ALTER TABLE refusal ADD COLUMN ext_num INTEGER /* extension number of the HDU in the file, primary = 1, as multiframe_detector.ext_num; NULL: the whole file */ CHECK (ext_num >= 1);
UPDATE refusal SET ext_num = hdu + 1;
ALTER TABLE refusal DROP COLUMN hdu;
CREATE UNIQUE INDEX refusal_open ON refusal
    (delivery_id, file_name, stage, code, ifnull(ext_num, -1), ifnull(file_id, 0), ifnull(unit_id * (file_name = ''), 0))
    WHERE state = 'open';
CREATE INDEX refusal_key ON refusal (delivery_id, file_name, stage, code, coalesce(ext_num, -1), coalesce(file_id, 0));

ALTER TABLE finding ADD COLUMN example_ext_num INTEGER /* extension number of the HDU in the example file, primary = 1; NULL: the whole file */ CHECK (example_ext_num >= 1);
UPDATE finding SET example_ext_num = example_hdu + 1;
ALTER TABLE finding DROP COLUMN example_hdu;
