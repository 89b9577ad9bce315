// Clients write while whatever serves them is killed at random, and an endpoint that comes and goes takes webhooks. At the end every acknowledged
// write is there, none that was not acknowledged is there by half, the log has neither gaps nor repeats and tells what the tables have, every event
// reached the endpoint, in order for each record, every job ended once in effect, those who follow have what there is, and no lock is left.
//
//   node torture.mjs <kith> [seconds] [--cluster] [--seed <number>] [--keep] [--spoil <what>]
//
// Without --cluster one server on SQLite is killed; with it two servers, two workers, a PostgreSQL with all its processes, and a Redis. The seed
// chooses what is killed and written when; what meets what is up to the machine all the same. --keep leaves the folder, with all logs; after a
// fault it is left anyway. --spoil damages what there is before it is judged, to see that it is found: see spoil.mjs. It takes a minute longer than
// its seconds, for a request that died keeps its idempotency key so long; five more if a worker died over a job. It needs `ps`, and Python for
// SQLite; PostgreSQL's and Redis' programs for --cluster.

import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Client, Ledger, insist } from './clients.mjs';
import { open, sleep, until } from './cluster.mjs';
import { Stream, Sync } from './followers.mjs';
import { Receiver } from './receiver.mjs';
import { spoil } from './spoil.mjs';
import { judge, settle } from './verdict.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { cluster: { type: 'boolean' }, keep: { type: 'boolean' }, seed: { type: 'string' }, spoil: { type: 'string' } } });
const [kith, seconds] = [resolve(positionals[0]), Number(positionals[1] ?? 30)];
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const random = mulberry32(seed);
const where = values.cluster ? 'PostgreSQL and Redis' : 'SQLite';
console.log(`Torture on ${where}, ${seconds} s, --seed ${seed}`);
// However it goes, it comes to an end.
setTimeout(() => {
  console.error('the torture takes too long');
  process.exit(1);
}, (seconds + 20 * 60) * 1000).unref();

