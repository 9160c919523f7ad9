-- Names of frames: images whose file names differ in FITS and compression endings alone are versions of one frame.

ALTER TABLE file ADD COLUMN frame_name TEXT NOT NULL DEFAULT '' CHECK (length(frame_name) <= 1000); -- name without FITS and compression endings, which the images of a frame have in common; never empty
CREATE INDEX file_frame_name ON file (frame_name, delivery_id);
