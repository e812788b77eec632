-- How long a job's time-out may be is for the settings to say. (A column's CHECK goes only with its column.)

ALTER TABLE job ADD COLUMN kept INTEGER;
UPDATE job SET kept = in_progress_timeout_minutes;
ALTER TABLE job DROP COLUMN in_progress_timeout_minutes;
ALTER TABLE job ADD COLUMN in_progress_timeout_minutes INTEGER CHECK (in_progress_timeout_minutes >= 1);
UPDATE job SET in_progress_timeout_minutes = kept;
ALTER TABLE job DROP COLUMN kept;
