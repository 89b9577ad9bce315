// Writes from several clients while the server is killed again and again, and an endpoint that comes and goes takes webhooks. At the end
// every acknowledged write is there, no write is there by half, the log has neither gaps nor repeats, and the endpoint was told of every
// change, in order for each record.
//
//   node torture.mjs <kith> <seconds>      DATABASE_URL and DATABASE_MIGRATE_URL for PostgreSQL; otherwise SQLite in a folder of its own

import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [kith, seconds] = [process.argv[2], Number(process.argv[3] ?? 30)];
const work = mkdtempSync(join(tmpdir(), 'kith-torture.'));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const env = { ...process.env, KITH_DATA_DIR: join(work, 'data'), KITH_LOG: 'error', KITH_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8', KITH_WEBHOOK_TIMEOUT_SECONDS: '2',
  KITH_CREDENTIAL_BUDGET: '4000000000', KITH_CREDENTIAL_RESTORE: '4000000000', KITH_WORKSPACE_BUDGET: '4000000000', KITH_WORKSPACE_RESTORE: '4000000000', KITH_ACCESS_TOKEN_MINUTES: '600' };
const failures = [];
const check = (good, what) => { if (!good) failures.push(what); };

// The endpoint.
const received = [];
let up = true;
// Each event is refused once at most: after a second time it would come five minutes later.
const refusedOnce = new Set();
const endpoint = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const id = request.headers['webhook-id'];
    if (!up && !refusedOnce.has(id)) { refusedOnce.add(id); return response.writeHead(503, { 'retry-after': '1' }).end(); }
    const body = JSON.parse(Buffer.concat(parts).toString());
    received.push({ id: request.headers['webhook-id'], type: body.type, ...body.data.recordChanges });
    response.end('ok');
  });
}).listen(0, '127.0.0.1');
await new Promise((done) => endpoint.on('listening', done));

const port = await new Promise((done) => { const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => done(port)); }); });
const url = `http://127.0.0.1:${port}/graphql`;
let server;
let starts = 0;
async function start() {
  server = spawn(kith, ['serve', '--listen', `127.0.0.1:${port}`], { env, stdio: ['ignore', 'ignore', openSync(join(work, 'log'), 'a')] });
  starts += 1;
  for (let n = 0; n < 200; n += 1) {
    if (await fetch(`http://127.0.0.1:${port}/readyz`).then((answer) => answer.ok, () => false)) return;
    await sleep(25);
  }
  throw new Error('the server does not start');
}
const stop = (signal) => new Promise((done) => { server.once('exit', done); server.kill(signal); });

async function ask(token, query, variables = {}, headers = {}) {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers }, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

