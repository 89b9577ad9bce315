// What scanners of GraphQL look for: each probe finds nothing.

import { equal, post, signIn, suite, url } from './kith.mjs';

const { accessToken: token } = await signIn();
const anybody = (query, more = {}) => post({ query, ...more });
const repeat = (n, part) => Array.from({ length: n }, (_, i) => part(i)).join(' ');
const refused = (found, what) => equal(Boolean(found.json?.errors) && !found.json.data, true, `${what}: ${found.text.slice(0, 300)}`);

await suite('Scanner probes', {
  'alias overloading': async () => {
    refused(await anybody(`{ ${repeat(101, (i) => `alias${i}: __typename`)} }`), 'anonymous');
    refused(await post({ query: `{ ${repeat(101, (i) => `alias${i}: __typename`)} }` }, { token }), 'signed in');
  },
  'batches of requests': async () => {
    const found = await post(Array.from({ length: 10 }, () => ({ query: '{ __typename }' })), { token });
    equal(found.status, 400);
  },
  'directive overloading': async () => refused(await post({ query: `{ __typename ${'@aa'.repeat(10)} ${'@include(if: true)'.repeat(50)} }` }, { token }), ''),
  'field overloading': async () => refused(await post({ query: `{ __typename ${'__typename '.repeat(2_500)} }` }, { token }), ''),
  'introspection by strangers': async () => {
    refused(await anybody('{ __schema { types { name fields { name } } } }'), '__schema');
    refused(await anybody('{ __type(name: "Query") { fields { name } } }'), '__type');
  },
  'introspection in circles': async () => {
    refused(await post({ query: '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }' }, { token }), '');
  },
  'mutations over GET': async () => {
    const response = await fetch(`${url}?query=${encodeURIComponent('mutation { __typename }')}`, { headers: { authorization: `Bearer ${token}` } });
    equal([response.status, response.headers.get('allow')], [405, 'POST']);
  },
  'requests by forms': async () => {
    const body = new URLSearchParams({ query: '{ __typename }' });
    for (const kind of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=a']) {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': kind }, body: body.toString() });
      equal(response.status, 415, kind);
    }
  },
  'tracing': async () => {
    const found = await post({ query: '{ __typename }' }, { token, headers: { 'apollo-federation-include-trace': 'ftv1' } });
    equal(found.json.extensions?.tracing, undefined);
    equal(found.json.extensions?.ftv1, undefined);
  },
  'suggestions of names': async () => {
    for (const who of [{}, { token }]) {
      const found = await post({ query: '{ dealz { nodes { id } } viewr { member { id } } }' }, who);
      equal(/did you mean/i.test(found.text), false, found.text);
      equal(/"deals"|"viewer"/.test(found.text), false, found.text);
    }
  },
  'errors that tell of the inside': async () => {
    for (const query of ['{', 'qwerty', '{ node(id: "\' OR 1=1 --") { id } }', '{ deals(filter: { name: { contains: "%\\"\';--" } }) { totalCount } }', '{ deals(after: "AAAA") { nodes { id } } }']) {
      const found = await post({ query }, { token });
      equal(/sqlx|sqlite|postgres|panicked|\.rs:|SELECT |stack|thread/i.test(found.text), false, found.text);
      equal(found.status < 500, true, found.text);
    }
  },
  'a cost without end': async () => {
    const query = '{ companies(first: 200) { nodes { deals(first: 200) { nodes { people(first: 200) { nodes { id } } } } } } }';
    refused(await post({ query }, { token }), 'lists in lists');
  },
  'an open explorer does not sign anybody in': async () => {
    const response = await fetch(new URL('/', url));
    equal(response.status, 200);
    equal(response.headers.get('set-cookie'), null);
  },
  'guessing passwords': async () => {
    const query = 'mutation($i: SignInInput!) { signIn(input: $i) { session { id } userErrors { message } } }';
    let last;
    for (let n = 0; n < 30; n += 1) last = await post({ query, variables: { i: { email: 'victim@test.example', password: `guess ${n}` } } });
    equal(Boolean(last.json.errors || last.json.data.signIn.userErrors.length), true, last.text);
    equal(/too many|too often|wait|later/i.test(last.text), true, last.text);
  },
});
