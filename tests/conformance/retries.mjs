// A client that sends again over a connection that is cut writes once.

import net from 'node:net';
import { ask, equal, port, post, signIn, suite, wsUrl } from './kith.mjs';
import WebSocket from 'ws';

const { accessToken: token } = await signIn();
const mutation = 'mutation($n: String!) { createCompany(input: { name: $n }) { company { id name } userErrors { message } } }';

/** A proxy that hands requests on and cuts the connection as soon as an answer begins: by then it is committed. */
function cutting(times) {
  let left = times;
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), '127.0.0.1');
    client.pipe(upstream);
    upstream.on('data', (data) => {
      if (left > 0) {
        left -= 1;
        client.destroy();
        upstream.destroy();
      } else client.write(data);
    });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    upstream.on('end', () => client.end());
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

const count = async (name) => (await ask(token, 'query($n: String!) { companies(filter: { name: { eq: $n } }) { totalCount } }', { n: name })).companies.totalCount;

await suite('Retries with an idempotency key', {
  'over connections that are cut after the commit': async () => {
    const proxy = await cutting(3);
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'idempotency-key': 'cut-1', connection: 'close' };
    let answer;
    let tries = 0;
    while (!answer) {
      tries += 1;
      const response = await fetch(`http://127.0.0.1:${proxy.address().port}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query: mutation, variables: { n: 'Once' } }),
      }).catch(() => undefined);
      if (response && response.status === 200) answer = { replayed: response.headers.get('idempotent-replayed'), json: await response.json() };
      if (tries > 10) throw new Error('no answer');
    }
    proxy.close();
    equal([answer.replayed, answer.json.data.createCompany.company.name, tries], ['true', 'Once', 4]);
    equal(await count('Once'), 1);
  },
  'another body under the same key is refused': async () => {
    const headers = { 'idempotency-key': 'other-1' };
    equal((await post({ query: mutation, variables: { n: 'First' } }, { token, headers })).status, 200);
    equal((await post({ query: mutation, variables: { n: 'Second' } }, { token, headers })).status, 422);
    equal(await count('Second'), 0);
  },
  'side by side only one runs': async () => {
    const headers = { 'idempotency-key': 'race-1' };
    const found = await Promise.all(Array.from({ length: 8 }, () => post({ query: mutation, variables: { n: 'Raced' } }, { token, headers })));
    const told = found.map(({ status, headers: got }) => (status === 200 ? got.get('idempotent-replayed') ?? 'ran' : `${status} ${got.get('retry-after')}`));
    equal(told.filter((what) => what === 'ran').length, 1, told.join());
    equal(told.every((what) => ['ran', 'true', '409 1'].includes(what)), true, told.join());
    equal(await count('Raced'), 1);
  },
  'over a WebSocket, by extensions.idempotencyKey': async () => {
    const names = [];
    for (let n = 0; n < 2; n += 1) {
      const socket = new WebSocket(wsUrl, 'graphql-transport-ws');
      const answer = await new Promise((done, refuse) => {
        socket.on('error', refuse);
        socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { token } })));
        socket.on('message', (data) => {
          const message = JSON.parse(data);
          const payload = { query: mutation, variables: { n: 'By socket, once' }, extensions: { idempotencyKey: 'socket-1' } };
          if (message.type === 'connection_ack') socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload }));
          if (message.type === 'next') done(message.payload);
          if (message.type === 'error') refuse(new Error(JSON.stringify(message)));
        });
      });
      socket.close();
      names.push(answer.data.createCompany.company.id);
    }
    equal(names[0], names[1]);
    equal(await count('By socket, once'), 1);
  },
});
process.exit();
