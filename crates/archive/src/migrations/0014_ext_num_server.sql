-- The same as 0014_ext_num.sql in place, so that the tables keep their rights and the counter of refusal_id.

ALTER TABLE hdu_rows DROP CONSTRAINT hdu_rows_pkey;
ALTER TABLE hdu_rows RENAME COLUMN hdu TO cat_ext_num;
UPDATE hdu_rows SET cat_ext_num = cat_ext_num + 1;
ALTER TABLE hdu_rows ADD PRIMARY KEY (unit_id, multiframe_id, cat_ext_num);
ALTER TABLE hdu_rows ADD COLUMN ext_num BIGINT CHECK (ext_num >= 1);
UPDATE hdu_rows SET ext_num = cat_ext_num WHERE EXISTS
    (SELECT * FROM detector_rows AS d WHERE d.multiframe_id = hdu_rows.multiframe_id AND d.ext_num = cat_ext_num);
COMMENT ON COLUMN hdu_rows.ext_num IS 'extension number (primary = 1) of the image''s detector, as multiframe_detector.ext_num; NULL: none belongs to the HDU';
COMMENT ON COLUMN hdu_rows.cat_ext_num IS 'extension number (primary = 1) of the HDU in the catalogue file, as multiframe_detector.cat_ext_num';

DROP INDEX refusal_open;
ALTER TABLE refusal RENAME COLUMN hdu TO ext_num;
UPDATE refusal SET ext_num = ext_num + 1;
CREATE UNIQUE INDEX refusal_open ON refusal
    (delivery_id, file_name, stage, code, coalesce(ext_num, -1), coalesce(file_id, 0), (CASE WHEN file_name = '' THEN coalesce(unit_id, 0) ELSE 0 END))
    WHERE state = 'open';
COMMENT ON COLUMN refusal.ext_num IS 'extension number of the HDU in the file, primary = 1, as multiframe_detector.ext_num; NULL: the whole file';

ALTER TABLE finding RENAME COLUMN example_hdu TO example_ext_num;
UPDATE finding SET example_ext_num = example_ext_num + 1;
COMMENT ON COLUMN finding.example_ext_num IS 'extension number of the HDU in the example file, primary = 1; NULL: the whole file';
