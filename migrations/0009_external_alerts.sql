-- Alerts that others found, as a Prometheus or a Grafana: posted, told, and forgotten again.

CREATE TABLE external_alerts (
    fingerprint   bytea PRIMARY KEY CHECK (length(fingerprint) = 16),
    labels        jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    annotations   jsonb NOT NULL CHECK (jsonb_typeof(annotations) = 'object'),
    generator_url text NOT NULL,
    state         text NOT NULL CHECK (state IN ('firing', 'resolved')),
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    timed_out     boolean NOT NULL,
    updated_at    timestamptz NOT NULL,
    told          jsonb NOT NULL CHECK (jsonb_typeof(told) = 'array'),
    event_id      bigint NOT NULL,
    look_at       timestamptz NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX external_alerts_look ON external_alerts (look_at);

COMMENT ON TABLE external_alerts IS 'alerts that others post: they fire, or were resolved lately';
COMMENT ON COLUMN external_alerts.ends_at IS 'when it is over, unless it is posted again';
COMMENT ON COLUMN external_alerts.timed_out IS 'ends_at is a time limit of ours, not the sender''s';
COMMENT ON COLUMN external_alerts.told IS 'who has heard that it fires, by which route, and when';
COMMENT ON COLUMN external_alerts.event_id IS 'the event of its last change';
COMMENT ON COLUMN external_alerts.look_at IS 'when the evaluator has something to do about it';