if (env.DATABASE_MIGRATE_URL) spawnSync(kith, ['migrate'], { env, stdio: 'inherit' });
const email = `torture.${process.pid}@test.example`;
spawnSync(kith, ['create-workspace', '--name', 'Torture', '--admin', 'Admin', '--email', email, '--password', 'correct horse'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
await start();
const { signIn } = await ask(null, 'mutation($i: SignInInput!) { signIn(input: $i) { session { accessToken } userErrors { message } } }', { i: { email, password: 'correct horse' } });
const token = signIn.session.accessToken;
const scopes = [{ companies: {} }];
await ask(token, 'mutation($i: CreateWebhookInput!) { createWebhook(input: $i) { webhook { id } userErrors { message } } }', { i: { name: 'torture', url: `http://127.0.0.1:${endpoint.address().port}/`, scopes } });
const begun = (await ask(token, '{ changeCursor }')).changeCursor;

// The clients: each acknowledged write is remembered; what was not acknowledged is sent again: by one of them under an
// idempotency key, by the others as it is, for the record has an id of theirs.
const acknowledged = new Map();
let writing = true;
let retries = 0;
async function client(name) {
  for (let n = 0; writing; n += 1) {
    const id = crypto.randomUUID().replace(/^(.{14})./, '$17');
    const write = async (key, document, variables) => {
      for (;;) {
        try { return await ask(token, document, variables, name === 'c1' ? { 'idempotency-key': key } : {}); } catch (error) {
          if (!writing) return null;
          retries += 1;
          await sleep(/IN_PROGRESS/.test(error.message) ? 1000 : 30);
          if (!/fetch failed|socket|terminated|CONFLICT|in progress|first|IN_PROGRESS|INTERNAL|TIMEOUT/i.test(String(error.cause ?? '') + error.message)) throw error;
        }
      }
    };
    const made = await write(`${name}-${n}-a`, 'mutation($i: CompanyCreate!) { createCompany(input: $i) { company { id } userErrors { code message } } }',
      { i: { id, name: `${name}-${n}`, people: { create: [{ record: { lastName: `${name}-${n}` } }] } } });
    if (!made) return;
    if (made.createCompany.userErrors.length) throw new Error(JSON.stringify(made.createCompany.userErrors));
    acknowledged.set(id, { name: `${name}-${n}`, version: 1 });
    const changed = await write(`${name}-${n}-b`, 'mutation($id: ID!, $i: CompanyUpdate!) { updateCompany(id: $id, input: $i) { company { version } userErrors { message } } }', { id, i: { name: `${name}-${n}!` } });
    if (!changed) return;
    acknowledged.set(id, { name: `${name}-${n}!`, version: 2 });
  }
}
const clients = [1, 2, 3, 4].map((n) => client(`c${n}`).catch((error) => failures.push(`a client: ${error.message}`)));
const until = Date.now() + seconds * 1000;
let kills = 0;
while (Date.now() < until) {
  await sleep(300 + Math.random() * 1500);
  up = Math.random() < 0.7;
  await stop('SIGKILL');
  kills += 1;
  await start();
}
writing = false;
up = true;
await Promise.all(clients);

// Everything that was told to be written is there, whole.
const found = new Map();
for (let after = null; ;) {
  const { companies } = await ask(token, 'query($a: Cursor) { companies(first: 200, after: $a) { nodes { id name version people { totalCount } } pageInfo { hasNextPage endCursor } } }', { a: after });
  for (const node of companies.nodes) found.set(node.id, node);
  if (!companies.pageInfo.hasNextPage) break;
  after = companies.pageInfo.endCursor;
}
for (const [id, { name, version }] of acknowledged) {
  const there = found.get(id);
  check(there, `lost: ${name}`);
  // A write that was not acknowledged may be there.
  if (there) check(there.version >= version && there.version <= 2 && (there.name === name || there.version > version), `${name} v${version} is ${there.name} v${there.version}`);
}
for (const there of found.values()) check(there.people.totalCount === 1, `${there.name} is there by half`);
// The log: by its readers' own numbers it has neither gaps nor repeats.
const changes = [];
for (let after = begun; ;) {
  const { changes: page } = await ask(token, 'query($s: [SyncScope!]!, $a: Cursor) { changes(scopes: $s, after: $a, first: 500) { nodes { kind id } pageInfo { hasNextPage endCursor } } }', { s: scopes, a: after });
  changes.push(...page.nodes);
  if (!page.pageInfo.hasNextPage) break;
  after = page.pageInfo.endCursor;
}
check(new Set(changes.map((change) => change.id)).size === found.size, `the feed tells of ${new Set(changes.map((change) => change.id)).size} records of ${found.size}`);
// Every change reached the endpoint, in order for each record.
let pending;
for (let n = 0; n < 1200; n += 1) {
  const { webhookDeliveries, logReaders } = await ask(token, '{ webhookDeliveries(first: 1, filter: { states: [PENDING] }) { nodes { id attempts { status error } } } logReaders { lag setAside { error } } }');
  pending = [webhookDeliveries.nodes[0], logReaders[0]];
  if (!webhookDeliveries.nodes.length && logReaders.every((reader) => reader.lag === 0)) { pending = null; break; }
  await sleep(100);
}
check(!pending, `after two minutes something is still due: ${JSON.stringify(pending)}`);
const told = new Map();
const first = new Set();
for (const event of received) {
  if (first.has(event.id + event.type + JSON.stringify(event.changedFields))) continue;
  const known = told.get(event.id) ?? [];
  if (!known.some((type) => type === event.type)) known.push(event.type);
  told.set(event.id, known);
}
for (const there of found.values()) {
  const expected = there.version === 2 ? ['company.created', 'company.updated'] : ['company.created'];
  const seen = (told.get(there.id) ?? []).filter((type) => type !== 'company.linked');
  check(JSON.stringify(seen) === JSON.stringify(expected), `${there.name} (version ${there.version}) was told as ${JSON.stringify(seen)}`);
}
const { jobs } = await ask(token, '{ jobs(filter: { states: [FAILED] }) { nodes { kind error } } }');
check(!jobs.nodes.length, `jobs failed: ${JSON.stringify(jobs.nodes)}`);
await stop('SIGTERM');
endpoint.close();
if (!failures.length) rmSync(work, { recursive: true });
const where = env.DATABASE_URL ? 'PostgreSQL' : 'SQLite';
console.log(`Torture on ${where}: ${kills} kills in ${seconds} s, ${acknowledged.size} records acknowledged, ${retries} requests sent again, ${received.length} events taken, ${refusedOnce.size} refused, ${failures.length} faults`);
for (const failure of failures.slice(0, 20)) console.error(`  ${failure}`);
if (failures.length) console.error(`  the server's log: ${join(work, 'log')}`);
process.exit(failures.length ? 1 : 0);
