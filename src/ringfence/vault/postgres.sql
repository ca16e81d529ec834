-- The tables and functions of the PostgreSQL store (version 15 or later), made by `PostgresStore.create` in one
-- transaction. Schema version 2.
--
--   subjects      one row a user: the random reference and the blind index that finds it
--   erased_users  blind indexes of users who were erased, so that an old export does not bring one back
--   subject_keys  one wrapped data key a subject and class
--   parts         one sealed part a record and class; the key's order lets a subject's records lie together
--   searches      the blind-index token of one record under one searchable field
--   counters      the last step of each counter; the row stays locked until its batch commits
--   requests      keys of requests that were taken, with what was answered
--   rule_head     one row: the epoch, the number of rules committed
--   lanes         where each lane stands
--   batches       header, entries (packed), sealed detail and authentication code; rules name their blob
--   seals         lanes' signatures, as leaves
--   blobs         bytes that rules name by SHA-256
--   tree_head     one row: the tree as committed, and the sequencer's term
--   placements    where each batch stands in the tree
--   checkpoints   signed notes by size, with the time they were kept
--
-- Rules of this file:
-- 1. Advisory lock 5929356452438560323 is the rule lock: shared for an access, exclusive for a rule, taken by
--    `commit_batch` and held to the end of the transaction. (1380338766, lane) is the claim of a lane, held by a session.
-- 2. `commit_batch` must be called under READ COMMITTED: it is VOLATILE, so each of its statements has a snapshot of its
--    own, and the epoch, and for a rule the lanes' newest time, is read by one that starts after the lock was granted.
-- 3. Each function takes the result of the one that must run before it, so that one statement runs them in order.
-- 4. A row that conflicts raises a state of class RF; the detail lists the places (from 1) of the rows at fault: those
--    that do not stand in the table as written by this transaction (xmin), or nothing when that does not tell.
-- 5. Text compares by bytes. Ciphertext is never compressed; entries are.

CREATE SCHEMA ringfence;

CREATE TABLE ringfence.schema_version (only_row boolean PRIMARY KEY CHECK (only_row), version integer NOT NULL);
INSERT INTO ringfence.schema_version VALUES (true, 3);

CREATE TABLE ringfence.subjects (
    subject_ref bytea PRIMARY KEY CHECK (length(subject_ref) = 16),
    user_index bytea NOT NULL UNIQUE CHECK (length(user_index) = 16)
);

CREATE TABLE ringfence.erased_users (user_index bytea PRIMARY KEY CHECK (length(user_index) = 16));

CREATE TABLE ringfence.subject_keys (
    subject_ref bytea NOT NULL CHECK (length(subject_ref) = 16),
    data_class text COLLATE "C" NOT NULL,
    key_epoch bigint NOT NULL,
    wrapped bytea NOT NULL,
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    PRIMARY KEY (subject_ref, data_class)
);

CREATE TABLE ringfence.parts (
    subject_ref bytea NOT NULL CHECK (length(subject_ref) = 16),
    dataset text COLLATE "C" NOT NULL,
    record_key bytea NOT NULL CHECK (length(record_key) = 16),
    data_class text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    sealed bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (subject_ref, dataset, record_key, data_class)
) WITH (fillfactor = 90);

CREATE TABLE ringfence.searches (
    subject_ref bytea NOT NULL CHECK (length(subject_ref) = 16),
    field text COLLATE "C" NOT NULL,
    record_key bytea NOT NULL CHECK (length(record_key) = 16),
    token bytea NOT NULL CHECK (length(token) = 16),
    PRIMARY KEY (subject_ref, field, record_key)
);
CREATE INDEX searches_by_token ON ringfence.searches (field, token, subject_ref);

