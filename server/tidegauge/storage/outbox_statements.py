"""The SQL of the outbox. A row with attempts belongs to a message; one without may still join."""

from __future__ import annotations

# Who comes while a group gathers goes with it; else the group is kept apart from its last message,
# and where it has been quiet, waits for others.
ENQUEUE = """
WITH new AS (
    SELECT *, md5(channel::text || group_key)::uuid AS group_hash
    FROM unnest(%s::bigint[], %s::integer[], %s::jsonb[], %s::jsonb[], %s::text[], %s::text[],
        %s::jsonb[], %s::bigint[], %s::bigint[])
        WITH ORDINALITY AS new (event_id, rule_id, channel, payload, receiver, group_key,
            group_labels, wait_ms, interval_ms, place)
), groups AS (
    SELECT group_hash, max(wait_ms) AS wait_ms, max(interval_ms) AS interval_ms
    FROM new GROUP BY group_hash
), timed AS (
    SELECT group_hash, coalesce(
        (
            SELECT next_attempt_at FROM notifications AS gathering
            WHERE gathering.group_hash = groups.group_hash AND state = 'pending' AND attempts = 0
            ORDER BY id LIMIT 1
        ),
        (
            SELECT max(finished_at) + make_interval(secs => groups.interval_ms / 1000.0)
            FROM notifications AS told
            WHERE told.group_hash = groups.group_hash AND state <> 'pending' AND interval_ms > 0
                AND finished_at > now() - make_interval(secs => groups.interval_ms / 1000.0)
        ),
        now() + make_interval(secs => wait_ms / 1000.0)
    ) AS due_at
    FROM groups
)
INSERT INTO notifications (event_id, rule_id, channel, payload, receiver, group_key, group_labels,
    interval_ms, next_attempt_at)
SELECT event_id, rule_id, channel, payload, receiver, group_key, group_labels, interval_ms, due_at
FROM new JOIN timed USING (group_hash)
ORDER BY place
"""

