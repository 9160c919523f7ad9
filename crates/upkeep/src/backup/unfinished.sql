-- A backup does not hold the files of attempts in staging. Rounds that were running or staged have failed, and their
-- files are requested again. The words after colons are replaced by texts.
INSERT INTO redo (file_id, use_case, requested, why)
    SELECT DISTINCT image.file_id, unit.use_case, :now, :why
    FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id) JOIN image USING (multiframe_id)
    WHERE unit.state IN ('running', 'staged') AND NOT EXISTS (
        SELECT * FROM redo AS asked
        WHERE asked.file_id = image.file_id AND asked.use_case = unit.use_case AND asked.unit_id IS NULL);
INSERT INTO event (event_id, act, unit_id, happened, who, why, software)
    SELECT reserved_event, 'abandon', unit_id, :now, :who, :why, :software
    FROM batch JOIN unit USING (unit_id) WHERE state = 'staged' AND reserved_event IS NOT NULL AND event_id IS NULL;
UPDATE batch SET failed_check = :check WHERE unit_id IN (SELECT unit_id FROM unit WHERE state = 'staged');
UPDATE id_range SET state = 'abandoned', why = :why
    WHERE state = 'reserved' AND unit_id IN (SELECT unit_id FROM unit WHERE state IN ('running', 'staged'));
UPDATE attempt SET state = 'lost', ended = :now, why = :why
    WHERE state = 'running' AND task_id IN (
        SELECT task_id FROM task JOIN unit USING (unit_id) WHERE unit.state IN ('running', 'staged'));
UPDATE attempt SET swept = 1;
INSERT INTO unit_history (unit_id, number, from_state, to_state, changed, who, why)
    SELECT unit_id, (SELECT coalesce(max(number), 0) + 1 FROM unit_history AS h WHERE h.unit_id = unit.unit_id),
        state, 'failed', :now, :who, :why
    FROM unit WHERE state IN ('running', 'staged');
UPDATE unit SET state = 'failed' WHERE state IN ('running', 'staged');
