-- Cameras of deliveries, so that distinguishing providers reads no frames.

-- Telescopes and instruments that the headers of a delivery name, in lower case. Written with its metadata; the metadata of older
-- archives are read once.
CREATE TABLE camera (
    delivery_id INTEGER NOT NULL REFERENCES delivery (delivery_id), -- whose headers
    telescope   TEXT NOT NULL,                                      -- empty: the headers name none
    instrument  TEXT NOT NULL,                                      -- empty: the headers name none
    PRIMARY KEY (delivery_id, telescope, instrument),
    CHECK (telescope <> '' OR instrument <> '')
) STRICT;

-- Refusals of a file name, in whichever delivery.
CREATE INDEX refusal_name ON refusal (file_name);
