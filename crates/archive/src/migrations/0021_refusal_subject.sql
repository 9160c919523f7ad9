-- What a refusal is about, which its message alone said before.

ALTER TABLE refusal ADD COLUMN subject TEXT; -- what it is about beside the file: the project of `unknown_project`, the refused image of `image_absent`; NULL: nothing else
UPDATE refusal SET subject = substr(message, 11, length(message) - 22)
WHERE code = 'image_absent' AND message LIKE 'its image % was refused';
UPDATE refusal SET subject = replace(replace(substr(message, 10, length(message) - 28), '\"', '"'), '\\', '\')
WHERE code = 'unknown_project' AND message LIKE 'project "%" is not registered';