/** A generator of numbers from 0 to 1 that a seed begins. */
function mulberry32(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const plenty = '4000000000';
const cluster = await open({
  kith,
  shared: values.cluster,
  env: {
    KITH_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    // Nobody balances: whoever is asked to stop does.
    KITH_DRAIN_SECONDS: '0',
    KITH_WEBHOOK_TIMEOUT_SECONDS: '5',
    KITH_ACCESS_TOKEN_MINUTES: '600',
    ...(values.cluster ? { KITH_STREAMS_TO: 'redis' } : {}),
    ...Object.fromEntries(['CREDENTIAL_BUDGET', 'CREDENTIAL_RESTORE', 'WORKSPACE_BUDGET', 'WORKSPACE_RESTORE'].map((name) => [`KITH_${name}`, plenty])),
  },
});
const email = 'torture@test.example';
const made = await cluster.run(['create-workspace', '--name', 'Torture', '--admin', 'Admin', '--email', email, '--password', 'correct horse']);
if (made.code !== 0) throw new Error(made.err);
await cluster.start();

const urls = cluster.servers.map((server) => server.url);
const receiver = new Receiver(random);
await receiver.listen();
const must = async (query, variables) => insist(urls, token, query, variables);
const { signIn } = await insist(urls, null, 'mutation($i: SignInInput!) { signIn(input: $i) { session { accessToken } userErrors { message } } }', { i: { email, password: 'correct horse' } });
const token = signIn.session.accessToken;
await must('mutation($i: CreateFieldInput!) { createField(input: $i) { userErrors { message } } }', { i: { object: 'COMPANY', name: 'code', label: 'Code', kind: 'TEXT', unique: true, indexed: true } });
const hook = 'mutation($i: CreateWebhookInput!) { createWebhook(input: $i) { webhook { id } userErrors { message } } }';
await must(hook, { i: { name: 'all', url: `${receiver.url}/all`, scopes: [{ companies: {} }, { people: {} }, { deals: {} }] } });
await must(hook, { i: { name: 'bulk', url: `${receiver.url}/bulk`, document: 'subscription { companyChanges(filter: { industry: { eq: "bulk" } }) { kind id } }' } });
const mapped = Object.fromEntries([['id', '/id'], ...['name', 'industry', 'code'].map((field) => [field, '/name'])].map(([field, from]) => [field, { $from: from }]));
const { code, ...own } = mapped;
const inboundHook = { name: 'other', type: 'Company', input: { ...own, custom: { code } } };
const { createInboundHook } = await must('mutation($i: CreateInboundHookInput!) { createInboundHook(input: $i) { inboundHook { id } secret userErrors { message } } }', { i: inboundHook });
const inbound = { id: createInboundHook.inboundHook.id, secret: createInboundHook.secret };
const { changeCursor } = await must('{ changeCursor }');
const { createCompany } = await must('mutation { createCompany(input: { name: "Counter", industry: "counter", employeeCount: 0 }) { company { id } } }');

const shared = { urls, token, random, ledger: new Ledger(), receiver, endpoint: receiver.url, inbound, faults: cluster.faults, writing: true, patience: Infinity, counter: createCompany.company.id, fields: 0, hooks: 0, gone: [] };
shared.stream = new Stream('the stream', shared, changeCursor);
shared.sync = new Sync('the app', shared, changeCursor);
const clients = [1, 2, 3, 4, 5, 6].map((n) => new Client(`c${n}`, n % 2 === 0, shared));
const writing = clients.map((client) => client.run());
const following = [shared.stream.run(), shared.sync.run().catch((error) => cluster.faults.push(`the app: ${error.message}`))];

// The killing. Servers most often, then workers; now and then two at once; what was killed comes back by itself, after a while.
const end = Date.now() + seconds * 1000;
const goesOn = () => Date.now() < end;
const roaming = receiver.roam(goesOn);
const victims = [...cluster.servers, ...cluster.servers, ...cluster.servers, ...cluster.workers, ...cluster.workers, ...cluster.others];
const pick = () => victims[Math.floor(random() * victims.length)];
while (goesOn()) {
  await sleep(300 + random() * 2_500);
  const chosen = random() < 0.2 ? [pick(), pick()] : [pick()];
  await Promise.all(chosen.map((victim) => victim.kill(random() < 0.3 ? random() * 2_500 : 0)));
}

// Everything stays from now on. What is not answered is sent until it is: a key is free again after a minute.
shared.writing = false;
shared.patience = Date.now() + 180_000;
await roaming;
await Promise.all([...cluster.others, ...cluster.servers, ...cluster.workers].map((daemon) => daemon.up()));
await Promise.all(writing);
// After many reads at once it is ready as well.
await Promise.all(Array.from({ length: 40 }, () => must('{ companies(first: 50) { nodes { name people(first: 2) { nodes { id } } } } }')));
for (const server of cluster.servers) await until(`${server.name} says that it is ready`, 20_000, server.isReady).catch((error) => cluster.faults.push(error.message));
// Webhooks that nothing happened to since are told of this one.
const last = crypto.randomUUID().replace(/^(.{14})./, '$17');
await must('mutation($i: CompanyCreate!) { createCompany(input: $i) { company { id } } }', { i: { id: last, name: 'Last', industry: 'last' } });
shared.ledger.add('company', last, { name: 'Last', industry: 'last' });
let faults, entries, jobs, letters, note, waited;
try {
  waited = await settle(cluster);
  if (!values.cluster) {
    // Once more, at rest: what is in the write-ahead log only is found again.
    await cluster.servers[0].kill();
    await sleep(100);
    await cluster.servers[0].up();
  }
  if (values.spoil) await spoil(values.spoil, cluster, shared);
  await until('those who follow have everything', 60_000, async () => {
    await shared.sync.ask();
    const [{ n }] = await cluster.rows("SELECT (SELECT count(*) FROM company WHERE deleted_at IS NULL) + (SELECT count(*) FROM person) + (SELECT count(*) FROM deal) AS n");
    return shared.stream.records.size === Number(n) && (await sleep(2_500), true);
  }).catch((error) => cluster.faults.push(error.message));
  ({ faults, entries, jobs, letters, note } = await judge(cluster, shared));
} catch (error) {
  faults = [error.stack];
}
shared.stream.stop();
shared.sync.stop();
await Promise.all(following);

// Asked to stop, each does, and soon.
for (const daemon of [...cluster.servers, ...cluster.workers]) {
  const { how, ms } = await daemon.stop();
  if (how !== 0 || ms > 30_000) cluster.faults.push(`${daemon.name} stopped with ${how} after ${ms} ms`);
}
if (!values.cluster && (await cluster.rows('PRAGMA integrity_check'))[0].integrity_check !== 'ok') cluster.faults.push('the database is not whole');
if (values.cluster) {
  const left = await cluster.rows("SELECT pid, state FROM pg_stat_activity WHERE usename = 'kith_app'");
  if (left.length) cluster.faults.push(`${left.length} connections are left behind`);
}
const kills = [...cluster.servers, ...cluster.workers, ...cluster.others].map((daemon) => `${daemon.name} ${daemon.kills}`);
await cluster.stop();
await receiver.close();
faults = [...cluster.faults, ...faults];

const { ledger } = shared;
console.log(`  killed: ${kills.join(', ')}`);
console.log(`  ${ledger.writes} writes acknowledged, ${ledger.sentAgain} sent again, ${ledger.doubtful.length} given up, the slowest ${(ledger.slowest / 1000).toFixed(1)} s; ${entries} entries of the log`);
const taken = receiver.arrived.filter(({ how }) => how === 'TAKEN');
console.log(`  ${taken.length} events taken (${taken.length - new Set(taken.map(({ id }) => id)).size} twice), ${receiver.arrived.length - taken.length} refused or cut; ${jobs} jobs, ${letters} letters; all over after ${waited}`);
console.log(`  followed: ${shared.stream.events} events in ${shared.stream.cuts} streams (${shared.stream.gaps} times anew), ${shared.sync.events} by asking; ${note}`);
if (faults.length || values.keep) console.log(`  the folder with all logs: ${cluster.work}`);
else rmSync(cluster.work, { recursive: true, force: true });
console.log(`  ${faults.length} faults`);
for (const fault of faults.slice(0, 30)) console.error(`  FAULT ${fault}`);
process.exit(faults.length ? 1 : 0);