CREATE TABLE ringfence.counters (
    counter text COLLATE "C" PRIMARY KEY,
    ordinal bigint NOT NULL,
    amount bigint NOT NULL,
    total bigint NOT NULL,
    day bigint NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE ringfence.requests (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    digest bytea NOT NULL,
    lane bigint NOT NULL,
    n bigint NOT NULL,
    "position" integer NOT NULL,
    answer bytea NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX requests_by_time ON ringfence.requests (at_ms);

CREATE TABLE ringfence.rule_head (only_row boolean PRIMARY KEY CHECK (only_row), epoch bigint NOT NULL);
INSERT INTO ringfence.rule_head VALUES (true, 0);

CREATE TABLE ringfence.lanes (
    lane bigint PRIMARY KEY CHECK (lane BETWEEN 0 AND 4194303),
    n bigint NOT NULL CHECK (n BETWEEN 1 AND 1099511627775),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    at_ms bigint NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE ringfence.batches (
    lane bigint NOT NULL,
    n bigint NOT NULL,
    epoch bigint NOT NULL,
    header bytea NOT NULL,
    entry_count integer NOT NULL,
    entries bytea NOT NULL,
    detail bytea STORAGE EXTERNAL NOT NULL,
    code bytea NOT NULL,
    rule boolean NOT NULL,
    blob_digest bytea,
    PRIMARY KEY (lane, n)
);
CREATE UNIQUE INDEX rules_by_epoch ON ringfence.batches (epoch) WHERE rule;

CREATE TABLE ringfence.seals (
    lane bigint NOT NULL,
    n bigint NOT NULL,
    epoch bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (lane, n)
);

CREATE TABLE ringfence.blobs (digest bytea PRIMARY KEY CHECK (length(digest) = 32), content bytea NOT NULL);

CREATE TABLE ringfence.tree_head (
    only_row boolean PRIMARY KEY CHECK (only_row),
    size bigint NOT NULL,
    root bytea NOT NULL CHECK (length(root) = 32),
    frontier bytea NOT NULL,
    term bigint NOT NULL,
    epoch bigint NOT NULL,
    sequenced text NOT NULL
) WITH (fillfactor = 20);
INSERT INTO ringfence.tree_head VALUES (true, 0, sha256(''), '\x0000000000000000', 0, 0, '{}');

CREATE TABLE ringfence.placements (
    first_leaf bigint PRIMARY KEY,
    lane bigint NOT NULL,
    n bigint NOT NULL,
    UNIQUE (lane, n)
);

CREATE TABLE ringfence.checkpoints (
    size bigint PRIMARY KEY,
    note bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION ringfence.refuse(state text, places bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows conflict' USING ERRCODE = state, DETAIL = coalesce(array_to_string(places, ','), '');
END $$;

CREATE FUNCTION ringfence.commit_batch(
    p_lane bigint, p_n bigint, p_previous bytea, p_epoch bigint, p_hash bytea, p_at_ms bigint, p_header bytea,
    p_entry_count integer, p_entries bytea, p_detail bytea, p_code bytea, p_rule boolean, p_seal bytea, p_blob bytea
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    stored bigint;
    newest_ms bigint;
    clock_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    IF p_rule THEN
        PERFORM pg_advisory_xact_lock(5929356452438560323);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(5929356452438560323);
    END IF;
    SELECT epoch INTO stored FROM ringfence.rule_head;
    IF stored <> p_epoch THEN
        RAISE EXCEPTION 'the epoch moved' USING ERRCODE = 'RF001', DETAIL = stored::text;
    END IF;
    IF p_rule OR p_at_ms > clock_ms + 1000 THEN  -- 1000: TIME_OFF_MS_MAX
        SELECT coalesce(max(at_ms), 0) INTO newest_ms FROM ringfence.lanes;
        IF p_rule AND newest_ms > p_at_ms + 1000 THEN
            RAISE EXCEPTION 'the time has passed' USING ERRCODE = 'RF003', DETAIL = newest_ms::text;
        END IF;
        IF p_at_ms > greatest(newest_ms, clock_ms + 1000) THEN
            RAISE EXCEPTION 'the time has not come' USING ERRCODE = 'RF004', DETAIL = (p_at_ms - clock_ms)::text;
        END IF;
    END IF;
    IF p_n = 1 THEN
        INSERT INTO ringfence.lanes SELECT p_lane, 1, p_hash, p_at_ms
        WHERE p_previous = '\x0000000000000000000000000000000000000000000000000000000000000000' ON CONFLICT DO NOTHING;
    ELSE
        UPDATE ringfence.lanes SET n = p_n, hash = p_hash, at_ms = p_at_ms
        WHERE lane = p_lane AND n = p_n - 1 AND hash = p_previous;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lane moved' USING ERRCODE = 'RF002';
    END IF;
    INSERT INTO ringfence.batches VALUES (
        p_lane, p_n, p_epoch, p_header, p_entry_count, p_entries, p_detail, p_code, p_rule,
        CASE WHEN p_blob <> '' THEN sha256(p_blob) END
    );
    IF p_blob <> '' THEN
        INSERT INTO ringfence.blobs VALUES (sha256(p_blob), p_blob) ON CONFLICT DO NOTHING;
    END IF;
    IF p_seal <> '' THEN
        INSERT INTO ringfence.seals VALUES (p_lane, p_n, p_epoch, p_seal);
    END IF;
    IF p_rule THEN
        UPDATE ringfence.rule_head SET epoch = epoch + 1;
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.erase(p_after boolean, p_subjects bytea[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    done bytea[];
BEGIN
    INSERT INTO ringfence.erased_users SELECT user_index FROM ringfence.subjects WHERE subject_ref = ANY (p_subjects)
    ON CONFLICT DO NOTHING;
    DELETE FROM ringfence.searches WHERE subject_ref = ANY (p_subjects);
    DELETE FROM ringfence.parts WHERE subject_ref = ANY (p_subjects);
    DELETE FROM ringfence.subject_keys WHERE subject_ref = ANY (p_subjects);
    WITH gone AS (DELETE FROM ringfence.subjects WHERE subject_ref = ANY (p_subjects) RETURNING subject_ref)
    SELECT coalesce(array_agg(subject_ref), '{}') INTO done FROM gone;
    IF cardinality(done) <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF018', array_agg(place))
        FROM unnest(p_subjects) WITH ORDINALITY AS g (s, place) WHERE g.s <> ALL (done);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.add_subjects(p_after boolean, p_subjects bytea[], p_indexes bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO ringfence.subjects SELECT * FROM unnest(p_subjects, p_indexes) AS g (s, i) ORDER BY i
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF011', array_agg(g.place))
        FROM unnest(p_subjects, p_indexes) WITH ORDINALITY AS g (s, i, place)
        WHERE NOT EXISTS (
            SELECT FROM ringfence.subjects t
            WHERE t.subject_ref = g.s AND t.user_index = g.i AND t.xmin = pg_current_xact_id()::xid
        );
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.add_keys(
    p_after boolean, p_subjects bytea[], p_classes text[], p_epochs bigint[], p_wrapped bytea[], p_commitments bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO ringfence.subject_keys
    SELECT g.* FROM unnest(p_subjects, p_classes, p_epochs, p_wrapped, p_commitments) AS g (s, c, e, w, m)
    WHERE EXISTS (SELECT FROM ringfence.subjects t WHERE t.subject_ref = g.s) ORDER BY g.s, g.c
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF012', array_agg(g.place))
        FROM unnest(p_subjects, p_classes, p_wrapped) WITH ORDINALITY AS g (s, c, w, place)
        WHERE NOT EXISTS (
            SELECT FROM ringfence.subject_keys t
            WHERE t.subject_ref = g.s AND t.data_class = g.c AND t.wrapped = g.w
                AND t.xmin = pg_current_xact_id()::xid
        );
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.step_counts(
    p_after boolean, p_counters text[], p_firsts bigint[], p_ordinals bigint[], p_amounts bigint[], p_totals bigint[],
    p_days bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    refused bigint[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(p_counters) LOOP
        IF p_firsts[i] = 1 THEN
            INSERT INTO ringfence.counters VALUES (p_counters[i], p_ordinals[i], p_amounts[i], p_totals[i], p_days[i])
            ON CONFLICT DO NOTHING;
        ELSE
            UPDATE ringfence.counters
            SET ordinal = p_ordinals[i], amount = p_amounts[i], total = p_totals[i], day = p_days[i]
            WHERE counter = p_counters[i] AND ordinal = p_firsts[i] - 1;
        END IF;
        IF NOT FOUND THEN
            refused := refused || i::bigint;
        END IF;
    END LOOP;
    IF refused <> '{}' THEN
        PERFORM ringfence.refuse('RF013', refused);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.drop_parts(
    p_after boolean, p_subjects bytea[], p_datasets text[], p_records bytea[], p_classes text[], p_versions bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    done bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM ringfence.parts t
        USING unnest(p_subjects, p_datasets, p_records, p_classes, p_versions) WITH ORDINALITY AS g (s, d, r, c, v, place)
        WHERE t.subject_ref = g.s AND t.dataset = g.d AND t.record_key = g.r AND t.data_class = g.c AND t.version = g.v
        RETURNING g.place
    )
    SELECT array_agg(place) INTO done FROM gone;
    IF coalesce(cardinality(done), 0) <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF014', array_agg(place))
        FROM generate_series(1, cardinality(p_subjects)) place WHERE place <> ALL (coalesce(done, '{}'));
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.add_parts(
    p_after boolean, p_subjects bytea[], p_datasets text[], p_records bytea[], p_classes text[], p_sealed bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO ringfence.parts (subject_ref, dataset, record_key, data_class, version, sealed)
    SELECT s, d, r, c, 1, e FROM unnest(p_subjects, p_datasets, p_records, p_classes, p_sealed) AS g (s, d, r, c, e)
    ORDER BY s, d, r, c
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF015', array_agg(g.place))
        FROM unnest(p_subjects, p_datasets, p_records, p_classes) WITH ORDINALITY AS g (s, d, r, c, place)
        WHERE NOT EXISTS (
            SELECT FROM ringfence.parts t
            WHERE t.subject_ref = g.s AND t.dataset = g.d AND t.record_key = g.r AND t.data_class = g.c
                AND t.xmin = pg_current_xact_id()::xid
        );
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.change_parts(
    p_after boolean, p_subjects bytea[], p_datasets text[], p_records bytea[], p_classes text[], p_versions bigint[],
    p_sealed bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    done bigint[];
BEGIN
    WITH changed AS (
        UPDATE ringfence.parts t SET version = g.v, sealed = g.e
        FROM (
            SELECT * FROM unnest(p_subjects, p_datasets, p_records, p_classes, p_versions, p_sealed)
                WITH ORDINALITY AS u (s, d, r, c, v, e, place)
            ORDER BY s, d, r, c
        ) AS g
        WHERE t.subject_ref = g.s AND t.dataset = g.d AND t.record_key = g.r AND t.data_class = g.c
            AND t.version = g.v - 1
        RETURNING g.place
    )
    SELECT array_agg(place) INTO done FROM changed;
    IF coalesce(cardinality(done), 0) <> cardinality(p_subjects) THEN
        PERFORM ringfence.refuse('RF016', array_agg(place))
        FROM generate_series(1, cardinality(p_subjects)) place WHERE place <> ALL (coalesce(done, '{}'));
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.put_searches(
    p_after boolean, p_subjects bytea[], p_fields text[], p_records bytea[], p_tokens bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ringfence.searches t USING unnest(p_subjects, p_fields, p_records, p_tokens) AS g (s, f, r, k)
    WHERE g.k IS NULL AND t.subject_ref = g.s AND t.field = g.f AND t.record_key = g.r;
    INSERT INTO ringfence.searches
    SELECT * FROM unnest(p_subjects, p_fields, p_records, p_tokens) AS g (s, f, r, k)
    WHERE k IS NOT NULL ORDER BY s, f, r
    ON CONFLICT (subject_ref, field, record_key) DO UPDATE SET token = excluded.token;
    RETURN true;
END $$;

-- A subject cannot go between this and the commit: erasing one is a rule, which waits for the shared rule lock.
CREATE FUNCTION ringfence.require_subjects(p_after boolean, p_subjects bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    missing bigint[];
BEGIN
    SELECT array_agg(g.place) INTO missing FROM unnest(p_subjects) WITH ORDINALITY AS g (s, place)
    WHERE NOT EXISTS (SELECT FROM ringfence.subjects t WHERE t.subject_ref = g.s);
    IF missing IS NOT NULL THEN
        PERFORM ringfence.refuse('RF019', missing);
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION ringfence.add_requests(
    p_after boolean, p_keys bytea[], p_digests bytea[], p_lanes bigint[], p_ns bigint[], p_positions integer[],
    p_answers bytea[], p_times bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO ringfence.requests
    SELECT * FROM unnest(p_keys, p_digests, p_lanes, p_ns, p_positions, p_answers, p_times) AS g (k, d, l, n, p, a, t)
    ORDER BY k
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(p_keys) THEN
        PERFORM ringfence.refuse('RF017', array_agg(g.place))
        FROM unnest(p_keys, p_lanes, p_ns, p_positions) WITH ORDINALITY AS g (k, l, n, p, place)
        WHERE NOT EXISTS (
            SELECT FROM ringfence.requests t
            WHERE t.key = g.k AND t.lane = g.l AND t.n = g.n AND t."position" = g.p
                AND t.xmin = pg_current_xact_id()::xid
        );
    END IF;
    RETURN true;
END $$;

-- The lateral LIMIT holds the planner to one index search a row, whatever it believes of the table's size.
CREATE FUNCTION ringfence.read_records(
    p_after boolean, p_subjects bytea[], p_datasets text[], p_records bytea[], p_classes text[]
) RETURNS TABLE (place bigint, data_class text, version bigint, sealed bytea) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN QUERY
    SELECT g.place, found.data_class, found.version, found.sealed
    FROM unnest(p_subjects, p_datasets, p_records, p_classes) WITH ORDINALITY AS g (s, d, r, c, place)
    CROSS JOIN LATERAL (
        SELECT t.data_class, t.version, t.sealed FROM ringfence.parts t
        WHERE t.subject_ref = g.s AND t.dataset = g.d AND t.record_key = g.r
            AND t.data_class = ANY (string_to_array(g.c, ' ')) LIMIT 1000
    ) AS found;
END $$;
