// Clients that write without pause. What is acknowledged is noted in a ledger; what is not answered is sent again, under an idempotency key or as
// it is where the record's id is the client's own; and some of it is given up, so that nobody knows whether it was done: then all of it was, or
// none.

import { sleep } from './cluster.mjs';

/** It is not known whether it was done; or it was not, and may be sent again. */
class Unanswered extends Error {}

/** Codes that say: not now. */
const AGAIN = ['UNAVAILABLE', 'TIMEOUT', 'IDEMPOTENCY_IN_PROGRESS', 'RATE_LIMITED'];
/** Longer than any request may take, whatever is away. */
const LONGEST = 60_000;

export async function ask(url, token, query, variables = {}, key) {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...(key ? { 'idempotency-key': key } : {}) };
  let status, answer;
  try {
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }), signal: AbortSignal.timeout(LONGEST) });
    status = response.status;
    answer = await response.json();
  } catch (error) {
    if (error.name === 'TimeoutError') throw new Error(`nothing was answered within ${LONGEST / 1000} s: ${query.slice(0, 80)}`);
    throw Object.assign(new Unanswered(String(error.cause?.code ?? error.message)), { code: error.cause?.code });
  }
  if (!answer.errors) return answer.data;
  const code = answer.errors[0].extensions?.code;
  if (AGAIN.includes(code)) throw Object.assign(new Unanswered(code), { code });
  throw Object.assign(new Error(`${status} ${JSON.stringify(answer.errors)}`), { code });
}

/** Asks until there is an answer, of whichever node. */
export async function insist(urls, token, query, variables, key) {
  for (let n = 0; ; n += 1) {
    try {
      return await ask(urls[n % urls.length], token, query, variables, key);
    } catch (error) {
      if (!(error instanceof Unanswered) || n > 1_200) throw error;
      await sleep(100);
    }
  }
}

// An id of a client's own making: random, in the form of a version 7.
const newId = () => crypto.randomUUID().replace(/^(.{14})./, '$17');

/** What clients know of their records. */
export class Ledger {
  records = new Map();
  /** Writes that were given up: each was done whole or not at all. */
  doubtful = [];
  counted = 0;
  writes = 0;
  sentAgain = 0;
  slowest = 0;

  add(object, id, fields = {}) {
    this.records.set(id, { object, fields, log: { CREATED: 1 }, people: new Set(), deleted: false, merged: null });
  }

  note(id, kind, fields = {}) {
    const record = this.records.get(id);
    record.log[kind] = (record.log[kind] ?? 0) + 1;
    Object.assign(record.fields, fields);
  }
}

const ERRORS = 'userErrors { code path message }';
const CREATE = `mutation($i: CompanyCreate!) { createCompany(input: $i) { company { id version } ${ERRORS} } }`;
const CREATE_PERSON = `mutation($i: PersonCreate!) { createPerson(input: $i) { person { id } ${ERRORS} } }`;
const CREATE_MANY = `mutation($i: [CompanyCreate!]!) { createCompanies(inputs: $i) { committed results { ${ERRORS} } ${ERRORS} } }`;
const UPDATE = `mutation($id: ID!, $i: CompanyUpdate!, $v: Int) { updateCompany(id: $id, input: $i, expectedVersion: $v) { company { version } ${ERRORS} } }`;
const UPDATE_MANY = `mutation($f: CompanyFilter!, $i: CompanyUpdate!) { updateCompanies(filter: $f, input: $i, limit: 100) { committed results { ${ERRORS} } ${ERRORS} } }`;
const DELETE = `mutation($id: ID!) { deleteCompany(id: $id) { deletedId ${ERRORS} } }`;
const RESTORE = `mutation($id: ID!) { restoreCompany(id: $id) { company { version } ${ERRORS} } }`;
const MERGE = `mutation($a: ID!, $b: [ID!]!) { mergeCompanies(into: $a, from: $b) { mergeId mergedIds ${ERRORS} } }`;
const UNMERGE = `mutation($m: ID!) { unmergeCompany(mergeId: $m) { restored { id } conflicts { __typename } ${ERRORS} } }`;
const PURGE = `mutation($id: ID!) { purgeCompany(id: $id) { deletedId ${ERRORS} } }`;
const DEAL = `mutation($d: DealCreate!, $id: ID!, $i: CompanyUpdate!) @atomic { createDeal(input: $d) { deal { id } ${ERRORS} } updateCompany(id: $id, input: $i) { company { version } ${ERRORS} } }`;
const WEBHOOK = `mutation($i: CreateWebhookInput!) { createWebhook(input: $i) { webhook { id } ${ERRORS} } }`;
const FIELD = `mutation($i: CreateFieldInput!) { createField(input: $i) { field { name } ${ERRORS} } }`;

