// Whoever follows what happens, each in their own way, and keeps a copy by it: server-sent events that go on from the last one when they are cut,
// and an app that asks for changes now and then.

import { insist } from './clients.mjs';
import { sleep } from './cluster.mjs';

const SCOPES = [{ companies: {} }, { people: {} }, { deals: {} }];
const RECORD = 'kind id record { ... on Company { version name industry } ... on Person { version } ... on Deal { version } } changedFields';

const CHANGES = `query($s: [SyncScope!]!, $a: Cursor) { changes(scopes: $s, after: $a, first: 200) { nodes { ${RECORD} } pageInfo { hasNextPage endCursor } } }`;

/** A copy of records, kept by what is told of them. */
class Copy {
  records = new Map();
  faults = [];
  events = 0;
  /** How often it was told that something is missing. */
  gaps = 0;

  constructor(name, { urls, token }, after) {
    Object.assign(this, { name, urls, token, after });
  }

  /** After a connection was cut something may be told once more; it must not make the copy another. */
  tell({ kind, id, record }) {
    this.events += 1;
    if (kind === 'ENTERED' || kind === 'UPDATED') {
      if (kind === 'UPDATED' && !this.records.has(id)) this.faults.push(`${this.name}: ${id} was changed and had not come`);
      this.records.set(id, record);
    } else if (kind === 'LEFT') {
      this.records.delete(id);
    } else if (kind === 'GAP') {
      this.gaps += 1;
    }
  }

  /** Asks, of either node, for what changed since it was last told something. */
  async ask() {
    for (let more = true; more; ) {
      const urls = Math.random() < 0.5 ? this.urls : [...this.urls].reverse();
      const { changes } = await insist(urls, this.token, CHANGES, { s: SCOPES, a: this.after });
      for (const change of changes.nodes) this.tell(change);
      more = changes.pageInfo.hasNextPage;
      this.after = changes.pageInfo.endCursor;
    }
  }

  /** What is otherwise than it really is. */
  differences(really) {
    const other = [];
    for (const [id, record] of really) {
      const mine = this.records.get(id);
      if (!mine) other.push(`${this.name}: ${id} is missing`);
      else if (mine.version !== record.version || (record.name !== undefined && mine.name !== record.name)) other.push(`${this.name}: ${id} is ${JSON.stringify(mine)}, not ${JSON.stringify(record)}`);
    }
    for (const id of this.records.keys()) if (!really.has(id)) other.push(`${this.name}: ${id} is there no more`);
    return other;
  }
}

/** Server-sent events; `cuts` counts how often they broke off. */
export class Stream extends Copy {
  cuts = 0;

  async run() {
    for (let n = 0; !this.over; n += 1) {
      this.aborting = new AbortController();
      try {
        await this.#listen(this.urls[n % this.urls.length], this.aborting.signal);
      } catch {
        // It is cut wherever it stands, and goes on at another node.
      }
      this.cuts += 1;
      if (!this.over) await sleep(100);
    }
  }

  stop() {
    this.over = true;
    this.aborting?.abort();
  }

  /** Changes are missing: the lists are read anew, and followed from there. */
  async #readAnew() {
    this.gaps += 1;
    this.records.clear();
    this.after = null;
    await this.ask();
  }

  async #listen(url, signal) {
    const query = `subscription($s: [SyncScope!], $a: Cursor) { recordChanges(scopes: $s, after: $a) { ${RECORD} } }`;
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${this.token}` };
    const response = await fetch(`${url}/graphql`, { method: 'POST', signal, headers, body: JSON.stringify({ query, variables: { s: SCOPES, a: this.after } }) });
    if (!response.ok) return;
    let text = '';
    const decoder = new TextDecoder();
    for await (const part of response.body) {
      text += decoder.decode(part, { stream: true });
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const lines = text.slice(0, end).split('\n');
        const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field('event') !== 'next') continue;
        const { data, errors } = JSON.parse(field('data'));
        // A database that is away cuts the stream; what was told is told.
        if (errors || !data) return;
        if (data.recordChanges.kind === 'GAP') return this.#readAnew();
        this.tell(data.recordChanges);
        this.after = field('id') ?? this.after;
      }
    }
  }
}

/** An app that asks now and then what changed. */
export class Sync extends Copy {
  async run() {
    while (!this.over) {
      await this.ask();
      await sleep(300);
    }
  }

  stop() {
    this.over = true;
  }
}
