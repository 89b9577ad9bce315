// What happens when a part of it goes and comes back: Redis, and one node after the other.

import { sleep, until } from '../torture/cluster.mjs';
import { ALL, CREATE, LOOK, ask, equal, name, post } from './api.mjs';
import { Balancer } from './balancer.mjs';
import { Subscriber } from './subscriber.mjs';

const readiness = async (url) => (await fetch(`${url}/readyz`)).json();

export const cases = ({ cluster, a, b, admin, member, announced }) => ({
  'PostgreSQL goes and comes back': async () => {
    let [answered, slowest, going] = [0, 0, true];
    const [told, wrong] = [new Set(), []];
    const loop = async (url) => {
      while (going) {
        const begun = Date.now();
        const answer = await post(url, admin, CREATE, { i: { name: name('through it') } }).catch((error) => ({ code: String(error) }));
        slowest = Math.max(slowest, Date.now() - begun);
        if (!answer.errors && !answer.code) answered += 1;
        else told.add(answer.code);
        if (answer.code && answer.code !== 'UNAVAILABLE') wrong.push(`${answer.status} ${answer.code} ${JSON.stringify(answer.errors)}`);
        await sleep(20);
      }
    };
    const loops = [loop(a), loop(b)];
    try {
      await sleep(500);
      await cluster.postgres.kill(4_000);
      const away = await fetch(`${a}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer kith_key_x' }, body: '{"query":"{ viewer { id } }"}' });
      await cluster.postgres.up();
      await until('both nodes are ready again', 20_000, async () => (await Promise.all([a, b].map(readiness))).every(({ ready }) => ready));
      if (![401, 503].includes(away.status)) throw new Error(`without its database a node says ${away.status}`);
      await sleep(1_000);
    } finally {
      going = false;
      await Promise.all(loops);
    }
    equal(wrong.slice(0, 3), [], `what was told beside ${answered} answers`);
    if (!told.has('UNAVAILABLE')) throw new Error('nobody was told');
    if (slowest > 12_000) throw new Error(`one request took ${slowest} ms`);
    const once = name('after it');
    await ask(a, admin, CREATE, { i: { name: once } });
    equal((await ask(b, admin, 'query($f: CompanyFilter) { companies(filter: $f) { totalCount } }', { f: { name: { eq: once } } })).companies.totalCount, 1, 'what is written afterwards');
  },

  'Redis goes and comes back': async () => {
    const subscriber = new Subscriber(b, admin);
    await subscriber.start();
    let [answered, slowest, going] = [0, 0, true];
    const failed = [];
    const loop = async (url) => {
      while (going) {
        const begun = Date.now();
        const answer = await post(url, admin, CREATE, { i: { name: name('meanwhile') } }).catch((error) => ({ errors: String(error) }));
        slowest = Math.max(slowest, Date.now() - begun);
        if (answer.errors) failed.push(JSON.stringify(answer.errors));
        else answered += 1;
        await sleep(20);
      }
    };
    const loops = [loop(a), loop(b)];
    try {
      await sleep(1_000);
      await cluster.redis.kill(15_000);
      const away = await readiness(b);
      equal([away.ready, away.redis], [true, 'not reachable'], 'readiness without Redis');
      // What is written is told all the same, only later.
      const late = name('without Redis');
      await ask(a, admin, CREATE, { i: { name: late } });
      await until('what was written without Redis is told', 6_000, () => subscriber.told.has(late));
      // A key that is revoked is refused by the other node within ten seconds.
      const { createApiKey } = await ask(a, admin, 'mutation { createApiKey(input: { name: "k" }) { secret apiKey { id } } }');
      await ask(b, createApiKey.secret, LOOK);
      await ask(a, admin, 'mutation($i: RevokeApiKeyInput!) { revokeApiKey(input: $i) { userErrors { message } } }', { i: { id: createApiKey.apiKey.id } });
      await until('the key is refused', 11_000, async () => (await post(b, createApiKey.secret, LOOK)).code === 'UNAUTHENTICATED');
      await cluster.redis.up();
      await until('both nodes have Redis again', 15_000, async () => {
        const told = await Promise.all([a, b].map(async (url) => (await readiness(url)).redis));
        return told.every((redis) => redis === 'ok');
      });
      await sleep(2_000);
    } finally {
      going = false;
      await Promise.all(loops);
    }
    equal(failed, [], `requests that failed beside ${answered} that did not`);
    if (slowest > 3_000) throw new Error(`one request took ${slowest} ms`);
    const took = [];
    for (let n = 0; n < 10; n += 1) {
      const soon = name('with Redis');
      await ask(a, admin, CREATE, { i: { name: soon } });
      const written = Date.now();
      await until(`"${soon}" is told`, 6_000, () => subscriber.told.has(soon));
      took.push(subscriber.told.get(soon) - written);
      await sleep(130);
    }
    await subscriber.stop();
    took.sort((one, other) => one - other);
    if (took[7] > 1_000) throw new Error(`with Redis back, a write on one node is told on the other after ${took.join(', ')} ms`);
  },

  'a restart of one node after the other fails no request, and nobody who listens misses anything': async () => {
    const balancer = new Balancer([a, b]);
    await balancer.listen();
    await until('both are ready', 20_000, () => balancer.isReady(a) && balancer.isReady(b));
    const { changeCursor } = await ask(a, admin, '{ changeCursor }');
    const subscribers = Array.from({ length: 20 }, () => new Subscriber(balancer.url, admin, { after: changeCursor }));
    await Promise.all(subscribers.map((subscriber) => subscriber.start()));
    let going = true;
    const [written, failed] = [[], []];
    const client = async (n) => {
      for (let count = 0; going; count += 1) {
        const called = name(`rolling ${n}`);
        try {
          const writes = count % 3 === 0;
          const { status, data, errors } = await post(balancer.url, admin, writes ? CREATE : LOOK, writes ? { i: { name: called } } : {});
          if (status !== 200 || errors) failed.push(`${status} ${errors?.[0].message}`);
          else if (writes) written.push([data.createCompany.company.id, called]);
        } catch (error) {
          failed.push(String(error.cause?.code ?? error.message));
        }
      }
    };
    const clients = Array.from({ length: 6 }, (_, n) => client(n));
    await sleep(1_000);
    const stops = [];
    try {
      for (let round = 0; round < 2; round += 1) {
        for (const server of cluster.servers) {
          if (announced) {
            balancer.hold(server.url, true);
            await sleep(500);
          }
          const { how, ms } = await server.stop();
          stops.push(ms);
          equal(how, 0, `${server.name} stopped`);
          if (ms > 25_000) throw new Error(`${server.name} took ${ms} ms to stop`);
          await server.start();
          balancer.hold(server.url, false);
          await until('it is ready again', 30_000, () => balancer.isReady(server.url));
          await sleep(700);
        }
      }
    } finally {
      going = false;
      await Promise.all(clients);
    }
    const missing = () => subscribers.flatMap((subscriber) => written.filter(([id]) => !subscriber.records.has(id)));
    await until('everybody has everything', 20_000, () => !missing().length).catch(() => {});
    const codes = subscribers.flatMap((subscriber) => subscriber.closes);
    const gaps = subscribers.reduce((sum, subscriber) => sum + subscriber.gaps, 0);
    await Promise.all(subscribers.map((subscriber) => subscriber.stop()));
    await balancer.close();
    console.log(`  restarted ${stops.length} times (stopped after ${stops.join(', ')} ms): ${balancer.served} requests answered, ${written.length} of them writes, ${codes.length} connections told to go elsewhere`);
    const wrong = [];
    if (balancer.failed.length) wrong.push(`${balancer.failed.length} requests failed at a node: ${[...new Set(balancer.failed)].join(', ')}`);
    if (failed.length) wrong.push(`${failed.length} requests failed at clients: ${[...new Set(failed)].join(', ')}`);
    if (missing().length) wrong.push(`subscribers missed ${missing().length} of 20 times ${written.length} writes`);
    if (gaps) wrong.push(`subscribers were told ${gaps} times that something is missing`);
    const others = codes.filter((code) => code !== 1001);
    if (others.length || codes.length < 20) wrong.push(`of ${codes.length} connections ${others.length} were ended otherwise than by 1001: ${[...new Set(others)].join(', ')}`);
    if (wrong.length) throw new Error(wrong.join('\n'));
  },

  'limits are one for both': async () => {
    Object.assign(cluster.env, { KITH_CREDENTIAL_BUDGET: '1000', KITH_CREDENTIAL_RESTORE: '1' });
    for (const server of cluster.servers) {
      await server.stop();
      await server.start();
    }
    // Ten mutations cost a hundred; what they did not need does not come back.
    const dear = `mutation { ${Array.from({ length: 10 }, (_, n) => `m${n}: deleteCompany(id: "01a20000-0000-7000-8000-00000000000${n}") { deletedId }`).join(' ')} }`;
    const spend = async (who, nodes) => {
      const found = [];
      for (let n = 0; n < 24; n += 1) found.push((await post(nodes[n % nodes.length], who, dear)).status);
      equal([...new Set(found.slice(-2))], [429], 'what both nodes say in the end');
      return found.filter((status) => status === 200).length;
    };
    // Where Redis does not count within a tenth of a second, because the machine is busy, a node counts for itself: a few more are let through.
    const MOST = 14;
    const first = await member([{ object: 'COMPANY', ...ALL }]);
    const paid = await spend(first.token, [a, b]);
    if (paid < 9 || paid > MOST) throw new Error(`a budget of ten requests was good for ${paid}`);
    // Without Redis each node counts for itself, and both go on.
    const second = await member([{ object: 'COMPANY', ...ALL }]);
    await cluster.redis.kill(6_000);
    const alone = await spend(second.token, [a, b]);
    if (alone < 18 || alone > 21) throw new Error(`without Redis two budgets of ten requests were good for ${alone}`);
    await cluster.redis.up();
    await until('Redis counts again', 15_000, async () => (await Promise.all([a, b].map(async (url) => (await readiness(url)).redis))).every((redis) => redis === 'ok'));
    const third = await member([{ object: 'COMPANY', ...ALL }]);
    const again = await spend(third.token, [a, b]);
    if (again < 9 || again > MOST) throw new Error(`with Redis back a budget of ten requests was good for ${again}`);
  },
});