/** What was refused in an answer, wherever in it. */
const refusals = (value) => (value && typeof value === 'object' ? [...(value.userErrors ?? []), ...Object.values(value).flatMap(refusals)] : []);

export class Client {
  stories = new Set();
  count = 0;

  /** `shared`: what all clients have in common, such as the servers' addresses, the ledger, and whether they are to go on. */
  constructor(name, keyed, shared) {
    Object.assign(this, { name, keyed, shared });
  }

  /** Tells one story after the other. One that waits for the lease of a request that died holds up none of the others. */
  async run() {
    const { random } = this.shared;
    while (this.shared.writing) {
      // What is not safe to send twice is sent under a key.
      const plots = this.keyed ? ['nested', 'many', 'links', 'deal', 'removal', 'merge', 'counter', 'counter', 'field', 'switchedOff', 'purge', 'unmerge', 'hooked'] : ['nested', 'nested', 'many', 'deal'];
      const plot = plots[Math.floor(random() * plots.length)];
      const mark = `${this.name}-${(this.count += 1)}`;
      let stalls = () => {};
      const stalled = new Promise((done) => (stalls = done));
      const told = this[plot](mark, stalls).catch((error) => this.shared.faults.push(`${mark} (${plot}): ${error.message}`));
      this.stories.add(told);
      told.finally(() => this.stories.delete(told));
      await Promise.race([told, stalled]);
      while (this.stories.size > 40) await Promise.race(this.stories);
    }
    await Promise.all(this.stories);
  }

  /** Sends a write until it is answered; none if it was given up, or it is time to go. */
  async write(what, document, variables, { stalls, mayGiveUp = false, accepts = [] }) {
    const { urls, token, ledger, random } = this.shared;
    const key = this.keyed ? `${what} ${Math.floor(random() * 1e9)}` : undefined;
    for (let tries = 1; ; tries += 1) {
      const begun = Date.now();
      try {
        const data = await ask(urls[Math.floor(random() * urls.length)], token, document, variables, key);
        const refused = refusals(data);
        ledger.writes += 1;
        if (refused.length === 1 && accepts.includes(refused[0].code)) return { refused: refused[0].code };
        if (refused.length) throw new Error(`${what} was refused: ${JSON.stringify(refused)}`);
        return data;
      } catch (error) {
        if (error.code === 'ALREADY_ISSUED') return {};
        if (!(error instanceof Unanswered)) throw error;
        ledger.sentAgain += 1;
        if (error.code === 'IDEMPOTENCY_IN_PROGRESS') stalls();
        const reached = error.code !== 'ECONNREFUSED';
        if (mayGiveUp && reached && random() < 0.4) return null;
        if (Date.now() > this.shared.patience) throw new Error(`${what} is not answered: ${error.message}`);
        await sleep(error.code === 'IDEMPOTENCY_IN_PROGRESS' ? 1_000 : 50 + random() * 100);
      } finally {
        ledger.slowest = Math.max(ledger.slowest, Date.now() - begun);
      }
    }
  }

  company(mark, id = newId()) {
    const fields = { name: mark, industry: mark, code: mark };
    return { id, fields, input: { id, name: mark, industry: mark, custom: { code: mark } } };
  }

  /** A company with a person, made in one write; two fields that change together. */
  async nested(mark, stalls) {
    const { ledger } = this.shared;
    const [{ id, fields, input }, person] = [this.company(mark), newId()];
    const people = { create: [{ record: { id: person, lastName: mark } }] };
    if (!(await this.write(`${mark} create`, CREATE, { i: { ...input, people } }, { stalls, mayGiveUp: true }))) {
      return ledger.doubtful.push({ what: mark, ids: [id, person], link: [id, person] });
    }
    ledger.add('company', id, fields);
    ledger.add('person', person);
    ledger.records.get(id).people.add(person);
    ledger.note(id, 'LINKED');
    const changed = { name: `${mark}!`, industry: `${mark}!` };
    if (await this.write(`${mark} update`, UPDATE, { id, i: changed }, { stalls, mayGiveUp: true })) return ledger.note(id, 'UPDATED', changed);
    ledger.records.get(id).maybe = changed;
  }

