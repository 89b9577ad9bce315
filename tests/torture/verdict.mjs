// What must be true when all is over: of the records, of the log, of what was told to others, of the jobs, of locks.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { insist } from './clients.mjs';
import { sleep } from './cluster.mjs';

const OBJECTS = ['company', 'person', 'deal'];
const parsed = (value) => (typeof value === 'string' ? JSON.parse(value) : value);

/** What is still to be done, by name; nothing, when all is quiet. */
async function due({ rows }) {
  const [found] = await rows(`SELECT
    (SELECT count(*) FROM webhook_delivery d JOIN webhook w ON w.workspace_id = d.workspace_id AND w.id = d.webhook_id WHERE w.status = 'ACTIVE' AND d.state = 'PENDING') AS deliveries,
    (SELECT coalesce(sum(h.seq - r.seq), 0) FROM log_reader r JOIN log_head h ON h.workspace_id = r.workspace_id) AS unread,
    (SELECT count(*) FROM job WHERE state = 'QUEUED') AS jobs,
    (SELECT count(*) FROM idempotency_key WHERE leased_until > ${Date.now() * 1000}) AS requests`);
  return Object.entries(found).filter(([, count]) => Number(count) > 0).map(([name, count]) => `${count} ${name}`);
}

/**
 * Waits until everything that was begun is over. A job whose worker died is free after five minutes, and an event that was refused twice is sent
 * again after as long.
 */
export async function settle(cluster, ms = 8 * 60_000) {
  const begun = Date.now();
  let last = [];
  for (let left; (left = await due(cluster)).length; await sleep(500)) {
    last = left;
    if (Date.now() - begun > ms) throw new Error(`after ${ms / 60_000} minutes there is still something to do: ${left.join(', ')}`);
  }
  return `${Math.round((Date.now() - begun) / 1000)} s${last.length ? `, ${last.join(', ')} at last` : ''}`;
}

/** The records as clients see them, and the same as they lie in the tables. */
async function look(cluster, { urls, token }) {
  const page = 'query($a: Cursor) { companies(first: 200, after: $a) { nodes { id name industry version custom { code } people(first: 5) { nodes { id } } } pageInfo { hasNextPage endCursor } } }';
  const seen = new Map();
  for (let after = null; ; ) {
    const { companies } = await insist(urls, token, page, { a: after });
    for (const node of companies.nodes) seen.set(node.id, node);
    if (!companies.pageInfo.hasNextPage) break;
    after = companies.pageInfo.endCursor;
  }
  const tables = new Map();
  for (const object of OBJECTS) {
    for (const row of await cluster.rows(`SELECT id, version, deleted_at FROM ${object}`)) tables.set(row.id, { object, ...row });
  }
  return { seen, tables };
}

/** Every acknowledged write is there, none that was not is there by half, and nothing is there besides. */
function ofRecords({ ledger, counter }, { seen, tables }, count) {
  const faults = [];
  const known = new Set([counter, ...ledger.records.keys(), ...ledger.doubtful.flatMap(({ ids }) => ids)]);
  for (const [id, { object }] of tables) if (!known.has(id)) faults.push(`a ${object} that nobody made: ${id}`);
  for (const [id, { object, fields, people, deleted, purged, maybe }] of ledger.records) {
    const [there, row] = [seen.get(id), tables.get(id)];
    if (purged) {
      if (there || row) faults.push(`purged, and there: ${fields.name}`);
      continue;
    }
    if (!row) faults.push(`lost: ${object} ${fields.name ?? id}`);
    else if (deleted !== (row.deleted_at !== null)) faults.push(`${fields.name ?? id} is ${deleted ? 'not deleted' : 'deleted'}`);
    if (object !== 'company' || deleted || !row) {
      if (there) faults.push(`deleted, and shown: ${fields.name}`);
      continue;
    }
    if (!there) {
      faults.push(`not shown: ${fields.name}`);
      continue;
    }
    const is = { name: there.name, industry: there.industry };
    const may = [fields, ...(maybe ? [{ ...fields, ...maybe }] : [])];
    const matches = may.findIndex(({ name, industry }) => name === is.name && industry === is.industry);
    if (matches < 0) faults.push(`${fields.name} is ${JSON.stringify(is)}, not ${JSON.stringify(may)}`);
    if ((fields.code ?? null) !== there.custom.code) faults.push(`${fields.name} has the code ${there.custom.code}`);
    if (there.people.nodes.map((person) => person.id).join() !== [...people].join()) faults.push(`${fields.name} has other people`);
    if (matches === 1) count(id, 'UPDATED');
  }
  for (const { what, ids, link, with: company } of ledger.doubtful) {
    const there = ids.filter((id) => tables.has(id));
    if (there.length && there.length < ids.length) faults.push(`${what} is there by half: ${there.length} of ${ids.length}`);
    if (link && there.length && seen.get(link[0])?.people.nodes[0]?.id !== link[1]) faults.push(`${what} is there without its link`);
    if (company && there.length > 0 !== (seen.get(company)?.industry === 'sold to')) faults.push(`${what} and its company were not written together`);
    for (const id of there) count(id, 'CREATED');
    if (link && there.length) count(link[0], 'LINKED');
  }
  return faults;
}

