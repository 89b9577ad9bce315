// Two servers and two workers over one PostgreSQL and one Redis: what is done on one node is so on the other, at once; limits are one; a restart of
// one after the other fails no request; Redis may go and come back.
//
//   tests/nodes/run <kith> [part of a title] [--announced]
//
// With --announced whoever restarts a node takes it out of the balancer's row before, instead of leaving that to the node's own readiness.

import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from '../torture/cluster.mjs';
import { PASSWORD, member, signIn } from './api.mjs';
import { cases as apart } from './apart.mjs';
import { cases as known } from './known.mjs';
import { cases as replica } from './replica.mjs';
import { cases as together } from './together.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { announced: { type: 'boolean' } } });
const [kith, only = ''] = [resolve(positionals[0]), positionals[1]];
// However it goes, it comes to an end.
setTimeout(() => {
  console.error('the nodes take too long');
  process.exit(1);
}, 20 * 60_000).unref();

// Whoever balances looks ten times a second: a node that goes has to say so for a moment only.
const env = { KITH_DRAIN_SECONDS: '2', KITH_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8', KITH_ACCESS_TOKEN_MINUTES: '600', KITH_CREDENTIAL_BUDGET: '1000000', KITH_CREDENTIAL_RESTORE: '1000000' };
const cluster = await open({ kith, shared: true, env });
const made = await cluster.run(['create-workspace', '--name', 'Nodes', '--admin', 'Admin', '--email', 'admin@test.example', '--password', PASSWORD]);
if (made.code !== 0) throw new Error(made.err);
await cluster.start();
const [a, b] = cluster.servers.map((server) => server.url);
const admin = (await signIn(a, 'admin@test.example')).accessToken;
const world = { cluster, a, b, admin, announced: values.announced, member: (objects) => member(a, admin, objects) };

let failures = 0;
const all = Object.entries({ ...known(world), ...together(world), ...replica(world), ...apart(world) });
for (const [title, run] of all.filter(([title]) => title.includes(only))) {
  const begun = Date.now();
  let timer;
  const late = new Promise((_, refuse) => (timer = setTimeout(() => refuse(new Error('not within four minutes')), 240_000)));
  try {
    await Promise.race([run(), late]);
    console.log(`passed: ${title} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures += 1;
    console.error(`FAILED: ${title}\n${String(error.stack ?? error).replace(/^/gm, '    ')}`);
  }
  clearTimeout(timer);
}
for (const daemon of [...cluster.servers, ...cluster.workers]) {
  const { how, ms } = await daemon.stop();
  if (how !== 0 || ms > 30_000) cluster.faults.push(`${daemon.name} stopped with ${how} after ${ms} ms`);
}
await cluster.stop();
for (const fault of cluster.faults) console.error(`FAULT ${fault}`);
if (failures || cluster.faults.length) console.error(`the folder with all logs: ${cluster.work}`);
else rmSync(cluster.work, { recursive: true, force: true });
process.exit(failures || cluster.faults.length ? 1 : 0);