  /** Many in one write; then all of them by one filter. */
  async many(mark, stalls) {
    const { ledger } = this.shared;
    const all = Array.from({ length: 8 }, (_, n) => this.company(`${mark}.${n}`));
    if (!(await this.write(`${mark} create`, CREATE_MANY, { i: all.map(({ input }) => input) }, { stalls, mayGiveUp: true }))) {
      return ledger.doubtful.push({ what: mark, ids: all.map(({ id }) => id) });
    }
    for (const { id, fields } of all) ledger.add('company', id, fields);
    const changed = { industry: 'bulk' };
    await this.write(`${mark} update`, UPDATE_MANY, { f: { id: { in: all.map(({ id }) => id) } }, i: changed }, { stalls });
    for (const { id } of all) ledger.note(id, 'UPDATED', changed);
  }

  /** Links that are made, cut, and made again. */
  async links(mark, stalls) {
    const { ledger } = this.shared;
    const [{ id, fields, input }, person] = [this.company(mark), newId()];
    await this.write(`${mark} create`, CREATE, { i: input }, { stalls });
    ledger.add('company', id, fields);
    await this.write(`${mark} person`, CREATE_PERSON, { i: { id: person, lastName: mark } }, { stalls });
    ledger.add('person', person);
    const { people } = ledger.records.get(id);
    for (const [kind, edit] of [['LINKED', { connect: [{ id: person, role: 'boss' }] }], ['UNLINKED', { disconnect: [person] }], ['LINKED', { connect: [{ id: person, role: 'aide' }] }]]) {
      await this.write(`${mark} ${kind}`, UPDATE, { id, i: { people: edit } }, { stalls });
      ledger.note(id, kind);
      if (kind === 'LINKED') people.add(person);
      else people.delete(person);
    }
  }

  /** Two root fields, one transaction. */
  async deal(mark, stalls) {
    const { ledger } = this.shared;
    const [{ id, fields, input }, deal] = [this.company(mark), newId()];
    if (!(await this.write(`${mark} create`, CREATE, { i: input }, { stalls, mayGiveUp: true }))) return ledger.doubtful.push({ what: mark, ids: [id] });
    ledger.add('company', id, fields);
    const d = { id: deal, name: mark, amount: { amount: '10.5', currency: 'EUR' }, company: { id } };
    const changed = { industry: 'sold to' };
    if (await this.write(`${mark} deal`, DEAL, { d, id, i: changed }, { stalls, mayGiveUp: true })) {
      ledger.add('deal', deal, { name: mark });
      return ledger.note(id, 'UPDATED', changed);
    }
    ledger.records.get(id).maybe = changed;
    ledger.doubtful.push({ what: `${mark} deal`, ids: [deal], with: id });
  }

  /** Deleted, restored, and deleted for the last time. */
  async removal(mark, stalls) {
    const { ledger } = this.shared;
    const { id, fields, input } = this.company(mark);
    await this.write(`${mark} create`, CREATE, { i: input }, { stalls });
    ledger.add('company', id, fields);
    for (const [kind, document] of [['DELETED', DELETE], ['RESTORED', RESTORE], ['DELETED', DELETE]]) {
      await this.write(`${mark} ${kind}`, document, { id }, { stalls });
      ledger.note(id, kind);
      ledger.records.get(id).deleted = kind === 'DELETED';
    }
  }

  /** Deleted and gone for good. */
  async purge(mark, stalls) {
    const { ledger } = this.shared;
    const { id, fields, input } = this.company(mark);
    await this.write(`${mark} create`, CREATE, { i: input }, { stalls });
    ledger.add('company', id, fields);
    for (const [kind, document] of [['DELETED', DELETE], ['PURGED', PURGE]]) {
      await this.write(`${mark} ${kind}`, document, { id }, { stalls });
      ledger.note(id, kind);
      Object.assign(ledger.records.get(id), { deleted: true, purged: kind === 'PURGED' });
    }
  }