/** The log has no gaps and no repeats, tells what was done as often as it was done, and ends where the tables are. */
function ofLog(log, head, tables, expected, purged) {
  const faults = [];
  log.forEach(({ seq }, index) => {
    if (Number(seq) !== index + 1 && faults.length < 3) faults.push(`the log has a gap or a repeat: entry ${index + 1} is ${seq}`);
  });
  if (Number(head) !== log.length) faults.push(`the log's head says ${head}, and it has ${log.length} entries`);
  const stories = new Map();
  for (const entry of log.filter(({ object }) => OBJECTS.includes(object))) {
    const story = stories.get(entry.record_id) ?? { version: 0, deleted: false, log: {} };
    const moves = !['LINKED', 'UNLINKED'].includes(entry.kind);
    if (Number(entry.version) !== story.version + (moves ? 1 : 0)) faults.push(`${entry.seq}: ${entry.kind} of ${entry.record_id} has version ${entry.version} after ${story.version}`);
    if ((entry.kind === 'CREATED') !== (story.version === 0)) faults.push(`${entry.seq}: ${entry.record_id} is ${entry.kind} at version ${entry.version}`);
    if (moves) story.version = Number(entry.version);
    if (entry.kind === 'DELETED' || entry.kind === 'RESTORED') story.deleted = entry.kind === 'DELETED';
    story.log[entry.kind] = (story.log[entry.kind] ?? 0) + 1;
    stories.set(entry.record_id, story);
  }
  for (const [id, { object, version, deleted_at }] of tables) {
    const story = stories.get(id);
    if (!story) faults.push(`the log knows nothing of the ${object} ${id}`);
    else if (story.version !== Number(version) || story.deleted !== (deleted_at !== null)) faults.push(`the ${object} ${id} has version ${version}, by the log ${story.version}`);
  }
  for (const id of stories.keys()) if (!tables.has(id) && !purged.has(id)) faults.push(`the log tells of ${id}, which is not there`);
  for (const [id, counts] of expected) {
    const told = stories.get(id)?.log ?? {};
    const kinds = new Set([...Object.keys(counts), ...Object.keys(told)]);
    // A merge tells of more than the clients count.
    for (const kind of kinds) if ((counts[kind] ?? 0) !== (told[kind] ?? 0)) faults.push(`${id} was ${kind} ${counts[kind] ?? 0} times, and the log says ${told[kind] ?? 0}`);
  }
  return faults;
}

/** Every entry of the log is in the stream once, in its order. */
async function ofStream(cluster, log) {
  const [{ id }] = await cluster.rows('SELECT id FROM workspace');
  const published = (await cluster.redisCli(['XRANGE', `kith:events:${id}`, '-', '+'])).split('\n').filter((line) => /^\d+-0$/.test(line));
  const numbers = published.map((entry) => Number(entry.split('-')[0]));
  const missing = log.filter((_, index) => numbers[index] !== index + 1);
  return missing.length || numbers.length !== log.length ? [`the stream has ${numbers.length} of ${log.length} entries; the first that is not in its place is ${missing[0]?.seq}`] : [];
}

/** What is kept beside records, in their own transactions, fits them. */
async function ofIndexes({ rows }) {
  const [found] = await rows(`SELECT
    (SELECT count(*) FROM company c LEFT JOIN record r ON r.workspace_id = c.workspace_id AND r.id = c.id WHERE r.id IS NULL OR (r.deleted_at IS NULL) <> (c.deleted_at IS NULL)) AS spine,
    (SELECT count(*) FROM company c LEFT JOIN search_entry s ON s.workspace_id = c.workspace_id AND s.record_id = c.id WHERE (s.record_id IS NULL) <> (c.deleted_at IS NOT NULL)) AS search,
    (SELECT count(*) FROM record_key k JOIN company c ON c.workspace_id = k.workspace_id AND c.id = k.record_id WHERE c.deleted_at IS NOT NULL) AS keys`);
  return Object.entries(found).filter(([, count]) => Number(count) > 0).map(([name, count]) => `${count} companies do not fit what is kept of them: ${name}`);
}

