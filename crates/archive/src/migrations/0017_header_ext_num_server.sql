-- The same as 0017_header_ext_num.sql in place, so that no row is copied and the table keeps its rights.

DROP VIEW header;
ALTER TABLE header_all DROP CONSTRAINT header_all_pkey;
DROP INDEX header_current;
UPDATE header_all SET ext_num = hdu + 1 WHERE ext_num <> hdu + 1;
ALTER TABLE header_all DROP COLUMN hdu;
ALTER TABLE header_all ADD PRIMARY KEY (multiframe_id, file_name, ext_num, begin_event);
CREATE UNIQUE INDEX header_current ON header_all (multiframe_id, file_name, ext_num) WHERE end_event IS NULL;
COMMENT ON COLUMN header_all.ext_num IS 'Extension number of the HDU in the file, primary = 1.';
CREATE VIEW header AS
    SELECT multiframe_id, file_name, ext_num, num_cards, cards, begin_event FROM header_all WHERE end_event IS NULL;
COMMENT ON VIEW header IS 'Header text of every HDU of image and catalogue, compressed: cards that no column takes are found here. Current rows.';
COMMENT ON COLUMN header.multiframe_id IS 'The multiframe.';
COMMENT ON COLUMN header.file_name IS 'Image or catalogue file the HDU stands in.';
COMMENT ON COLUMN header.ext_num IS 'Extension number of the HDU in the file, primary = 1.';
COMMENT ON COLUMN header.num_cards IS 'Number of cards, END left out.';
COMMENT ON COLUMN header.cards IS 'The 80-byte cards as delivered, END left out, compressed with zstd.';
COMMENT ON COLUMN header.begin_event IS 'event that began the row';
DELETE FROM column_description WHERE table_name = 'header' AND column_name = 'hdu';
