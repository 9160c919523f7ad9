-- Events and batches that are not, or not yet, to be seen: few among many, and every query of detections on a server asks.
CREATE INDEX event_abandoned ON event (event_id) WHERE act = 'abandon';
CREATE INDEX batch_coming ON batch (reserved_event) WHERE event_id IS NULL;