/** Every event reached the endpoint, at least once, and those of one record in their order. */
async function ofWebhooks({ rows }, receiver, log, seen) {
  const faults = [];
  const hooks = await rows("SELECT id, name, from_seq, status FROM webhook WHERE name IN ('all', 'bulk')");
  const deliveries = await rows('SELECT id, webhook_id, record_id, seq, kind, state FROM webhook_delivery');
  const named = (id) => `msg_${id.replaceAll('-', '')}`;
  for (const hook of hooks) {
    if (hook.status !== 'ACTIVE') faults.push(`the webhook "${hook.name}" is ${hook.status}`);
    const mine = deliveries.filter((delivery) => delivery.webhook_id === hook.id);
    const byId = new Map(mine.map((delivery) => [named(delivery.id), delivery]));
    const arrived = receiver.arrived.filter(({ path }) => path === `/${hook.name}`);
    const taken = new Set(arrived.filter(({ how }) => how === 'TAKEN').map(({ id }) => id));
    for (const [id, { state, seq }] of byId) {
      if (state !== 'DELIVERED') faults.push(`"${hook.name}": the event of entry ${seq} is ${state}`);
      if (!taken.has(id)) faults.push(`"${hook.name}": the event of entry ${seq} never arrived`);
    }
    const last = new Map();
    for (const { id } of arrived) {
      const event = byId.get(id);
      if (!event) {
        faults.push(`"${hook.name}": an event arrived of which nobody knows: ${id}`);
        continue;
      }
      if (Number(event.seq) < (last.get(event.record_id) ?? 0)) faults.push(`"${hook.name}": entry ${event.seq} of ${event.record_id} came after ${last.get(event.record_id)}`);
      last.set(event.record_id, Math.max(Number(event.seq), last.get(event.record_id) ?? 0));
    }
    if (hook.name === 'all') {
      const logged = new Set(log.filter(({ seq, object }) => Number(seq) > Number(hook.from_seq) && OBJECTS.includes(object)).map(({ seq, record_id }) => `${seq} ${record_id}`));
      const decided = new Set(mine.map(({ seq, record_id }) => `${seq} ${record_id}`));
      for (const entry of logged) if (!decided.has(entry)) faults.push(`entry ${entry} of the log became no event`);
      for (const entry of decided) if (!logged.has(entry)) faults.push(`an event of no entry of the log: ${entry}`);
    } else {
      // Whoever put together what it told has the list.
      const latest = new Map(mine.sort((a, b) => a.seq - b.seq).map(({ record_id, kind }) => [record_id, kind]));
      for (const [id, { industry }] of seen) {
        if ((industry === 'bulk') !== ['ENTERED', 'UPDATED'].includes(latest.get(id))) faults.push(`"bulk" was told that ${id} (${industry}) ${latest.get(id) ?? 'is not in it'}`);
      }
    }
  }
  if (hooks.length !== 2) faults.push('the webhooks are gone');
  return faults;
}

/** Every job ended, once in effect: a webhook that was switched off has one, and its maker a letter. */
async function ofJobs({ rows, work }, gone) {
  const faults = [];
  const jobs = await rows('SELECT id, kind, key, state, tries, error, payload FROM job');
  for (const { kind, state, tries, error } of jobs) if (state !== 'DONE') faults.push(`a job ${kind} is ${state} after ${tries} tries: ${error}`);
  const letters = readdirSync(join(work, 'mail')).filter((file) => file.endsWith('.eml')).map((file) => readFileSync(join(work, 'mail', file), 'utf8'));
  const off = await rows("SELECT id, name FROM webhook WHERE status = 'DISABLED'");
  for (const name of gone) {
    const made = off.filter((hook) => hook.name === name).map(({ id }) => id);
    const mine = jobs.filter(({ kind, payload }) => kind === 'WEBHOOK_NOTICE' && made.includes(parsed(payload).webhook));
    const written = letters.filter((letter) => letter.includes(`Your webhook ${name} was`)).length;
    const tries = mine.reduce((sum, job) => sum + Number(job.tries), 0);
    if (made.length === 0) faults.push(`the webhook "${name}" is still on`);
    if (made.length > 1) faults.push(`the webhook "${name}" was made ${made.length} times under one key`);
    if (mine.length !== made.length) faults.push(`${mine.length} jobs tell that "${name}" was switched off, ${made.length} times`);
    if (written < made.length || written > tries) faults.push(`${written} letters tell that "${name}" was switched off, in ${tries} tries`);
  }
  return { faults, jobs: jobs.length, letters: letters.length };
}

