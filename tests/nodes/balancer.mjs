// A balancer of the plainest kind: it asks every node again and again whether it is ready, gives requests in turn to those that are, keeps
// connections to them open, and sends nothing twice. A request whose node does not answer has failed.

import { Agent, createServer, request as send } from 'node:http';
import { connect } from 'node:net';
import { sleep } from '../torture/cluster.mjs';

/** How often a node is asked, and how long it may take to answer: it is not ready because it says so, or says nothing. */
const EVERY = 100;
const PATIENCE = 10_000;

export class Balancer {
  nodes = [];
  /** Requests that were given to a node and not answered by it, or for which there was none. */
  failed = [];
  served = 0;
  #turn = 0;
  #over = false;

  constructor(urls) {
    this.nodes = urls.map((url) => ({ url: new URL(url), ready: false, held: false, agent: new Agent({ keepAlive: true }) }));
  }

  async listen() {
    this.server = createServer((asked, answer) => this.#pass(asked, answer));
    this.server.on('upgrade', (asked, socket, head) => this.#join(asked, socket, head));
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    this.looking = Promise.all(this.nodes.map((node) => this.#look(node)));
  }

  async close() {
    this.#over = true;
    this.server.closeAllConnections();
    this.server.close();
    await this.looking;
    for (const { agent } of this.nodes) agent.destroy();
  }

  /** Takes a node out of the row, or puts it back, whatever it says of itself: as whoever restarts it might. */
  hold(url, held) {
    this.nodes.find((node) => node.url.href === new URL(url).href).held = held;
  }

  isReady(url) {
    return this.nodes.find((node) => node.url.href === new URL(url).href).ready;
  }

  async #look(node) {
    while (!this.#over) {
      const asked = fetch(new URL('/readyz', node.url), { signal: AbortSignal.timeout(PATIENCE) });
      node.ready = await asked.then(async (answer) => (await answer.arrayBuffer(), answer.ok)).catch(() => false);
      await sleep(EVERY);
    }
  }

  #pick() {
    const ready = this.nodes.filter((node) => node.ready && !node.held);
    return ready.length ? ready[(this.#turn += 1) % ready.length] : undefined;
  }

  #pass(asked, answer) {
    const node = this.#pick();
    const fail = (why) => {
      this.failed.push(`${node?.url.port ?? 'no node'}: ${why}`);
      if (!answer.headersSent) answer.writeHead(502);
      answer.end();
    };
    if (!node) return fail('nobody is ready');
    const { method, url: path, headers } = asked;
    const passed = send({ hostname: node.url.hostname, port: node.url.port, method, path, headers, agent: node.agent }, (given) => {
      answer.writeHead(given.statusCode, given.headers);
      given.on('error', (error) => fail(`cut off: ${error.code}`)).on('end', () => (this.served += 1));
      given.pipe(answer);
    });
    passed.on('error', (error) => fail(error.code));
    asked.pipe(passed);
  }

  #join(asked, socket, head) {
    const node = this.#pick();
    if (!node) return socket.destroy();
    const other = connect(node.url.port, node.url.hostname, () => {
      const lines = asked.rawHeaders.flatMap((name, index, all) => (index % 2 ? [] : [`${name}: ${all[index + 1]}`]));
      other.write(`GET ${asked.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      other.write(head);
      other.pipe(socket).pipe(other);
    });
    for (const [one, another] of [[socket, other], [other, socket]]) one.on('error', () => another.destroy()).on('close', () => another.end());
  }
}
