-- Fills a workspace with 1,000,000 notes and what search knows of them, past the API, for benchmarks. Titles have three
-- words of 100,000; every tenth text has a word that begins with `alpha`. Run as the owner:
-- psql "$DATABASE_MIGRATE_URL" -v workspace=<id> -f benches/search.sql
\set ON_ERROR_STOP on
BEGIN;
SELECT left(encode(sha256(uuid_send(:'workspace'::uuid)), 'hex'), 6) AS tag, left(encode(sha256('note'), 'hex'), 12) AS note \gset
CREATE TEMP TABLE members AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM member WHERE workspace_id = :'workspace'::uuid AND deleted_at IS NULL;
CREATE FUNCTION pg_temp.word(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate(left(md5((n % 100000)::text), 7), '0123456789', 'ghijklmnop') $$;
CREATE TEMP TABLE x AS
  SELECT n, gen_random_uuid() AS id, pg_temp.word(n) AS a, pg_temp.word(n / 7 + 13) AS b, pg_temp.word(n / 31 + 77) AS c,
    CASE WHEN n % 10 = 0 THEN 'alpha' || (n % 997) ELSE 'other' || (n % 997) END AS d
  FROM generate_series(0, 999999::bigint) n;

INSERT INTO record (workspace_id, id, object, owner_id, created_at)
  SELECT :'workspace'::uuid, x.id, 'note', m.id, 0 FROM x JOIN members m ON m.n = x.n % (SELECT count(*) FROM members);
INSERT INTO note (workspace_id, id, title, title_fold, body, pinned, version, created_at, created_by_kind, updated_at, updated_by_kind, owner_id, source, external_ids, custom)
  SELECT :'workspace'::uuid, x.id, a || ' ' || b || ' ' || c, a || ' ' || b || ' ' || c, d, false, 1, 1700000000000000 + x.n, 'SYSTEM', 1700000000000000 + x.n, 'SYSTEM', m.id, 'SYSTEM', '[]', '{}'
  FROM x JOIN members m ON m.n = x.n % (SELECT count(*) FROM members);
INSERT INTO search_entry (workspace_id, record_id, object, title, words)
  SELECT :'workspace'::uuid, x.id, 'note', a || ' ' || b || ' ' || c,
    concat_ws(' ', :'tag' || 'e' || a || b || c, :'tag' || 't' || a, :'tag' || 't' || b, :'tag' || 't' || c, :'tag' || 'r' || reverse(a), :'tag' || 'r' || reverse(b), :'tag' || 'r' || reverse(c),
      :'tag' || 'w' || d, :'tag' || 'x' || :'note', :'tag' || 'o' || right(replace(m.id::text, '-', ''), 20))
  FROM x JOIN members m ON m.n = x.n % (SELECT count(*) FROM members);
COMMIT;
ANALYZE;
