// graphql-transport-ws: the protocol with raw frames, and the real client of graphql-ws.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { ask, create, equal, follow, member, signIn, sleep, suite, within, wsUrl } from './kith.mjs';

const { accessToken: token } = await signIn();

/** A socket whose messages are awaited one by one. */
class Raw {
  constructor(protocols = ['graphql-transport-ws'], options = {}) {
    this.socket = new WebSocket(wsUrl, protocols, options);
    this.messages = [];
    this.waiting = [];
    this.opened = new Promise((done, refuse) => {
      this.socket.on('open', done);
      this.socket.on('error', refuse);
    });
    this.closed = new Promise((done) => this.socket.on('close', (code, reason) => done({ code, reason: String(reason) })));
    this.socket.on('message', (data) => {
      const message = JSON.parse(data);
      const next = this.waiting.shift();
      if (next) next(message);
      else this.messages.push(message);
    });
  }
  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }
  next() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    return within(10_000, new Promise((done) => this.waiting.push(done)), 'a message');
  }
  async silent(ms = 300) {
    await sleep(ms);
    equal(this.messages, [], 'there should be silence');
  }
  async close() {
    this.socket.close(1000);
    await this.closed;
  }
}

async function open(payload = { authorization: `Bearer ${token}` }, options) {
  const raw = new Raw(undefined, options);
  await raw.opened;
  raw.send({ type: 'connection_init', ...(payload ? { payload } : {}) });
  equal(await raw.next(), { type: 'connection_ack' });
  return raw;
}

const closes = async (raw, code) => equal((await within(10_000, raw.closed, `close ${code}`)).code, code);
const query = { query: '{ viewer { workspace { name } } }' };
const changes = { query: 'subscription { companyChanges { kind company { name } } }' };

