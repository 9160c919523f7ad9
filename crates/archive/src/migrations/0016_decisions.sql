-- Decisions on plans, and which pauses a rejection gave: a plan that was rejected is resumed as one.

-- Every decision on a plan.
CREATE TABLE plan_decision (
    plan_id  INTEGER NOT NULL REFERENCES plan (plan_id),               -- the plan
    number   INTEGER NOT NULL CHECK (number >= 1),                     -- 1, 2 … of this plan
    act      TEXT NOT NULL CHECK (act IN ('approve', 'reject')),       -- what was decided
    about    TEXT NOT NULL CHECK (length(about) > 0),                  -- which part of the plan, in words
    decided  TEXT NOT NULL CHECK (decided GLOB '????-??-??T*Z'),       -- when
    who      TEXT NOT NULL CHECK (length(who) > 0),                    -- by whom
    why      TEXT NOT NULL CHECK (length(why) > 0),                    -- the reason
    PRIMARY KEY (plan_id, number)
) STRICT;

INSERT INTO plan_decision (plan_id, number, act, about, decided, who, why)
    SELECT plan_id, 1, CASE WHEN state = 'rejected' THEN 'reject' ELSE 'approve' END, 'not recorded', decided, who, why
    FROM plan WHERE decided IS NOT NULL AND who <> '' AND why <> '';

ALTER TABLE instruction ADD COLUMN plan_id INTEGER; -- the plan whose rejection gave it; NULL for an operator's own

UPDATE instruction SET plan_id = (SELECT max(plan.plan_id) FROM plan
                                  WHERE instruction.why LIKE 'plan ' || plan.plan_id || ' rejected: %')
    WHERE subject = 'unit' AND act = 'pause';
