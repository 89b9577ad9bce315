// GraphQL over HTTP: every audit of the package graphql-http, and what it does not look at.

import { serverAudits } from 'graphql-http';
import { equal, post, signIn, suite, url } from './kith.mjs';

const audits = serverAudits({ url });
const cases = Object.fromEntries(
  audits.map((audit) => [
    `${audit.id} ${audit.name}`,
    async () => {
      const result = await audit.fn();
      if (result.status !== 'ok') throw new Error(`${result.status}: ${result.reason}`);
    },
  ]),
);
await suite('HTTP audits', cases);

const { accessToken: token } = await signIn();
const strict = { accept: 'application/graphql-response+json' };
await suite('HTTP', {
  'a form is no request, so no page of another origin can send one': async () => {
    for (const kind of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      equal((await post('{"query":"{__typename}"}', { headers: { 'content-type': kind } })).status, 415, kind);
    }
  },
  'nothing that is not asked for is sent': async () => {
    equal((await post({ query: '{__typename}' }, { headers: { accept: 'text/html' } })).status, 406);
  },
  'what is too large is refused': async () => {
    equal((await post({ query: `{ __typename } #${'x'.repeat(300_000)}` })).status, 413);
    equal((await post({ query: '{ __typename }', variables: { a: 'x'.repeat(2_000_000) } })).status, 413);
  },
  'errors before execution have no data, and the status says so where it is understood': async () => {
    for (const [query, status] of [['{', 400], ['{ nothing }', 400], ['query($id: ID!) { node(id: $id) { id } }', 400]]) {
      const found = await post({ query }, { token, headers: strict });
      equal([found.status, 'data' in found.json], [status, false], query);
    }
    equal((await post({ query: '{ deals { totalCount } }' }, { headers: strict })).status, 401);
    equal((await post({ query: '{ deals { totalCount } }' }, { token: 'nonsense', headers: strict })).status, 401);
  },
  'errors of execution come beside the data': async () => {
    const found = await post({ query: '{ a: deals(first: 1000) { totalCount } b: deals { totalCount } }' }, { token, headers: strict });
    equal([found.status, found.json.data.a, typeof found.json.data.b.totalCount, found.json.errors[0].path], [200, null, 'number', ['a']]);
  },
  'an array of requests is refused': async () => {
    equal((await post([{ query: '{__typename}' }, { query: '{__typename}' }])).status, 400);
  },
  'the operation is chosen by its name': async () => {
    const query = 'query A { __typename } query B { b: __typename }';
    equal((await post({ query, operationName: 'B' })).json, { data: { b: 'Query' } });
    equal((await post({ query }, { headers: strict })).status, 400);
    equal((await post({ query, operationName: 'C' }, { headers: strict })).status, 400);
  },
  'answers are compressed for those who can read that': async () => {
    const response = await fetch(new URL('/schema.graphql', url), { headers: { 'accept-encoding': 'gzip' } });
    equal(response.headers.get('content-encoding'), 'gzip');
    await response.text();
  },
});
