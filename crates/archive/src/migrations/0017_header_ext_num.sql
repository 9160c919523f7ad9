-- Rows of header name their HDU by ext_num alone, as every other table does: hdu counted the primary HDU as 0.

CREATE TABLE "header_next" (
    "multiframe_id" INTEGER NOT NULL REFERENCES image (multiframe_id), -- The multiframe.
    "file_name" TEXT NOT NULL, -- Image or catalogue file the HDU stands in.
    "ext_num" INTEGER NOT NULL CHECK ("ext_num" BETWEEN -32768 AND 32767), -- Extension number of the HDU in the file, primary = 1.
    "num_cards" INTEGER NOT NULL CHECK ("num_cards" BETWEEN -2147483648 AND 2147483647), -- Number of cards, END left out.
    "cards" BLOB NOT NULL, -- The 80-byte cards as delivered, END left out, compressed with zstd.
    begin_event INTEGER NOT NULL REFERENCES event (event_id), -- event that began the row
    end_event INTEGER REFERENCES event (event_id) CHECK (end_event >= begin_event), -- event that ended it
    PRIMARY KEY ("multiframe_id", "file_name", "ext_num", begin_event)
) STRICT;
INSERT INTO header_next (multiframe_id, file_name, ext_num, num_cards, cards, begin_event, end_event)
    SELECT multiframe_id, file_name, hdu + 1, num_cards, cards, begin_event, end_event FROM header_all
    ORDER BY multiframe_id, file_name, hdu, begin_event;
DROP VIEW header;
DROP TABLE header_all;
ALTER TABLE header_next RENAME TO header_all;
CREATE UNIQUE INDEX "header_current" ON "header_all" ("multiframe_id", "file_name", "ext_num") WHERE end_event IS NULL;
CREATE VIEW "header" AS SELECT "multiframe_id", "file_name", "ext_num", "num_cards", "cards", begin_event FROM "header_all" WHERE end_event IS NULL;
DELETE FROM column_description WHERE table_name = 'header' AND column_name = 'hdu';
