-- Reopenings of this archive after a move, since the place to which it had moved was lost.
CREATE TABLE reopening (
    move        TEXT NOT NULL CHECK (length(move) > 0),                   -- the move that is revoked, as in `relocation`
    place       TEXT NOT NULL CHECK (length(place) > 0),                  -- the place that was lost: URL without password, or path
    lost_events INTEGER CHECK (lost_events >= 0),                         -- events that only that place has; NULL: it could not be read
    reopened    TEXT NOT NULL PRIMARY KEY CHECK (reopened GLOB '????-??-??T*Z'), -- when
    who         TEXT NOT NULL CHECK (length(who) > 0),                    -- by whom
    why         TEXT NOT NULL CHECK (length(why) > 0)                     -- the reason
) STRICT;
