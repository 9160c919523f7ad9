-- Planning: what was proposed, what operators decided, where attempts were sent.

-- What operators want until they say otherwise.
CREATE TABLE instruction (
    subject TEXT NOT NULL CHECK (subject IN ('all', 'host', 'use_case', 'night', 'delivery', 'unit')), -- about what kind of thing
    name    TEXT NOT NULL CHECK ((subject = 'all') = (name = '')),     -- which; a unit as delivery/use case
    act     TEXT NOT NULL CHECK (act IN ('pause', 'drain', 'priority', 'move')), -- what is to be
    value   TEXT NOT NULL,                                             -- the priority, or the host to move to; else empty
    since   TEXT NOT NULL CHECK (since GLOB '????-??-??T*Z'),          -- when it was given
    who     TEXT NOT NULL CHECK (length(who) > 0),                     -- by whom
    why     TEXT NOT NULL CHECK (length(why) > 0),                     -- the reason
    PRIMARY KEY (subject, name, act)
) STRICT;

-- Every instruction given or withdrawn.
CREATE TABLE instruction_history (
    number  INTEGER PRIMARY KEY,                                       -- in the order of time
    subject TEXT NOT NULL CHECK (length(subject) > 0),                 -- about what kind of thing
    name    TEXT NOT NULL,                                             -- which
    act     TEXT NOT NULL CHECK (length(act) > 0),                     -- what was to be
    value   TEXT NOT NULL,                                             -- the priority, or the host
    given   INTEGER NOT NULL CHECK (given IN (0, 1)),                  -- 1: given; 0: withdrawn
    changed TEXT NOT NULL CHECK (changed GLOB '????-??-??T*Z'),        -- when
    who     TEXT NOT NULL CHECK (length(who) > 0),                     -- by whom
    why     TEXT NOT NULL CHECK (length(why) > 0)                      -- the reason
) STRICT;

-- What was proposed to the operator.
CREATE TABLE plan (
    plan_id  INTEGER PRIMARY KEY,                                      -- 1, 2 … in the order of time
    proposed TEXT NOT NULL CHECK (proposed GLOB '????-??-??T*Z'),      -- when
    proposer TEXT NOT NULL CHECK (length(proposer) > 0),               -- who or what made it
    state    TEXT NOT NULL CHECK (state IN ('proposed', 'partly', 'approved', 'rejected', 'superseded')),
        -- partly: some of it was approved; superseded: a newer one took its place before it was decided
    document TEXT NOT NULL CHECK (length(document) > 0),               -- the whole of it (JSON)
    decided  TEXT CHECK (decided GLOB '????-??-??T*Z'),                -- when it was decided on last
    who      TEXT,                                                     -- by whom
    why      TEXT                                                      -- the reason
) STRICT;
CREATE INDEX plan_open ON plan (state) WHERE state IN ('proposed', 'partly');

-- Where and when a plan has a task run. One row per task, of the latest plan that speaks of it.
CREATE TABLE assignment (
    task_id  INTEGER PRIMARY KEY REFERENCES task (task_id),            -- the task
    plan_id  INTEGER NOT NULL REFERENCES plan (plan_id),               -- the plan
    host     TEXT NOT NULL CHECK (length(host) > 0),                   -- where
    starts   TEXT NOT NULL CHECK (starts GLOB '????-??-??T*Z'),        -- when it is expected to start
    seconds  REAL NOT NULL CHECK (seconds >= 0),                       -- how long it is expected to take
    approved INTEGER NOT NULL CHECK (approved IN (0, 1)),              -- 1: it may start
    is_bound INTEGER NOT NULL CHECK (is_bound IN (0, 1))               -- 1: on that host only
) STRICT;
CREATE INDEX assignment_plan ON assignment (plan_id);

-- Rounds that are not open yet and stand in a plan: approved with it, they may start as soon as they are.
CREATE TABLE coming_round (
    delivery_id INTEGER NOT NULL REFERENCES delivery (delivery_id),    -- of which delivery
    use_case    TEXT NOT NULL CHECK (use_case IN ('preview', 'metadata', 'catalogue')), -- of which use case
    plan_id     INTEGER NOT NULL REFERENCES plan (plan_id),            -- the plan
    approved    INTEGER NOT NULL CHECK (approved IN (0, 1)),           -- 1: decided already
    PRIMARY KEY (delivery_id, use_case)
) STRICT;

-- Where an attempt was sent, and what came of it there.
CREATE TABLE attempt_place (
    task_id      INTEGER NOT NULL,                                     -- the task
    number       INTEGER NOT NULL,                                     -- its start
    host         TEXT NOT NULL CHECK (length(host) > 0),               -- the computer
    job          TEXT NOT NULL,                                        -- what the executor calls it; empty: not known (yet)
    memory_bytes INTEGER NOT NULL CHECK (memory_bytes >= 0),           -- memory that it may use
    output_bytes INTEGER CHECK (output_bytes >= 0),                    -- bytes that it left, when its result was taken
    ended_by     TEXT CHECK (length(ended_by) > 0),                    -- code of its end without result
    PRIMARY KEY (task_id, number),
    FOREIGN KEY (task_id, number) REFERENCES attempt (task_id, number)
) STRICT;