/** No lock is left, of any kind. */
async function ofLocks({ rows, shared }) {
  const faults = [];
  const [leases] = await rows(`SELECT (SELECT count(*) FROM job WHERE lease IS NOT NULL) AS jobs, (SELECT count(*) FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id WHERE w.status = 'ACTIVE' AND d.lease IS NOT NULL) AS deliveries,
    (SELECT count(*) FROM idempotency_key WHERE leased_until > ${Date.now() * 1000}) AS requests`);
  for (const [name, count] of Object.entries(leases)) if (Number(count)) faults.push(`${count} leases of ${name} are left`);
  if (!shared) return faults;
  const old = await rows(`SELECT pid, state, query FROM pg_stat_activity WHERE usename = 'kith_app' AND xact_start < now() - interval '5 seconds'`);
  for (const { pid, state, query } of old) faults.push(`a transaction of ${pid} is still open (${state}): ${query}`);
  const held = await rows(`SELECT l.pid, l.locktype, l.mode, l.granted FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.pid <> pg_backend_pid() AND (NOT l.granted OR l.locktype = 'advisory' OR a.pid IS NULL)`);
  for (const lock of held) faults.push(`a lock is left: ${JSON.stringify(lock)}`);
  for (const { gid } of await rows('SELECT gid FROM pg_prepared_xacts')) faults.push(`a prepared transaction is left: ${gid}`);
  return faults;
}

/** The product's own look: the log, replayed, gives the tables. None where the binary cannot do that. */
async function byItself(cluster) {
  if ((await cluster.run(['verify', '--help'])).code !== 0) return { faults: [], note: 'this binary has no `kith verify`: not replayed' };
  const { code, out, err } = await cluster.run(['verify']);
  return { faults: code === 0 ? [] : [`kith verify: ${code}\n${err}${out}`], note: 'replayed by `kith verify`' };
}

/** All of it: what is wrong, and what there was. */
export async function judge(cluster, shared) {
  const { ledger, receiver, stream, sync, counter, gone, urls, token } = shared;
  const found = await look(cluster, shared);
  const log = await cluster.rows('SELECT seq, object, record_id, kind, version FROM change_log ORDER BY seq');
  const [{ seq: head }] = await cluster.rows('SELECT seq FROM log_head');
  const expected = new Map([...ledger.records].map(([id, record]) => [id, { ...record.log }]));
  const count = (id, kind) => expected.set(id, { ...expected.get(id), [kind]: (expected.get(id)?.[kind] ?? 0) + 1 });
  const faults = ofRecords(shared, found, count);
  expected.set(counter, { CREATED: 1, ...(ledger.counted ? { UPDATED: ledger.counted } : {}) });
  const { company } = await insist(urls, token, 'query($id: ID!) { company(id: $id) { employeeCount } }', { id: counter });
  if (company.employeeCount !== ledger.counted) faults.push(`${ledger.counted} were counted, and the counter says ${company.employeeCount}`);
  for (const [id, { merged }] of ledger.records) {
    if (!merged) continue;
    const { company } = await insist(urls, token, 'query($id: ID!) { company(id: $id) { id } }', { id });
    if (company?.id !== merged) faults.push(`${id} became part of ${merged}, and means ${company?.id}`);
  }
  const purged = new Set([...ledger.records].filter(([, record]) => record.purged).map(([id]) => id));
  faults.push(...ofLog(log, head, found.tables, expected, purged));
  if (cluster.shared) faults.push(...(await ofStream(cluster, log)));
  faults.push(...(await ofIndexes(cluster)));
  faults.push(...(await ofWebhooks(cluster, receiver, log, found.seen)));
  const really = new Map([...found.tables].filter(([, row]) => row.deleted_at === null).map(([id, row]) => [id, { version: Number(row.version), name: found.seen.get(id)?.name }]));
  for (const copy of [stream, sync]) faults.push(...copy.faults, ...copy.differences(really));
  // A stream may have to begin anew when the schema changes while it catches up; an app that asks has no reason to.
  if (sync.gaps || stream.gaps > shared.fields) faults.push(`changes were missing: ${stream.gaps} times of the stream, ${sync.gaps} of the app`);
  const jobs = await ofJobs(cluster, gone);
  faults.push(...jobs.faults, ...(await ofLocks(cluster)));
  const own = await byItself(cluster);
  faults.push(...own.faults);
  return { faults, entries: log.length, jobs: jobs.jobs, letters: jobs.letters, note: own.note };
}
