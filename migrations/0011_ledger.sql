-- What can be asked afterwards: how long an alert fired, who was told and when, who took it on.

ALTER TABLE alert_events ADD COLUMN fired_event_id bigint;

COMMENT ON COLUMN alert_events.fired_event_id IS
    'for the end of a firing: the event by which it began; NULL: nothing ended, or that is gone';

UPDATE alert_events AS ended SET fired_event_id = (
    SELECT max(began.id) FROM alert_events AS began
    WHERE began.rule_id = ended.rule_id AND began.labels = ended.labels
        AND began.state = 'firing' AND began.id < ended.id
)
WHERE ended.previous = 'firing' AND ended.rule_id IS NOT NULL;

CREATE INDEX alert_events_ended ON alert_events (fired_event_id)
    WHERE fired_event_id IS NOT NULL;
CREATE INDEX alert_events_alert ON alert_events (rule_id, jsonb_hash(labels), id);
CREATE INDEX notifications_created ON notifications (created_at);

CREATE TABLE alert_acknowledgements (
    event_id       bigint PRIMARY KEY REFERENCES alert_events (id) ON DELETE CASCADE,
    keep_repeating boolean NOT NULL,
    comment        text NOT NULL,
    made_by        text NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    ended_at       timestamptz
);

-- The evaluator reads it every second, and it holds only what still fires.
CREATE INDEX alert_acknowledgements_standing ON alert_acknowledgements (event_id)
    WHERE ended_at IS NULL;

COMMENT ON TABLE alert_acknowledgements IS 'somebody has taken on what fires';
COMMENT ON COLUMN alert_acknowledgements.event_id IS 'the event by which the alert began to fire';
COMMENT ON COLUMN alert_acknowledgements.keep_repeating IS
    'whether people are told again all the same';
COMMENT ON COLUMN alert_acknowledgements.ended_at IS 'when the alert ceased to fire';

CREATE TABLE notification_attempts (
    notification_id bigint NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt         integer NOT NULL,
    outcome         text NOT NULL
        CHECK (outcome IN ('sent', 'retry', 'failed', 'refused', 'given back')),
    answer          text NOT NULL
);

CREATE INDEX notification_attempts_notification ON notification_attempts (notification_id, at);

COMMENT ON TABLE notification_attempts IS 'each time that somebody was to be told, and the answer';
COMMENT ON COLUMN notification_attempts.attempt IS
    'which one it was, from 1; refused and given back do not count';

-- Columns of these views stay as they are; the tables below them may change.

CREATE VIEW alert_history AS
SELECT id AS event_id, at, rule_id, rule_name, severity, labels, previous, state, value,
    details ?| ARRAY['silence_id', 'maintenance_window_id'] AS muted, details ->> 'reason' AS reason
FROM alert_events;

COMMENT ON VIEW alert_history IS 'every change of state of every alert';

CREATE VIEW alert_firings AS
SELECT began.id AS event_id, began.rule_id, began.rule_name, began.severity, began.labels,
    began.value, began.at AS started_at, ended.at AS ended_at,
    extract(epoch FROM ended.at - began.at)::float8 AS duration_s,
    began.details ?| ARRAY['silence_id', 'maintenance_window_id'] AS muted,
    told.first_notified_at, told.notified, told.failed,
    taken.made_at AS acknowledged_at, taken.made_by AS acknowledged_by,
    taken.comment AS acknowledgement
FROM alert_events AS began
LEFT JOIN alert_events AS ended ON ended.fired_event_id = began.id
LEFT JOIN alert_acknowledgements AS taken ON taken.event_id = began.id
LEFT JOIN LATERAL (
    SELECT min(finished_at) FILTER (WHERE notifications.state = 'sent') AS first_notified_at,
        count(*) FILTER (WHERE notifications.state = 'sent') AS notified,
        count(*) FILTER (WHERE notifications.state = 'failed') AS failed
    FROM notifications WHERE notifications.event_id = began.id
) AS told ON true
WHERE began.state = 'firing';

COMMENT ON VIEW alert_firings IS 'a row for each time that an alert fired, from beginning to end';

CREATE VIEW alert_deliveries AS
SELECT id AS notification_id, event_id, rule_id, channel ->> 'type' AS channel_type,
    payload ->> 'status' AS status, payload -> 'labels' AS labels, state, attempts,
    last_answer AS answer, idempotency_key, created_at, finished_at,
    extract(epoch FROM finished_at - created_at)::float8 AS took_s
FROM notifications;

COMMENT ON VIEW alert_deliveries IS 'who was told of an alert, without the addresses';