# The first row of a group stands for all of it: who has locked that one has the group. Those of a
# message that was tried come before the others, so that nobody hears "resolved" first and "firing"
# after it. Where messages are kept apart the last of an alert goes for all; else its end, and its
# next beginning, wait for a message of their own: people hear each.
CLAIM = """
WITH heads AS (
    SELECT due.id, due.group_hash, due.attempts > 0 AS sealed, due.idempotency_key
    FROM notifications AS due
    WHERE due.state = 'pending' AND due.next_attempt_at <= now()
        AND (due.claimed_until IS NULL OR due.claimed_until <= now())
        AND due.channel <> ALL (%(busy)s::jsonb[])
        AND NOT EXISTS (
            SELECT FROM notifications AS earlier
            WHERE earlier.state = 'pending' AND earlier.group_hash = due.group_hash
                AND (earlier.attempts = 0, earlier.id) < (due.attempts = 0, due.id)
        )
    ORDER BY due.next_attempt_at, due.id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), messages AS MATERIALIZED (
    SELECT group_hash, sealed,
        CASE WHEN sealed THEN idempotency_key ELSE gen_random_uuid() END AS key
    FROM heads
)
UPDATE notifications AS one SET
    attempts = attempts + 1,
    claimed_until = now() + make_interval(secs => %(claim_s)s),
    idempotency_key = messages.key
FROM messages CROSS JOIN LATERAL (
    SELECT id, sum(octet_length(payload::text)) OVER (ORDER BY id) AS bytes,
        row_number() OVER (ORDER BY id) AS place
    FROM (
        SELECT id, payload FROM notifications AS member
        WHERE member.state = 'pending' AND member.group_hash = messages.group_hash
            AND (member.attempts > 0) = messages.sealed
            AND (NOT messages.sealed OR member.idempotency_key = messages.key)
            AND (
                messages.sealed OR member.interval_ms > 0 OR NOT EXISTS (
                    SELECT FROM notifications AS before
                    WHERE before.state = 'pending' AND before.group_hash = member.group_hash
                        AND before.id < member.id AND before.alert_hash = member.alert_hash
                        AND (before.payload ->> 'status' = 'resolved')
                            <> (member.payload ->> 'status' = 'resolved')
                )
            )
        ORDER BY member.id LIMIT %(most)s
    ) AS found
) AS members
WHERE one.id = members.id
    AND (messages.sealed OR members.place = 1 OR members.bytes <= %(most_bytes)s)
RETURNING one.idempotency_key::text, one.group_hash::text, one.id, one.rule_id, one.channel,
    one.receiver, one.group_key, one.group_labels, one.payload, one.attempts,
    coalesce(extract(epoch FROM now() - (
        SELECT min(at) FROM notification_attempts WHERE notification_id = one.id
    )), 0)::float8, one.claimed_until, one.alert_hash::text
"""
# Nothing of it changes while a message of the group is on its way: each attempt finds the same.
READ_STANDING = """
SELECT wanted.group_hash::text, found.payload, found.alert_hash::text, found.number
FROM unnest(%(groups)s::uuid[]) AS wanted (group_hash) CROSS JOIN LATERAL (
    SELECT *, sum(octet_length(payload::text)) OVER (ORDER BY id) AS bytes
    FROM (
        SELECT id, payload, alert_hash, count(*) OVER () AS number FROM notifications AS told
        WHERE told.standing AND told.group_hash = wanted.group_hash
        ORDER BY id LIMIT %(most)s
    ) AS oldest
) AS found
WHERE found.bytes <= %(most_bytes)s
ORDER BY found.id
"""
SETTLE = """
UPDATE notifications SET
    state = %(state)s, last_answer = %(answer)s, claimed_until = NULL, finished_at = now(),
    standing = %(state)s = 'sent' AND payload ->> 'status' <> 'resolved' AND id IN (
        SELECT max(id) FROM notifications WHERE id = ANY (%(ids)s::bigint[]) GROUP BY alert_hash
    )
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'pending'
    AND (%(state)s = 'sent' OR claimed_until = %(claimed_until)s)
RETURNING event_id
"""
# What the channel heard of these alerts before is not the last any more. One whose labels have
# changed meanwhile, by a template or another rule, is known by the event of its beginning.
CLOSE_STANDING = """
UPDATE notifications AS told SET standing = false
FROM notifications AS settled LEFT JOIN alert_events AS event ON event.id = settled.event_id
WHERE settled.id = ANY (%(ids)s::bigint[]) AND told.id < settled.id
    AND told.standing AND told.group_hash = settled.group_hash
    AND (
        told.alert_hash = settled.alert_hash
        OR told.event_id IN (event.id, event.fired_event_id)
    )
"""
# What came while the message was on its way did not know when it would be settled. Where that held
# no more, by number or by size, the rest follows at once.
KEEP_APART = """
UPDATE notifications AS waiting SET
    next_attempt_at = greatest(
        waiting.next_attempt_at, now() + make_interval(secs => waiting.interval_ms / 1000.0)
    )
FROM notifications AS settled
WHERE settled.id = %(first_id)s AND waiting.group_hash = settled.group_hash
    AND waiting.state = 'pending' AND waiting.attempts = 0 AND waiting.interval_ms > 0
    AND cardinality(%(ids)s::bigint[]) < %(most)s
    AND (
        SELECT sum(octet_length(payload::text)) FROM notifications
        WHERE id = ANY (%(ids)s::bigint[])
    ) + (
        SELECT octet_length(payload::text) FROM notifications AS next
        WHERE next.group_hash = settled.group_hash AND next.state = 'pending'
            AND next.attempts = 0
        ORDER BY next.id LIMIT 1
    ) <= %(most_bytes)s
"""
MARK_EVENTS = "UPDATE alert_events SET notification_failed = true WHERE id = ANY (%s::bigint[])"
POSTPONE = """
UPDATE notifications SET
    next_attempt_at = now() + make_interval(secs => %(after_s)s),
    attempts = attempts - %(uncounted)s, last_answer = %(answer)s, claimed_until = NULL
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'pending' AND claimed_until = %(claimed_until)s
"""
# A row for each row of the message: what is asked for is always one alert.
NOTE_ATTEMPT = """
INSERT INTO notification_attempts (notification_id, attempt, outcome, answer)
SELECT id, %(attempt)s, %(outcome)s, %(answer)s
FROM unnest(%(ids)s::bigint[]) AS noted (id)
"""
READ_TOLD = """
SELECT event_id, channel, receiver, group_key, group_labels, interval_ms
FROM (
    SELECT DISTINCT ON (event_id, group_hash) *
    FROM notifications WHERE event_id = ANY (%s::bigint[])
    ORDER BY event_id, group_hash, id
) AS told
ORDER BY id
"""
READ_LOG = """
SELECT id, event_id, rule_id, channel, receiver, group_key, payload, state, attempts,
    idempotency_key::text, last_answer, created_at, next_attempt_at, finished_at
FROM notifications
WHERE rule_id = %(rule_id)s AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""
