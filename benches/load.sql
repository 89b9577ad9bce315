-- Fills a workspace with 10,000 companies, 50,000 people, 100,000 deals and 200,000 activities, past the API,
-- for benchmarks. Run as the owner: psql "$DATABASE_MIGRATE_URL" -v workspace=<id> -f benches/load.sql
\set ON_ERROR_STOP on
BEGIN;
CREATE TEMP TABLE members AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM member WHERE workspace_id = :'workspace'::uuid AND deleted_at IS NULL;
CREATE TEMP TABLE stages AS
  SELECT s.id, s.pipeline_id, s.type, s.probability, row_number() OVER (ORDER BY s.position) - 1 AS n
  FROM stage s JOIN pipeline p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
  WHERE s.workspace_id = :'workspace'::uuid AND p.is_default;
CREATE TEMP TABLE c AS SELECT n, gen_random_uuid() AS id FROM generate_series(0, 9999) n;
CREATE TEMP TABLE p AS SELECT n, gen_random_uuid() AS id FROM generate_series(0, 49999) n;
CREATE TEMP TABLE d AS SELECT n, gen_random_uuid() AS id FROM generate_series(0, 99999) n;
CREATE TEMP TABLE a AS SELECT n, gen_random_uuid() AS id FROM generate_series(0, 199999) n;

INSERT INTO record (workspace_id, id, object, created_at)
  SELECT :'workspace'::uuid, id, 'company', 0 FROM c UNION ALL SELECT :'workspace'::uuid, id, 'person', 0 FROM p
  UNION ALL SELECT :'workspace'::uuid, id, 'deal', 0 FROM d UNION ALL SELECT :'workspace'::uuid, id, 'activity', 0 FROM a;

INSERT INTO company (workspace_id, id, name, name_fold, domains, phones, employee_count, version, created_at, created_by_kind, updated_at, updated_by_kind, owner_id, source, external_ids, custom)
  SELECT :'workspace'::uuid, c.id, 'Company ' || c.n, 'company ' || c.n, '[]', '[]', c.n % 5000, 1, 1700000000000000 + c.n, 'SYSTEM', 1700000000000000 + c.n, 'SYSTEM', m.id, 'SYSTEM', '[]', '{}'
  FROM c JOIN members m ON m.n = c.n % (SELECT count(*) FROM members);

INSERT INTO person (workspace_id, id, first_name, last_name, last_name_fold, full_name, full_name_fold, emails, phones, do_not_contact, version, created_at, created_by_kind, updated_at, updated_by_kind, owner_id, source, external_ids, custom)
  SELECT :'workspace'::uuid, p.id, 'First', 'Last ' || p.n, 'last ' || p.n, 'First Last ' || p.n, 'first last ' || p.n, '[]', '[]', false, 1, 1700000000000000 + p.n, 'SYSTEM', 1700000000000000 + p.n, 'SYSTEM', m.id, 'SYSTEM', '[]', '{}'
  FROM p JOIN members m ON m.n = p.n % (SELECT count(*) FROM members);

INSERT INTO deal (workspace_id, id, name, name_fold, pipeline_id, stage_id, status, amount, amount_currency, probability, probability_mode, expected_close_date, stage_entered_at, company_id, version, created_at, created_by_kind, updated_at, updated_by_kind, owner_id, source, external_ids, custom)
  SELECT :'workspace'::uuid, d.id, 'Deal ' || d.n, 'deal ' || d.n, s.pipeline_id, s.id, s.type,
    CASE WHEN d.n % 10 = 0 THEN NULL ELSE (hashint4(d.n)::bigint & 1048575) * 10000 END, CASE WHEN d.n % 10 = 0 THEN NULL ELSE 'EUR' END,
    s.probability, 'STAGE', date '2026-01-01' + d.n % 700, 1700000000000000 + d.n, c.id, 1, 1700000000000000 + d.n, 'SYSTEM', 1700000000000000 + d.n, 'SYSTEM', m.id, 'SYSTEM', '[]', '{}'
  FROM d JOIN stages s ON s.n = d.n % (SELECT count(*) FROM stages) JOIN c ON c.n = d.n % 10000 JOIN members m ON m.n = d.n % (SELECT count(*) FROM members);

INSERT INTO activity (workspace_id, id, kind, subject, subject_fold, status, occurred_at, all_day, to_addresses, version, created_at, created_by_kind, updated_at, updated_by_kind, owner_id, source, external_ids, custom)
  SELECT :'workspace'::uuid, a.id, 'TASK', 'Task ' || a.n, 'task ' || a.n, 'OPEN', 1700000000000000 + a.n::bigint * 1000000, false, '[]', 1, 1700000000000000 + a.n, 'SYSTEM', 1700000000000000 + a.n, 'SYSTEM', m.id, 'SYSTEM', '[]', '{}'
  FROM a JOIN members m ON m.n = a.n % (SELECT count(*) FROM members);

INSERT INTO record_link (workspace_id, id, kind, from_id, to_id, role, is_primary, created_at)
  SELECT :'workspace'::uuid, gen_random_uuid(), 'company_person', c.id, p.id, 'Buyer', true, 0 FROM p JOIN c ON c.n = p.n % 2500
  UNION ALL
  SELECT :'workspace'::uuid, gen_random_uuid(), 'activity_link', a.id, c.id, NULL, false, 0 FROM a JOIN c ON c.n = a.n % 10000;
COMMIT;
ANALYZE;
