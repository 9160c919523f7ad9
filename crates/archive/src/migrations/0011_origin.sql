-- Deliveries by where they come from, and what their sources show that was not fetched.

ALTER TABLE delivery ADD COLUMN closed TEXT CHECK (closed GLOB '????-??-??T*Z'); -- when an operator declared it complete; NULL when none did
ALTER TABLE delivery ADD COLUMN closed_by TEXT CHECK (length(closed_by) > 0); -- the operator who declared it complete

-- Origins of deliveries. A directory of the same name at another origin is another delivery.
CREATE TABLE delivery_origin (
    origin    TEXT NOT NULL CHECK (length(origin) > 0),             -- name of a configured source, or address of the parent directory
    directory TEXT NOT NULL CHECK (length(directory) > 0),          -- name of the delivery's directory at the origin
    delivery  TEXT NOT NULL CHECK (length(delivery) > 0),           -- name of the delivery; reserved until it has files
    address   TEXT NOT NULL CHECK (length(address) > 0),            -- address of the parent directory, without secrets
    is_source INTEGER NOT NULL CHECK (is_source IN (0, 1)),         -- 1: the configuration names the origin as a source
    joined_by TEXT CHECK (length(joined_by) > 0),                   -- operator who declared it the same delivery; NULL for its first origin
    recorded  TEXT NOT NULL CHECK (recorded GLOB '????-??-??T*Z'),  -- when the row was written
    PRIMARY KEY (origin, directory)
) STRICT;
CREATE INDEX delivery_origin_delivery ON delivery_origin (delivery);

-- Entries that a delivery's source showed at the last listing and that were not fetched.
CREATE TABLE skipped (
    delivery_id INTEGER NOT NULL REFERENCES delivery (delivery_id),    -- whose entry it is
    name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 4000), -- as the source shows it, escaped where needed
    code        TEXT NOT NULL CHECK (code NOT GLOB '*[^a-z0-9_]*'),    -- machine-readable reason
    why         TEXT NOT NULL CHECK (length(why) > 0),                 -- reason in words
    first_seen  TEXT NOT NULL CHECK (first_seen GLOB '????-??-??T*Z'), -- first listing that showed it
    PRIMARY KEY (delivery_id, name)
) STRICT;

INSERT INTO delivery_origin (origin, directory, delivery, address, is_source, recorded)
    SELECT address, name, name, address, 0, first_seen
    FROM (SELECT name, first_seen,
              CASE WHEN length(source) > length(name) + 1
                        AND substr(source, length(source) - length(name), length(name) + 1) = '/' || name
                   THEN substr(source, 1, length(source) - length(name) - 1) ELSE source END AS address
          FROM delivery) AS known;
