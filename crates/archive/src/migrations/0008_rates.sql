-- What tasks yield in rows, for rates.
ALTER TABLE attempt_place ADD COLUMN output_rows INTEGER CHECK (output_rows >= 0); -- rows that it left, when its result was taken
