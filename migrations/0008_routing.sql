-- Routing: who is told of an alert by its labels, and what goes together in one message.

CREATE TABLE alert_routing (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision   bigint NOT NULL,
    document   jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO alert_routing (revision, document) VALUES (0, '{}');

COMMENT ON TABLE alert_routing IS 'receivers, and the routes by which alerts come to them: one row';
COMMENT ON COLUMN alert_routing.revision IS 'moves with every change';

ALTER TABLE notifications
    ALTER COLUMN rule_id DROP NOT NULL,
    ADD COLUMN receiver text NOT NULL DEFAULT '',
    ADD COLUMN group_key text NOT NULL DEFAULT '',
    ADD COLUMN group_labels jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN interval_ms bigint NOT NULL DEFAULT 0 CHECK (interval_ms >= 0),
    ADD COLUMN standing boolean NOT NULL DEFAULT false,
    -- A channel may be longer than an index takes.
    ADD COLUMN group_hash uuid NOT NULL
        GENERATED ALWAYS AS (md5(channel::text || group_key)::uuid) STORED,
    ADD COLUMN alert_hash uuid NOT NULL GENERATED ALWAYS AS (
        md5(coalesce(rule_id, 0)::text || coalesce(payload -> 'labels', '{}')::text)::uuid
    ) STORED;

CREATE INDEX notifications_gathering ON notifications (group_hash, id) WHERE state = 'pending';
CREATE INDEX notifications_told ON notifications (group_hash, finished_at)
    WHERE state <> 'pending' AND interval_ms > 0;
CREATE INDEX notifications_standing ON notifications (group_hash) WHERE standing;
-- Those of one alert waited for each other by it; now those of one group do.
DROP INDEX notifications_waiting;

COMMENT ON COLUMN notifications.rule_id IS 'the rule; NULL: the alert was posted by others';
COMMENT ON COLUMN notifications.receiver IS 'the name by which routes know the channel; empty: none';
COMMENT ON COLUMN notifications.group_key IS 'rows of one channel and key go in one message';
COMMENT ON COLUMN notifications.group_labels IS 'the labels that the alerts of the group share';
COMMENT ON COLUMN notifications.interval_ms IS 'the next message of the group waits so long';
COMMENT ON COLUMN notifications.standing IS 'the last its channel heard of an alert that fires on';
COMMENT ON COLUMN notifications.idempotency_key IS 'of the message it went in; the same each time';

ALTER TABLE alert_events ADD COLUMN notification_failed boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN alert_events.notification_failed IS 'somebody was to hear of it and did not';