await suite('WebSocket frames', {
  'another subprotocol is not acceptable': async () => {
    const raw = new Raw([]);
    await closes(raw, 4406);
  },
  'whoever does not introduce themselves is let go': async () => {
    const raw = new Raw();
    await raw.opened;
    const begun = Date.now();
    await closes(raw, 4408);
    if (Date.now() - begun > 5_000) throw new Error('too late');
  },
  'nobody introduces themselves twice': async () => {
    const raw = await open();
    raw.send({ type: 'connection_init' });
    await closes(raw, 4429);
  },
  'nothing is done before': async () => {
    const raw = new Raw();
    await raw.opened;
    raw.send({ type: 'subscribe', id: '1', payload: query });
    await closes(raw, 4401);
  },
  'a credential that is none is refused': async () => {
    const raw = new Raw();
    await raw.opened;
    raw.send({ type: 'connection_init', payload: { authorization: 'Bearer nonsense' } });
    await closes(raw, 4403);
  },
  'an id is of one operation at a time': async () => {
    const raw = await open();
    raw.send({ type: 'subscribe', id: 'x', payload: changes });
    await sleep(100);
    raw.send({ type: 'subscribe', id: 'x', payload: changes });
    const { code, reason } = await raw.closed;
    equal([code, reason], [4409, 'Subscriber for x already exists']);
  },
  ...Object.fromEntries(
    [
      'nonsense',
      '{}',
      '[]',
      '{"type":"nothing"}',
      '{"type":"next","id":"1","payload":{}}',
      '{"type":"subscribe","payload":{"query":"{__typename}"}}',
      '{"type":"subscribe","id":1,"payload":{"query":"{__typename}"}}',
      '{"type":"subscribe","id":"1"}',
      '{"type":"subscribe","id":"1","payload":{"query":7}}',
      '{"type":"subscribe","id":"1","payload":{"query":"{__typename}","variables":[]}}',
      '{"type":"complete"}',
    ].map((text) => [
      `malformed: ${text}`,
      async () => {
        const raw = await open();
        raw.send(text);
        await closes(raw, 4400);
      },
    ]),
  ),
  'messages are text': async () => {
    const raw = await open();
    raw.socket.send(Buffer.from('{"type":"ping"}'));
    await closes(raw, 4400);
  },
  'messages are not endless': async () => {
    const raw = await open();
    raw.send({ type: 'ping', payload: { x: 'x'.repeat(300_000) } });
    await closes(raw, 1009);
  },
  'a ping is answered by a pong, before the init too': async () => {
    const raw = new Raw();
    await raw.opened;
    raw.send({ type: 'ping', payload: { a: 1 } });
    equal(await raw.next(), { type: 'pong', payload: { a: 1 } });
    raw.send({ type: 'pong' });
    raw.send({ type: 'connection_init' });
    equal(await raw.next(), { type: 'connection_ack' });
    raw.send({ type: 'ping' });
    equal(await raw.next(), { type: 'pong' });
    await raw.close();
  },
  'queries and mutations go over the socket': async () => {
    const raw = await open();
    raw.send({ type: 'subscribe', id: '1', payload: query });
    const { id, type, payload } = await raw.next();
    equal({ id, type, data: payload.data }, { id: '1', type: 'next', data: { viewer: { workspace: { name: 'Test' } } } });
    equal(await raw.next(), { id: '1', type: 'complete' });
    const mutation = 'mutation($n: String!) { createCompany(input: { name: $n }) { company { name } userErrors { message } } }';
    raw.send({ type: 'subscribe', id: '1', payload: { query: mutation, variables: { n: 'By socket' } } });
    equal((await raw.next()).payload.data.createCompany, { company: { name: 'By socket' }, userErrors: [] });
    equal(await raw.next(), { id: '1', type: 'complete' });
    await raw.close();
  },
  'an id is free again after its operation, and after it was completed': async () => {
    const raw = await open();
    raw.send({ type: 'subscribe', id: '1', payload: changes });
    raw.send({ type: 'complete', id: '1' });
    await raw.silent();
    raw.send({ type: 'subscribe', id: '1', payload: query });
    equal((await raw.next()).type, 'next');
    equal((await raw.next()).type, 'complete');
    await raw.close();
  },
  'completing what does not run is nothing': async () => {
    const raw = await open();
    raw.send({ type: 'complete', id: 'nothing' });
    await raw.silent();
    await raw.close();
  },
  'a request that cannot be executed is an error, and the socket lives': async () => {
    const raw = await open();
    for (const wrong of ['{', '{ nothing }', 'query($id: ID!) { node(id: $id) { id } }', 'subscription { companyChanges { kind } dealChanges { kind } }']) {
      raw.send({ type: 'subscribe', id: 'w', payload: { query: wrong } });
      const message = await raw.next();
      equal([message.id, message.type, Array.isArray(message.payload), typeof message.payload[0].message], ['w', 'error', true, 'string'], wrong);
    }
    await raw.silent(100);
    raw.send({ type: 'subscribe', id: 'w', payload: query });
    equal((await raw.next()).type, 'next');
    await raw.close();
  },
  'events come until the client completes, and then none': async () => {
    const raw = await open();
    raw.send({ type: 'subscribe', id: 's', payload: changes });
    await sleep(300);
    await create(token, 'Company', { name: 'Heard' });
    equal(await raw.next(), { id: 's', type: 'next', payload: { data: { companyChanges: { kind: 'ENTERED', company: { name: 'Heard' } } } } });
    raw.send({ type: 'complete', id: 's' });
    await sleep(100);
    await create(token, 'Company', { name: 'Not heard' });
    await raw.silent();
    await raw.close();
  },
  'a hundred operations run over one socket and no more': async () => {
    const raw = await open();
    for (let n = 0; n < 101; n += 1) raw.send({ type: 'subscribe', id: `${n}`, payload: changes });
    const message = await raw.next();
    equal([message.id, message.type], ['100', 'error']);
    await raw.close();
  },
  'strangers sign in over the socket and read nothing': async () => {
    const raw = await open(null);
    raw.send({ type: 'subscribe', id: '1', payload: query });
    const message = await raw.next();
    equal([message.type, message.payload[0].extensions.code], ['error', 'UNAUTHENTICATED']);
    await raw.close();
  },
  'a page of another origin opens no socket': async () => {
    const raw = new Raw(undefined, { origin: 'https://elsewhere.example' });
    const refused = await raw.opened.then(() => 'opened', (error) => error.message);
    equal(refused, 'Unexpected server response: 403');
    const own = await open(undefined, { origin: wsUrl.replace('ws:', 'http:').replace('/graphql', '') });
    await own.close();
  },
  'a session that is ended takes its sockets with it': async () => {
    const rep = await member(token, 'Rita', 'REP');
    const raw = await open({ authorization: `Bearer ${rep.token}` });
    await ask(rep.token, 'mutation { signOut { signedOut } }');
    await closes(raw, 4401);
  },
});

await suite('WebSocket with graphql-ws', {
  'asks, subscribes and goes on after the connection was cut': async () => {
    let socket;
    const client = createClient({
      url: wsUrl,
      webSocketImpl: WebSocket,
      lazy: false,
      retryAttempts: 5,
      retryWait: () => sleep(200),
      shouldRetry: () => true,
      connectionParams: { authorization: `Bearer ${token}` },
      on: { opened: (opened) => (socket = opened) },
    });
    const answer = await new Promise((done, refuse) => {
      let found;
      client.subscribe({ query: '{ changeCursor }' }, { next: (value) => (found = value), error: refuse, complete: () => done(found) });
    });
    const document = 'subscription($after: Cursor) { companyChanges(after: $after) { kind company { name } } }';
    const live = follow(client, { query: document, variables: { after: answer.data.changeCursor } });
    await create(token, 'Company', { name: 'Before' });
    equal((await live.next()).data.companyChanges, { kind: 'ENTERED', company: { name: 'Before' } });
    socket.terminate();
    await create(token, 'Company', { name: 'Meanwhile' });
    // The client subscribes again with the cursor that it had.
    equal((await live.next()).data.companyChanges.company.name, 'Before');
    equal((await live.next()).data.companyChanges.company.name, 'Meanwhile');
    live.stop();
    await client.dispose();
  },
  'is told what is wrong with a request': async () => {
    const client = createClient({ url: wsUrl, webSocketImpl: WebSocket, connectionParams: { token } });
    const live = follow(client, { query: '{ nothing }' });
    const { error } = await live.next();
    equal([Array.isArray(error), error[0].extensions.code], [true, 'BAD_REQUEST']);
    await client.dispose();
  },
});
process.exit();
