// An endpoint for webhooks that comes and goes: now and then it is too busy for events, takes them and hangs up without a word, or is not there.

import { createServer } from 'node:http';
import { sleep } from './cluster.mjs';

/** What failed once is tried again after five seconds; after a second time, after five minutes. So it is kind for as long as the first try takes. */
const KIND = 8_000;
const FRESH = 4_000;

export class Receiver {
  /** Every event that arrived, in order: `{ id, path, how }`; `how` is TAKEN, BUSY or CUT. */
  arrived = [];
  mode = 'kind';
  port = 0;
  #failed = new Set();
  #random;

  constructor(random) {
    this.#random = random;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  listen() {
    return new Promise((done, refuse) => {
      this.server = createServer((request, response) => this.#take(request, response));
      this.server.once('error', refuse).listen(this.port, '127.0.0.1', () => {
        this.port = this.server.address().port;
        done();
      });
    });
  }

  close() {
    return new Promise((done) => {
      this.server.close(done);
      this.server.closeAllConnections();
    });
  }

  #take(request, response) {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const id = request.headers['webhook-id'];
      if (request.url === '/gone') return response.writeHead(410).end();
      const { timestamp } = JSON.parse(Buffer.concat(parts).toString());
      // What is older may have failed before, when nobody was there.
      const may = !this.#failed.has(id) && Date.now() - Date.parse(timestamp) < FRESH;
      const how = may && this.mode === 'busy' ? 'BUSY' : may && this.mode === 'rude' && this.#random() < 0.3 ? 'CUT' : 'TAKEN';
      this.arrived.push({ id, path: request.url, how });
      if (how === 'TAKEN') return response.end('ok');
      this.#failed.add(id);
      if (how === 'CUT') return request.socket.destroy();
      response.writeHead(503, { 'retry-after': '1' }).end();
    });
  }

  /** Comes and goes until it is told to stay. */
  async roam(goesOn) {
    for (let kindUntil = Date.now() + 2_000; goesOn(); await sleep(100)) {
      if (Date.now() < kindUntil) continue;
      const chance = this.#random();
      if (chance < 0.3) {
        await this.close();
        await sleep(200 + this.#random() * 600);
        await this.listen();
      } else {
        this.mode = chance < 0.6 ? 'busy' : 'rude';
        await sleep(300 + this.#random() * 2_500);
        this.mode = 'kind';
      }
      kindUntil = Date.now() + KIND;
    }
  }
}
