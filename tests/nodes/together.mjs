// What nodes do together: they tell each other's subscribers, do nothing twice, and share what there is to do.

import { createServer } from 'node:http';
import { sleep, until } from '../torture/cluster.mjs';
import { CREATE, ask, equal, name, post } from './api.mjs';
import { Subscriber } from './subscriber.mjs';

export const cases = ({ cluster, a, b, admin }) => ({
  'a write on one is told to whoever listens on the other': async () => {
    const subscribers = [new Subscriber(a, admin), new Subscriber(b, admin)];
    await Promise.all(subscribers.map((subscriber) => subscriber.start()));
    await sleep(500);
    const took = [];
    for (let n = 0; n < 20; n += 1) {
      const [from, told] = n % 2 ? [a, name('from A')] : [b, name('from B')];
      await ask(from, admin, CREATE, { i: { name: told } });
      const written = Date.now();
      for (const subscriber of subscribers) {
        await until(`"${told}" is told`, 10_000, () => subscriber.told.has(told));
        took.push(subscriber.told.get(told) - written);
      }
      // Not in step with what looks by itself every two seconds.
      await sleep(130);
    }
    took.sort((one, other) => one - other);
    await Promise.all(subscribers.map((subscriber) => subscriber.stop()));
    // By the word of the other node, that is, and not because somebody looks now and then.
    if (took[30] > 1_000) throw new Error(`three quarters are told within ${took[30]} ms only`);
  },

  'a key of idempotency is one for both': async () => {
    for (let n = 0; n < 10; n += 1) {
      const [key, called] = [name('key'), name('once')];
      const send = (url) => post(url, admin, CREATE, { i: { name: called } }, key);
      const both = await Promise.all([a, b, a, b].map(send));
      for (const answer of both) if (answer.errors && answer.code !== 'IDEMPOTENCY_IN_PROGRESS') throw new Error(JSON.stringify(answer.errors));
      const again = await Promise.all([send(a), send(b)]);
      const ids = [...both, ...again].filter((answer) => answer.data?.createCompany).map((answer) => answer.data.createCompany.company.id);
      equal(new Set(ids).size, 1, 'records that were made');
      equal((await ask(a, admin, 'query($f: CompanyFilter) { companies(filter: $f) { totalCount } }', { f: { name: { eq: called } } })).companies.totalCount, 1, 'records that are there');
    }
  },

  'two workers do everything once, also when they are restarted': async () => {
    const taken = [];
    const endpoint = createServer((request, response) => {
      request.resume().on('end', () => {
        taken.push(request.headers['webhook-id']);
        response.end();
      });
    });
    await new Promise((done) => endpoint.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${endpoint.address().port}/`;
    const { createWebhook } = await ask(a, admin, 'mutation($i: CreateWebhookInput!) { createWebhook(input: $i) { webhook { id } userErrors { message } } }', { i: { name: name('hook'), url, scopes: [{ companies: {} }] } });
    const hook = createWebhook.webhook.id;
    const many = 'mutation($i: [CompanyCreate!]!) { createCompanies(inputs: $i) { committed } }';
    const write = async (url) => {
      for (let n = 0; n < 10; n += 1) await ask(url, admin, many, { i: Array.from({ length: 20 }, () => ({ name: name('told') })) });
    };
    const restart = async () => {
      for (const worker of cluster.workers) {
        await sleep(500);
        equal((await worker.stop()).how, 0, `${worker.name} stopped`);
        await worker.start();
      }
    };
    await Promise.all([write(a), write(b), restart()]);
    const pending = `SELECT count(*) AS n FROM webhook_delivery WHERE webhook_id = '${hook}' AND state <> 'DELIVERED'`;
    await until('all is delivered', 90_000, async () => Number((await cluster.rows(pending))[0].n) === 0 && taken.length >= 400);
    const rows = await cluster.rows(`SELECT id, attempts FROM webhook_delivery WHERE webhook_id = '${hook}'`);
    equal(rows.length, 400, 'deliveries');
    equal([...new Set(taken)].length, 400, 'events that arrived');
    equal(taken.length, 400, 'how often something arrived');
    equal(rows.filter(({ attempts }) => attempts.length !== 1).length, 0, 'deliveries that took another number of attempts');
    await ask(a, admin, 'mutation($i: DeleteWebhookInput!) { deleteWebhook(input: $i) { userErrors { message } } }', { i: { id: hook } });
    endpoint.close();
  },
});