  /** What another system posts, again and again until it is taken. */
  async hooked(mark) {
    const { urls, ledger, random, inbound } = this.shared;
    const { id, fields } = this.company(mark);
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${inbound.secret}`, 'idempotency-key': `${mark} ${Math.floor(random() * 1e9)}` };
    for (;;) {
      const url = `${urls[Math.floor(random() * urls.length)]}/hooks/${inbound.id}`;
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ id, name: mark }), signal: AbortSignal.timeout(LONGEST) }).catch(() => null);
      if (response?.ok) break;
      if (response && ![409, 429, 500, 503].includes(response.status)) throw new Error(`the hook says ${response.status} ${await response.text()}`);
      ledger.sentAgain += 1;
      if (Date.now() > this.shared.patience) throw new Error('the hook does not answer');
      await sleep(response?.status === 409 ? 1_000 : 100);
    }
    ledger.add('company', id, fields);
  }

  /** Two that become one, and two again. */
  async unmerge(mark, stalls) {
    const { ledger } = this.shared;
    const { merged, b } = await this.merge(mark, stalls);
    await this.write(`${mark} unmerge`, UNMERGE, { m: merged }, { stalls });
    Object.assign(ledger.records.get(b), { merged: null, deleted: false });
    ledger.note(b, 'RESTORED');
  }

  /** Two that become one. */
  async merge(mark, stalls) {
    const { ledger } = this.shared;
    const both = [this.company(`${mark}.a`), this.company(`${mark}.b`)];
    for (const { id, fields, input } of both) {
      await this.write(`${fields.name} create`, CREATE, { i: { ...input, custom: undefined } }, { stalls });
      ledger.add('company', id, { ...fields, code: null });
    }
    const [a, b] = both.map(({ id }) => id);
    const { mergeCompanies } = await this.write(`${mark} merge`, MERGE, { a, b: [b] }, { stalls });
    Object.assign(ledger.records.get(b), { merged: a, deleted: true });
    ledger.note(b, 'DELETED');
    return { merged: mergeCompanies.mergeId, b };
  }

  /** One record that all of them count up: what was acknowledged was counted once. */
  async counter(mark, stalls) {
    const { ledger, counter, urls, token } = this.shared;
    for (let n = 0; n < 5; n += 1) {
      const { company } = await insist(urls, token, 'query($id: ID!) { company(id: $id) { version employeeCount } }', { id: counter });
      const done = await this.write(`${mark} count ${n}`, UPDATE, { id: counter, i: { employeeCount: company.employeeCount + 1 }, v: company.version }, { stalls, accepts: ['CONFLICT'] });
      if (done.refused) continue;
      ledger.counted += 1;
      return;
    }
  }

  /** A field that the workspace gets meanwhile; twenty at most. */
  async field(mark, stalls) {
    if ((this.shared.fields += 1) > 20) return;
    const name = `f${this.shared.fields}`;
    await this.write(`${mark} field`, FIELD, { i: { object: 'COMPANY', name, label: name, kind: 'TEXT' } }, { stalls });
    const { id, fields, input } = this.company(mark);
    const i = { ...input, custom: undefined, customFields: [{ field: 'code', value: mark }, { field: name, value: mark }] };
    for (let n = 0; ; n += 1) {
      // While Redis is away the other node may not know of it for some seconds.
      const done = await this.write(`${mark} create ${n}`, CREATE, { i }, { stalls, accepts: n < 100 ? ['INVALID_VALUE'] : [] });
      if (!done.refused) return this.shared.ledger.add('company', id, fields);
      await sleep(100);
    }
  }

  /** A webhook whose endpoint is gone is switched off, and a job writes its maker a letter; thirty at most. */
  async switchedOff(mark, stalls) {
    if ((this.shared.hooks += 1) > 30) return;
    await this.write(`${mark} webhook`, WEBHOOK, { i: { name: `gone ${mark}`, url: `${this.shared.endpoint}/gone`, scopes: [{ companies: {} }] } }, { stalls });
    this.shared.gone.push(`gone ${mark}`);
  }
}
