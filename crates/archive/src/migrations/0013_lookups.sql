-- Look-ups that must not read a whole table: refusals by what they are about, ended rows by their event.

-- What a refusal is about, whether or not its content was registered.
CREATE INDEX refusal_key ON refusal (delivery_id, file_name, stage, code, coalesce(hdu, -1), coalesce(file_id, 0));

-- Rows that an event ended: a retraction opens what others had ended, an undo what it had ended itself.
CREATE INDEX detector_rows_end ON detector_rows (end_event) WHERE end_event IS NOT NULL;

ALTER TABLE attempt ADD COLUMN noted INTEGER NOT NULL DEFAULT 0 CHECK (noted >= 0); -- refusals of its result that are recorded: very many take several transactions
CREATE INDEX attempt_unswept ON attempt (task_id, number) WHERE swept = 0;
CREATE INDEX attempt_taken ON attempt (ended) WHERE state = 'taken';

-- The few among many.
CREATE INDEX retraction_open ON retraction (event_id, unit_id) WHERE undone_event IS NULL AND purged IS NULL;
CREATE INDEX id_range_abandoned ON id_range (unit_id, programme_id) WHERE state = 'abandoned';
CREATE INDEX scrub_unsound ON scrub (outcome) WHERE outcome <> 'sound';
