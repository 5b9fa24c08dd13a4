-- The columnar engine's fresh samples, and the ledger that makes redelivery harmless.

-- A ledger row outlives the longest time after which a message may still come again; older
-- ones may be deleted at any time, which the block range index makes cheap to find.
CREATE TABLE ingest_ledger (
    message_id uuid PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ingest_ledger_written_at ON ingest_ledger USING brin (written_at);

CREATE SEQUENCE arrivals_id;

-- One row holds what one flush brought for one metric. Partitions are made by the engine, by
-- time of arrival, and have no key of their own: rows are never updated, only dropped with
-- their partition.
CREATE TABLE arrivals (
    id           bigint NOT NULL DEFAULT nextval('arrivals_id'),
    arrived_at   timestamptz NOT NULL,
    metric_id    integer NOT NULL,
    sample_count integer NOT NULL CHECK (sample_count > 0),
    min_time_ms  bigint NOT NULL,
    max_time_ms  bigint NOT NULL,
    payload      bytea NOT NULL,
    CHECK (octet_length(payload) = 20 * sample_count)
) PARTITION BY RANGE (arrived_at);

-- Long payloads are compressed: ids and times repeat, which halves the bytes on disk and in the
-- log (docs/decisions/arrivals.md).
ALTER TABLE arrivals ALTER COLUMN payload SET STORAGE EXTENDED;

COMMENT ON COLUMN arrivals.id IS 'the order of arrival: of two samples with one time the higher wins';
COMMENT ON COLUMN arrivals.payload IS
    'records of 20 bytes, little-endian: int32 series id, int64 Unix ms, float64 value';

CREATE INDEX arrivals_metric_time ON arrivals (metric_id, max_time_ms, min_time_ms);

-- Whole numbers and floats out of little-endian bytes, in plain SQL.
CREATE FUNCTION tidegauge_int8(record bytea, start integer, size integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT bit_or(get_byte(record, start + i)::bigint << (8 * i)) FROM generate_series(0, size - 1) i
$$;

CREATE FUNCTION tidegauge_float8(bits bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN exponent = 2047 AND fraction <> 0 THEN 'NaN'::double precision
        WHEN exponent = 2047 THEN sign * 'Infinity'::double precision
        WHEN exponent = 0 AND fraction = 0 THEN sign * 0::double precision
        WHEN exponent = 0 THEN sign * (fraction * 2::double precision ^ (-1074))
        ELSE sign * ((1 + fraction * 2::double precision ^ (-52))
            * 2::double precision ^ (exponent - 1023))
    END
    FROM (
        SELECT
            CASE WHEN bits < 0 THEN -1::double precision ELSE 1::double precision END AS sign,
            ((bits >> 52) & 2047)::integer AS exponent,
            (bits & 4503599627370495)::double precision AS fraction
    ) AS parts
$$;

-- Raw samples for a person with psql. Slow, and every arrival is shown, also those that a
-- later one with the same series and time outdoes; narrow it by arrived_at first.
CREATE VIEW metrics_raw AS
SELECT
    to_timestamp(tidegauge_int8(payload, 20 * n + 4, 8) / 1000.0) AS time,
    arrivals.metric_id,
    series.id AS series_id,
    series.tags,
    tidegauge_float8(tidegauge_int8(payload, 20 * n + 12, 8)) AS value,
    arrivals.arrived_at
FROM arrivals
CROSS JOIN LATERAL generate_series(0, arrivals.sample_count - 1) AS n
JOIN series ON series.id = tidegauge_int8(payload, 20 * n, 4)::integer;
