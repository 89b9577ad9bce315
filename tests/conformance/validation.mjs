// Which documents are accepted: the same that graphql-js accepts over our SDL.
//
// Valid documents come with variables that fit. A document counts as accepted if it was executed, whatever came of it.

import { buildSchema, parse, specifiedRules, validate } from 'graphql';
import { post, signIn, suite, url } from './kith.mjs';

const { accessToken: token } = await signIn();
const sdl = await (await fetch(new URL('/schema.graphql?view=workspace', url), { headers: { authorization: `Bearer ${token}` } })).text();
const schema = buildSchema(sdl);

const id = '"01890000-0000-7000-8000-000000000000"';
const deal = (selection) => `{ deals(first: 1) { nodes { ${selection} } } }`;

/** Documents, by what they are about; variables beside those that need some. */
const corpus = {
  'operations and their names': [
    '{ __typename }',
    'query { __typename }',
    'query A { __typename }',
    'query A { __typename } query B { __typename }',
    'query A { __typename } query A { __typename }',
    'query A { __typename } mutation A { __typename }',
    '{ __typename } query A { __typename }',
    '{ __typename } { __typename }',
    'mutation { __typename }',
    'mutation A { createTag(input: { name: "x" }, validateOnly: true) { userErrors { code } } }',
    'subscription A { dealChanges { kind } }',
    'subscription A { dealChanges { kind } companyChanges { kind } }',
    'subscription A { ...f } fragment f on Subscription { dealChanges { kind } companyChanges { kind } }',
    'subscription A { ...f } fragment f on Subscription { dealChanges { kind } }',
    'subscription A { __typename }',
    'subscription A { a: dealChanges { kind } b: dealChanges { kind } }',
    'fragment f on Query { __typename }',
    'type A { a: Int }',
    '{ __typename } type A { a: Int }',
    'schema { query: Query } { __typename }',
    'extend type Query { a: Int } { __typename }',
    '',
    '#only a comment',
    'query {}',
    '{ }',
    'query A($a: Int) { __typename }',
    '"a description" query A { __typename }',
  ],
  'lexical matters': [
    '\uFEFF{ __typename }',
    '{ __typename } # comment',
    '{,__typename,,}',
    '{ node(id: "\\u00e9") { id } }',
    '{ node(id: "\\u{e9}") { id } }',
    '{ node(id: "\\uD83D\\uDE00") { id } }',
    '{ node(id: "\\uD83D") { id } }',
    '{ node(id: "\\u{110000}") { id } }',
    '{ node(id: "\\x") { id } }',
    '{ node(id: "unterminated) { id } }',
    '{ node(id: """block "quoted" text""") { id } }',
    '{ node(id: """block \\""" text""") { id } }',
    '{ node(id: "line\nbreak") { id } }',
    '{ deals(first: 01) { totalCount } }',
    '{ deals(first: 1.) { totalCount } }',
    '{ deals(first: 1e) { totalCount } }',
    '{ deals(first: -0) { totalCount } }',
    '{ deals(first: 1a) { totalCount } }',
    '{ deals(first: $) { totalCount } }',
    '{ deals(first: @) { totalCount } }',
    '{ a b: __typename }',
    '{ b:: __typename }',
    '{ __typename',
    '__typename }',
    '{ ( ) }',
    '{ deals() { totalCount } }',
    '{ deals(first:) { totalCount } }',
    '{ deals(first: 1 first: 2) { totalCount } }',
    '{ on: __typename }',
    '{ true: __typename }',
    '{ deals(filter: { name: { eq: null } }) { totalCount } }',
    'query true { __typename }',
    'query null { __typename }',
    '{ ...on }',
    '{ ... on Query { __typename } }',
    '{ ... { __typename } }',
    '{ ... @include(if: true) { __typename } }',
    'fragment on on Query { __typename } { __typename }',
  ],
  fields: [
    deal('id name amount { amount currency }'),
    deal('nothing'),
    deal('id { id }'),
    deal('amount'),
    deal('company'),
    deal('company { id }'),
    deal('company { id name { x } }'),
    deal('stage { pipeline { stages { totalCount } } }'),
    '{ deals { edges { node { id } cursor } pageInfo { hasNextPage } } }',
    '{ deals { edges } }',
    '{ deals }',
    '{ node(id: ' + id + ') { id } }',
    '{ node(id: ' + id + ') { name } }',
    '{ node(id: ' + id + ') { ... on Deal { name } } }',
    '{ node(id: ' + id + ') { ... on DealConnection { totalCount } } }',
    '{ node(id: ' + id + ') { ... on AnyRecord { title } } }',
    '{ node(id: ' + id + ') { ... on Nothing { title } } }',
    '{ node(id: ' + id + ') { ... on MoneyFilter { amount } } }',
    '{ node(id: ' + id + ') { __typename } }',
    '{ __schema { queryType { name } } }',
    '{ __type(name: "Deal") { name fields { name } } }',
    '{ __type { name } }',
    '{ __type(name: 1) { name } }',
    '{ __nothing }',
    deal('__schema { queryType { name } }'),
    '{ activities { nodes { id subject } } }',
    '{ activities { nodes { id ... on Task { subject } ... on Call { subject } } } }',
    '{ activities { nodes { ... on Deal { id } } } }',
    '{ tasks { nodes { ... on Activity { id } } } }',
    '{ tasks { nodes { ... on Call { id } } } }',
    '{ changeCursor }',
    '{ changeCursor { id } }',
  ],
  arguments: [
    '{ deals(first: 1) { totalCount } }',
    '{ deals(first: "1") { totalCount } }',
    '{ deals(first: 1.5) { totalCount } }',
    '{ deals(first: null) { totalCount } }',
    '{ deals(first: true) { totalCount } }',
    '{ deals(first: [1]) { totalCount } }',
    '{ deals(first: 99999999999) { totalCount } }',
    '{ deals(nothing: 1) { totalCount } }',
    '{ deals(search: "a") { totalCount } }',
    '{ deals(search: 1) { totalCount } }',
    '{ deals(search: A) { totalCount } }',
    '{ deals(deleted: ONLY) { totalCount } }',
    '{ deals(deleted: "ONLY") { totalCount } }',
    '{ deals(deleted: NOTHING) { totalCount } }',
    '{ deals(deleted: 1) { totalCount } }',
    '{ node { id } }',
    '{ node(id: null) { id } }',
    '{ node(id: 1) { id } }',
    '{ node(id: 1.5) { id } }',
    '{ node(id: true) { id } }',
    '{ node(id: A) { id } }',
    '{ nodes(ids: ' + id + ') { id } }',
    '{ nodes(ids: [' + id + ']) { id } }',
    '{ nodes(ids: [' + id + ', null]) { id } }',
    '{ nodes(ids: []) { id } }',
    '{ nodes(ids: [[' + id + ']]) { id } }',
    '{ nodes(ids: null) { id } }',
    '{ deals(orderBy: { name: ASC }) { totalCount } }',
    '{ deals(orderBy: [{ name: ASC }]) { totalCount } }',
    '{ deals(orderBy: [{ name: ASC, amount: DESC }]) { totalCount } }',
    '{ deals(orderBy: [{}]) { totalCount } }',
    '{ deals(orderBy: [{ name: null }]) { totalCount } }',
    '{ deals(orderBy: [{ name: "ASC" }]) { totalCount } }',
    '{ deals(orderBy: [{ nothing: ASC }]) { totalCount } }',
    '{ deals(orderBy: ASC) { totalCount } }',
    '{ deals(orderBy: [{ company: { name: ASC } }]) { totalCount } }',
  ],
  'input objects': [
    '{ deals(filter: {}) { totalCount } }',
    '{ deals(filter: { name: { eq: "a" } }) { totalCount } }',
    '{ deals(filter: { name: { eq: 1 } }) { totalCount } }',
    '{ deals(filter: { name: { nothing: "a" } }) { totalCount } }',
    '{ deals(filter: { nothing: { eq: "a" } }) { totalCount } }',
    '{ deals(filter: { name: "a" }) { totalCount } }',
    '{ deals(filter: "a") { totalCount } }',
    '{ deals(filter: [{ name: { eq: "a" } }]) { totalCount } }',
    '{ deals(filter: { name: { in: ["a", "b"] } }) { totalCount } }',
    '{ deals(filter: { name: { in: "a" } }) { totalCount } }',
    '{ deals(filter: { name: { in: [1] } }) { totalCount } }',
    '{ deals(filter: { name: { isNull: true } }) { totalCount } }',
    '{ deals(filter: { name: { isNull: "true" } }) { totalCount } }',
    '{ deals(filter: { and: [{ name: { eq: "a" } }, { not: { name: { eq: "b" } } }] }) { totalCount } }',
    '{ deals(filter: { and: [1] }) { totalCount } }',
    '{ deals(filter: { name: { eq: "a" }, name: { eq: "b" } }) { totalCount } }',
    '{ deals(filter: { company: { name: { eq: "a" } } }) { totalCount } }',
    '{ deals(filter: { status: { eq: OPEN } }) { totalCount } }',
    '{ deals(filter: { status: { eq: "OPEN" } }) { totalCount } }',
    '{ deals(filter: { status: { eq: NOTHING } }) { totalCount } }',
    '{ deals(filter: { status: { in: [OPEN, WON] } }) { totalCount } }',
    '{ deal(key: { externalId: { system: "a", value: "b" } }) { id } }',
    '{ deal(key: { externalId: { system: "a" } }) { id } }',
    '{ deal(key: {}) { id } }',
    'mutation { createDeal(input: { name: "a" }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: {}, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: null) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", amount: { amount: "1", currency: "EUR" } }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", amount: { amount: "1" } }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", company: { id: ' + id + ' } }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", company: { id: ' + id + ', create: { name: "x" } } }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", company: {} }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", company: { id: null } }, validateOnly: true) { userErrors { code } } }',
    'mutation { createDeal(input: { name: "a", nothing: 1 }, validateOnly: true) { userErrors { code } } }',
    'mutation { deleteDeals(filter: { name: { eq: "never" } }, limit: 1, validateOnly: true) { committed } }',
    'mutation { deleteDeals(filter: { name: { eq: "never" } }, validateOnly: true) { committed } }',
  ],
  variables: [
    ['query($n: Int) { deals(first: $n) { totalCount } }', { n: 1 }],
    ['query($n: Int) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int!) { deals(first: $n) { totalCount } }', { n: 1 }],
    ['query($n: Int = 2) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int! = 2) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int = "2") { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int = null) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int! = null) { deals(first: $n) { totalCount } }', {}],
    ['query($n: String) { deals(first: $n) { totalCount } }', {}],
    ['query($n: [Int]) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Nothing) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Deal) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int, $n: Int) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int) { __typename }', {}],
    ['{ deals(first: $n) { totalCount } }', {}],
    ['query A($n: Int) { ...f } fragment f on Query { deals(first: $n) { totalCount } }', {}],
    ['query A { ...f } fragment f on Query { deals(first: $n) { totalCount } }', {}],
    ['query A($n: Int) { ...f } query B { ...f } fragment f on Query { deals(first: $n) { totalCount } }', {}],
    ['query($id: ID!) { node(id: $id) { id } }', { id: '1' }],
    ['query($id: ID) { node(id: $id) { id } }', { id: '1' }],
    ['query($id: ID = "1") { node(id: $id) { id } }', { id: '1' }],
    ['query($id: ID = null) { node(id: $id) { id } }', { id: '1' }],
    ['query($id: String!) { node(id: $id) { id } }', { id: '1' }],
    ['query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: ['1'] }],
    ['query($ids: [ID]!) { nodes(ids: $ids) { id } }', { ids: ['1'] }],
    ['query($ids: [ID!]) { nodes(ids: $ids) { id } }', { ids: ['1'] }],
    ['query($id: ID!) { nodes(ids: [$id]) { id } }', { id: '1' }],
    ['query($id: ID) { nodes(ids: [$id]) { id } }', { id: '1' }],
    ['query($id: ID!) { nodes(ids: $id) { id } }', { id: '1' }],
    ['query($f: DealFilter) { deals(filter: $f) { totalCount } }', { f: {} }],
    ['query($f: DealFilter!) { deals(filter: $f) { totalCount } }', { f: { name: { eq: 'a' } } }],
    ['query($f: CompanyFilter) { deals(filter: $f) { totalCount } }', {}],
    ['query($n: String) { deals(filter: { name: { eq: $n } }) { totalCount } }', { n: 'a' }],
    ['query($n: Int) { deals(filter: { name: { eq: $n } }) { totalCount } }', {}],
    ['query($n: String!) { deals(filter: { name: { in: [$n] } }) { totalCount } }', { n: 'a' }],
    ['query($n: String) { deals(filter: { name: { in: [$n] } }) { totalCount } }', { n: 'a' }],
    ['query($o: SortDirection) { deals(orderBy: [{ name: $o }]) { totalCount } }', { o: 'ASC' }],
    ['query($o: SortDirection!) { deals(orderBy: [{ name: $o }]) { totalCount } }', { o: 'ASC' }],
    ['query($o: [DealOrder!]) { deals(orderBy: $o) { totalCount } }', { o: [{ name: 'ASC' }] }],
    ['query($b: Boolean!) { __typename @include(if: $b) }', { b: true }],
    ['query($b: Boolean) { __typename @include(if: $b) }', { b: true }],
    ['query($b: Boolean = true) { __typename @skip(if: $b) }', {}],
    ['query($b: Int!) { __typename @include(if: $b) }', { b: 1 }],
    ['query($n: Int @deprecated) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int @nothing) { deals(first: $n) { totalCount } }', {}],
    ['query($n: Int = $m, $m: Int) { deals(first: $n) { totalCount } }', {}],
    ['mutation($i: DealCreate!) { createDeal(input: $i, validateOnly: true) { userErrors { code } } }', { i: { name: 'a' } }],
  ],
  fragments: [
    '{ ...f } fragment f on Query { __typename }',
    '{ ...f ...f } fragment f on Query { __typename }',
    '{ ...f }',
    '{ __typename } fragment f on Query { __typename }',
    '{ ...f } fragment f on Query { ...f }',
    '{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }',
    '{ ...f } fragment f on Query { ...g } fragment g on Query { __typename }',
    '{ ...f } fragment f on Deal { id }',
    '{ ...f } fragment f on Nothing { id }',
    '{ ...f } fragment f on DealFilter { name }',
    '{ ...f } fragment f on SortDirection { name }',
    '{ ...f } fragment f on Query { __typename } fragment f on Query { __typename }',
    '{ ... on Deal { id } }',
    '{ ... on Query { deals { totalCount } } }',
    deal('...f') + ' fragment f on Deal { id name }',
    deal('...f') + ' fragment f on Company { id }',
    deal('...f') + ' fragment f on AnyRecord { id title }',
    deal('...f') + ' fragment f on Node { id }',
    deal('...f') + ' fragment f on Activity { id }',
    deal('...f') + ' fragment f on Deal { nothing }',
    deal('... on AnyRecord { ... on Deal { name } }'),
    deal('... on AnyRecord { ... on Company { name } }'),
    deal('... on Node { ... on DealConnection { totalCount } }'),
    '{ activities { nodes { ...f } } } fragment f on Task { subject }',
    '{ ...f @include(if: true) } fragment f on Query { __typename }',
    '{ ...f } fragment f on Query @include(if: true) { __typename }',
  ],
  merging: [
    deal('name name'),
    deal('a: name a: name'),
    deal('a: name a: id'),
    deal('name: id name'),
    deal('company { id } company { name }'),
    deal('company { a: id } company { a: name }'),
    deal('people(first: 1) { totalCount } people(first: 1) { totalCount }'),
    deal('people(first: 1) { totalCount } people(first: 2) { totalCount }'),
    deal('people(first: 1) { totalCount } people { totalCount }'),
    '{ a: deals { totalCount } a: companies { totalCount } }',
    '{ deals { totalCount } deals { nodes { id } } }',
    '{ deals(first: 1) { totalCount } deals(first: 2) { totalCount } }',
    '{ ...f deals { totalCount } } fragment f on Query { deals(first: 2) { totalCount } }',
    '{ ...f ...g } fragment f on Query { a: deals { totalCount } } fragment g on Query { a: companies { totalCount } }',
    '{ activities { nodes { ... on Task { a: subject } ... on Call { a: subject } } } }',
    '{ activities { nodes { ... on Task { a: subject } ... on Call { a: id } } } }',
    '{ activities { nodes { ... on Task { a: subject } ... on Call { a: version } } } }',
    '{ activities { nodes { ... on Task { a: createdBy { kind } } ... on Call { a: createdBy { kind: actorId } } } } }',
    ['query($n: Int) { deals(first: $n) { totalCount } deals(first: $n) { nodes { id } } }', { n: 1 }],
    ['query($n: Int, $m: Int) { deals(first: $n) { totalCount } deals(first: $m) { nodes { id } } }', { n: 1, m: 1 }],
  ],
  directives: [
    '{ __typename @include(if: true) }',
    '{ __typename @include(if: "true") }',
    '{ __typename @include }',
    '{ __typename @include(if: true, nothing: 1) }',
    '{ __typename @include(if: true) @include(if: true) }',
    '{ __typename @include(if: true) @skip(if: false) }',
    '{ __typename @nothing }',
    '{ __typename @deprecated }',
    '{ __typename @specifiedBy(url: "x") }',
    'query @include(if: true) { __typename }',
    'query @nothing { __typename }',
    'query @skip(if: false) { __typename }',
    'mutation @atomic { createDeal(input: { name: "a" }, validateOnly: true) { userErrors { code } } }',
    'query @atomic { __typename }',
    'mutation @atomic @atomic { __typename }',
    '{ __typename @atomic }',
    '{ ... @include(if: false) { __typename } }',
    '{ ... @atomic { __typename } }',
    '{ deals @skip(if: true) { totalCount } }',
  ],
};

/** Where we differ, and why that is right. */
const argued = new Map([
  ['"a description" query A { __typename }', 'graphql-js 16 is older than the specification of September 2025, which lets operations be described'],
]);

const rules = specifiedRules;
const accepts = (document) => {
  try {
    return validate(schema, parse(document), rules).length === 0;
  } catch {
    return false;
  }
};

const disagreements = [];
let count = 0;
const seen = { valid: 0, invalid: 0 };
await suite('Validation agrees with graphql-js', Object.fromEntries(
  Object.entries(corpus).map(([about, documents]) => [
    about,
    async () => {
      const wrong = [];
      for (const entry of documents) {
        const [document, variables] = Array.isArray(entry) ? entry : [entry, {}];
        count += 1;
        const expected = accepts(document);
        seen[expected ? 'valid' : 'invalid'] += 1;
        const operationName = /^query A .*(query|mutation) [AB]/.test(document) ? 'A' : undefined;
        const accept = document.includes('subscription') ? 'text/event-stream' : 'application/graphql-response+json';
        const found = accept === 'text/event-stream' ? await subscribes(document) : (await post({ query: document, variables, operationName }, { token, headers: { accept } })).status === 200;
        if (found === expected) continue;
        if (argued.has(document)) continue;
        wrong.push(`${expected ? 'refused, although valid' : 'accepted, although invalid'}: ${document}`);
      }
      disagreements.push(...wrong);
      if (wrong.length) throw new Error(wrong.join('\n'));
    },
  ]),
));
console.log(`  ${count} documents, ${seen.valid} valid and ${seen.invalid} invalid; ${disagreements.length} disagreements, ${argued.size} argued`);

/** Whether a subscription begins. */
async function subscribes(document) {
  const abort = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: document }),
    signal: abort.signal,
  });
  const reader = response.body.getReader();
  const first = await Promise.race([reader.read().then(({ value }) => new TextDecoder().decode(value)), new Promise((done) => setTimeout(() => done(''), 400))]);
  abort.abort();
  return !first.includes('"errors"');
}
