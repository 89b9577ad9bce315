// Server-sent events with the real client of graphql-sse.

import { createClient } from 'graphql-sse';
import { ask, create, equal, follow, post, signIn, sleep, suite, url } from './kith.mjs';

const { accessToken: token } = await signIn();
const headers = { authorization: `Bearer ${token}` };

await suite('Server-sent events with graphql-sse', {
  'a query is a stream of one': async () => {
    const client = createClient({ url, headers });
    const live = follow(client, { query: '{ viewer { workspace { name } } }' });
    equal((await live.next()).data, { viewer: { workspace: { name: 'Test' } } });
    equal(await live.next(), { complete: true });
  },
  'events come': async () => {
    const client = createClient({ url, headers });
    const live = follow(client, { query: 'subscription { companyChanges { kind company { name } } }' });
    await sleep(500);
    await create(token, 'Company', { name: 'Streamed' });
    equal(await live.next(), { data: { companyChanges: { kind: 'ENTERED', company: { name: 'Streamed' } } } });
    live.stop();
    client.dispose();
  },
  'what cannot be executed is told': async () => {
    const client = createClient({ url, headers });
    const live = follow(client, { query: '{ nothing }' });
    equal((await live.next()).errors[0].extensions.code, 'BAD_REQUEST');
  },
  'a credential that is none gets a status': async () => {
    const found = await post({ query: '{ __typename }' }, { token: 'nonsense', headers: { accept: 'text/event-stream' } });
    equal(found.status, 401);
  },
});

/** Reads a stream's text as it comes. */
async function* texts(response) {
  const decoder = new TextDecoder();
  for await (const chunk of response.body) yield decoder.decode(chunk, { stream: true });
}

await suite('Server-sent events', {
  'a stream that was cut goes on with Last-Event-ID': async () => {
    const { changeCursor } = await ask(token, '{ changeCursor }');
    await create(token, 'Company', { name: 'One' });
    await create(token, 'Company', { name: 'Two' });
    const query = 'subscription { companyChanges { cursor company { name } } }';
    const open = (last) =>
      fetch(`${url}?query=${encodeURIComponent(query)}`, { headers: { ...headers, accept: 'text/event-stream', 'last-event-id': last } });
    let text = '';
    let response = await open(changeCursor);
    for await (const part of texts(response)) {
      text += part;
      if (text.includes('One') && text.includes('\n\n')) break;
    }
    const id = /^id: (.+)$/m.exec(text)[1];
    equal(text.includes(`"cursor":"${id}"`), true, 'the id is the cursor');
    text = '';
    response = await open(id);
    for await (const part of texts(response)) {
      text += part;
      if (text.includes('Two')) break;
    }
    equal(text.includes('One'), false, 'nothing comes twice');
  },
  'a silent stream says that it lives': async () => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { tagChanges { kind } }' }),
    });
    equal([response.headers.get('content-type'), response.headers.get('x-accel-buffering')], ['text/event-stream', 'no']);
    for await (const part of texts(response)) {
      equal(part.startsWith(':'), true);
      break;
    }
  },
});
process.exit();
