// Whoever follows a list over a WebSocket as the manual says: keeps the cursor of the last event, and when the connection ends connects again and
// goes on from there.

import WebSocket from 'ws';
import { sleep, until } from '../torture/cluster.mjs';

export class Subscriber {
  /** What is known: the names of the records, by id. */
  records = new Map();
  /** How connections ended. */
  closes = [];
  /** When a record was told, by its name. */
  told = new Map();
  gaps = 0;

  constructor(url, token, { query = 'subscription($a: Cursor) { companyChanges(after: $a) { kind id company { name } cursor } }', after = null } = {}) {
    Object.assign(this, { url: `${url.replace('http', 'ws')}/graphql`, token, query, after });
  }

  /** Connects, and returns when it is subscribed. */
  start() {
    this.running = this.#run();
    return until('a subscriber is let in', 20_000, () => this.isIn);
  }

  async #run() {
    while (!this.over) {
      this.closes.push(await this.#connection());
      this.isIn = false;
      if (!this.over) await sleep(50);
    }
  }

  #connection() {
    const socket = new WebSocket(this.url, 'graphql-transport-ws');
    this.socket = socket;
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${this.token}` } })));
    socket.on('message', (data) => this.#hear(JSON.parse(data), socket));
    socket.on('error', () => {});
    return new Promise((done) => socket.on('close', done));
  }

  #hear(message, socket) {
    if (message.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
    if (message.type === 'connection_ack') {
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: this.query, variables: { a: this.after } } }));
      this.isIn = true;
    }
    if (message.type === 'error') socket.close(4999, 'it cannot go on');
    if (message.type !== 'next') return;
    const { kind, id, company, cursor } = message.payload.data.companyChanges;
    if (kind === 'ENTERED' || kind === 'UPDATED') {
      this.records.set(id, company.name);
      if (!this.told.has(company.name)) this.told.set(company.name, Date.now());
    } else if (kind === 'LEFT') this.records.delete(id);
    else if (kind === 'GAP') this.gaps += 1;
    this.after = cursor;
  }

  async stop() {
    this.over = true;
    this.socket.close(1000);
    await this.running;
  }
}
