-- Refusals that an operator overruled: what was refused is used all the same.

ALTER TABLE refusal ADD COLUMN taken INTEGER NOT NULL DEFAULT 0 CHECK (taken IN (0, 1)); -- 1: accepted, and what was refused is used all the same
