// Queries are read from a replica: whoever wrote sees what they wrote, the others a little later, and nobody is told that it went away.

import { sleep, until } from '../torture/cluster.mjs';
import { ALL, CREATE, ask, equal, name, post } from './api.mjs';

const FIND = 'query($f: CompanyFilter) { companies(filter: $f) { totalCount } }';
const readiness = async ({ url }) => (await fetch(`${url}/readyz`)).json();

/** How many companies of a name a node tells of. */
async function count({ url }, token, called, headers = {}) {
  const body = JSON.stringify({ query: FIND, variables: { f: { name: { eq: called } } } });
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers }, body });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data.companies.totalCount;
}

export const cases = ({ cluster, admin, member }) => ({
  'queries are read from a replica, and nobody misses what they wrote': async () => {
    const replica = await cluster.openReplica();
    const reading = { DATABASE_READ_URL: replica.url, DATABASE_READ_LAG_SECONDS: '15' };
    const [c, d] = [await cluster.addServer('serve-c', reading), await cluster.addServer('serve-d', reading)];
    const hasty = await cluster.addServer('serve-hasty', { ...reading, DATABASE_READ_LAG_SECONDS: '2' });
    for (const node of [c, d, hasty]) await until(`${node.name} reads from the replica`, 10_000, async () => (await readiness(node)).replica === 'ok');
    const other = await member([{ object: 'COMPANY', ...ALL }]);
    const feed = 'query { changeCursor }';
    // Redis does not know what was written before it was asked: for so long the database is.
    await sleep(26_000);
    await replica.execute('SELECT pg_wal_replay_pause()');
    await until('the replica stands still', 10_000, async () => (await replica.execute('SELECT pg_get_wal_replay_pause_state()')) === 'paused');
    for (let n = 0; n < 5; n += 1) {
      const called = name('read');
      const before = await ask(d.url, other.token, feed);
      await ask(c.url, admin, CREATE, { i: { name: called } });
      // By the same credential on whichever node; the other one reads what the replica has.
      equal([await count(c, admin, called), await count(d, admin, called)], [1, 1], 'what the writer sees');
      equal([await count(c, other.token, called), await count(d, other.token, called)], [0, 0], 'what the replica has');
      equal(await count(d, other.token, called, { 'kith-consistency': 'strong' }), 1, 'what the other one sees who asks for it');
      if ((await ask(d.url, other.token, feed)).changeCursor === before.changeCursor) throw new Error('the feed is read from the replica');
    }
    const late = name('late');
    await ask(hasty.url, admin, CREATE, { i: { name: late } });
    await until('the replica is behind', 10_000, async () => (await readiness(hasty)).replica === 'behind');
    equal([(await readiness(hasty)).ready, await count(hasty, other.token, late)], [true, 1], 'a node whose replica is behind');
    await replica.execute('SELECT pg_wal_replay_resume()');
    await until('the replica has it', 10_000, async () => (await count(d, other.token, late)) === 1);
    await until('it serves again', 10_000, async () => (await readiness(hasty)).replica === 'ok');

    // It is killed and comes back in the midst of reading and writing.
    let going = true;
    let [answered, slowest] = [0, 0];
    const failed = [];
    const loop = async (node, mark) => {
      while (going) {
        const [called, begun] = [name(mark), Date.now()];
        const made = await post(node.url, admin, CREATE, { i: { name: called } }).catch((error) => ({ errors: String(error) }));
        const found = await count(node, admin, called).catch((error) => String(error));
        const others = await count(node, other.token, called).catch((error) => String(error));
        if (made.errors || found !== 1 || typeof others !== 'number') failed.push(JSON.stringify([made.errors, found, others]));
        answered += 1;
        slowest = Math.max(slowest, Date.now() - begun);
      }
    };
    const loops = [loop(c, 'c'), loop(d, 'd'), loop(c, 'cc'), loop(d, 'dd')];
    try {
      for (let n = 0; n < 2; n += 1) {
        await sleep(1_500);
        await replica.daemon.kill(2_000);
        await until('it is away', 10_000, async () => (await readiness(c)).replica !== 'ok');
        equal((await readiness(c)).ready, true, 'readiness without the replica');
        await replica.daemon.up();
        await until('it serves again', 20_000, async () => (await readiness(c)).replica === 'ok');
      }
    } finally {
      going = false;
      await Promise.all(loops);
    }
    if (slowest > 2_000) throw new Error(`a round took ${slowest} ms`);
    equal(failed, [], `what went wrong beside ${answered} rounds`);
    for (const node of [c, d, hasty]) equal((await node.stop()).how, 0, `${node.name} stopped`);
    await replica.daemon.stop();
  },
});
