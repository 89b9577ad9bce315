// The processes that a test of the whole is made of: servers and workers, and, where they share them, a PostgreSQL and a Redis of its own.
// Each is watched over as a supervisor would: what dies is started again. Everything lies in one temporary folder, listens on sockets there or
// on the loopback, and is ended by its process id however the test ends.

import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until something is so, and returns it; what is not so in time is told. */
export async function until(what, ms, probe) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${Math.round(ms / 1000)} s`);
    await sleep(50);
  }
}

export const freePort = () =>
  new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });

// What was started and lives. A test that is interrupted leaves nothing behind.
const living = new Set();
process.on('exit', () => living.forEach((child) => signal(child.pid, 'SIGKILL')));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => process.exit(130));

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}

const ps = (columns) => spawnSync('ps', ['-A', '-o', columns], { encoding: 'utf8' }).stdout.trim().split('\n').map((line) => line.trim().split(/\s+/));
const childrenOf = (pid) => ps('pid=,ppid=').filter(([, parent]) => Number(parent) === pid).map(([child]) => Number(child));
/** Those that still run; whoever waits to be buried does not. */
const survivors = (pids) => {
  const known = new Map(ps('pid=,stat=').map(([pid, state]) => [Number(pid), state]));
  return pids.filter((pid) => known.has(pid) && !known.get(pid).startsWith('Z'));
};

/** A process that is started again whenever it ends, until it is told to stop. */
export class Daemon {
  wanted = false;
  isUp = false;
  starts = 0;
  kills = 0;
  leftBehind = [];

  /** `ready(child)` tells whether it can be used; `mends` puts right what keeps it from starting. */
  constructor(name, { launch, ready, faults, stopSignal = 'SIGTERM', hasChildren = false, mends = () => {} }) {
    Object.assign(this, { name, launch, ready, faults, stopSignal, hasChildren, mends });
  }

  start() {
    if (!this.wanted) {
      this.wanted = true;
      this.watching = this.#watch();
    }
    return this.up();
  }

  up(ms = 120_000) {
    return until(`${this.name} is up`, ms, () => this.isUp);
  }

  async #watch() {
    while (this.wanted) {
      await until(`what ${this.name} left behind is gone`, 60_000, () => !(this.leftBehind = survivors(this.leftBehind)).length);
      const child = this.launch();
      this.child = child;
      this.killed = false;
      this.starts += 1;
      living.add(child);
      let over = false;
      this.ended = new Promise((done) => {
        child.once('exit', (code, how) => done(how ?? code));
        child.once('error', (error) => done(error.message));
      }).finally(() => {
        over = true;
        living.delete(child);
      });
      while (!over && !(await this.ready(child))) await sleep(30);
      const wasUp = !over;
      this.isUp = wasUp;
      const how = await this.ended;
      this.isUp = false;
      if (!this.wanted) return how;
      // Before it is ready it may refuse to go on, because another one is away; afterwards it may not.
      if (!this.killed && wasUp) this.faults.push(`${this.name} ended by itself: ${how}`);
      if (!this.killed) this.mends();
      await sleep(this.killed ? this.rest : 200);
    }
  }

  /** Kills it as a loss of power would, with all that it started; it comes back after a rest. */
  async kill(rest = 0) {
    const { child, ended } = this;
    if (!living.has(child)) return;
    Object.assign(this, { killed: true, rest, kills: this.kills + 1 });
    // Stopped first, so that it has no child that is not known.
    if (this.hasChildren) signal(child.pid, 'SIGSTOP');
    const family = this.hasChildren ? childrenOf(child.pid) : [];
    for (const pid of [child.pid, ...family]) signal(pid, 'SIGKILL');
    this.leftBehind = family;
    await ended;
  }

  /** Asks it to stop; how it ended, and after how many milliseconds. */
  async stop(ms = 60_000) {
    this.wanted = false;
    const begun = Date.now();
    if (!living.has(this.child)) return { how: 0, ms: 0 };
    signal(this.child.pid, this.stopSignal);
    const late = setTimeout(() => signal(this.child.pid, 'SIGKILL'), ms);
    const how = await this.ended;
    clearTimeout(late);
    await this.watching;
    return { how, ms: Date.now() - begun };
  }
}

/** The folder of PostgreSQL's programs: the newest that there is, unless the environment says which. */
function postgresPrograms() {
  const places = [process.env.KITH_TEST_POSTGRES_PROGRAMS, ...(process.env.PATH ?? '').split(delimiter)];
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort((a, b) => b - a) : [];
  places.push(...versions.map((version) => `/usr/lib/postgresql/${version}/bin`));
  const found = places.find((place) => place && existsSync(join(place, 'initdb')));
  if (!found) throw new Error('PostgreSQL is needed: put initdb on the PATH.');
  // The others lie beside it, wherever a link leads.
  return dirname(realpathSync(join(found, 'initdb')));
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`. */
function postgresUser() {
  if (process.getuid() !== 0) return {};
  const id = (flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}

/** Runs a program to its end. */
export function run(program, args, options = {}) {
  return new Promise((done, refuse) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    living.add(child);
    const [out, err] = [[], []];
    child.stdout.on('data', (part) => out.push(part));
    child.stderr.on('data', (part) => err.push(part));
    child.once('error', refuse);
    child.once('close', (code) => {
      living.delete(child);
      done({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() });
    });
  });
}

async function must(program, args, options) {
  const { code, out, err } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args[0]}: ${code}\n${err}${out}`);
  return out;
}

const PYTHON = `
import json, sqlite3, sys, uuid
def plain(value):
    return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) and len(value) == 16 else value
mode, path, sql = sys.argv[1:]
db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=20, isolation_level=None)
rows = db.execute(sql)
names = [column[0] for column in rows.description or []]
print(json.dumps([dict(zip(names, map(plain, row))) for row in rows]))
`;

/** A PostgreSQL whose data survive the death of all its processes. */
async function openPostgres(work, faults, log) {
  const [programs, user] = [postgresPrograms(), postgresUser()];
  const home = join(work, 'postgres');
  mkdirSync(home);
  if (user.uid) chownSync(home, user.uid, user.gid);
  const data = join(home, 'data');
  await must(join(programs, 'initdb'), ['-D', data, '-U', 'kith_owner', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8'], { cwd: home, ...user });
  const settings = { listen_addresses: '', unix_socket_directories: home, max_connections: 200, fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' };
  const args = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const url = (login, database) => `postgres://${login}@localhost/${database}?host=${home}`;
  const ready = async () => (await run(join(programs, 'pg_isready'), ['-q', '-h', home, '-U', 'kith_owner', '-d', 'postgres'])).code === 0;
  const daemon = new Daemon('postgres', {
    launch: () => spawn(join(programs, 'postgres'), args, { cwd: home, stdio: ['ignore', log('postgres'), log('postgres')], ...user }),
    ready,
    faults,
    // Whoever is connected is sent away.
    stopSignal: 'SIGINT',
    hasChildren: true,
    // A file that names a process which died, and whose number another one has by now.
    mends: () => ['data/postmaster.pid', '.s.PGSQL.5432.lock'].forEach((file) => rmSync(join(home, file), { force: true })),
  });
  await daemon.start();
  const psql = (database, sql) => must(join(programs, 'psql'), ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', url('kith_owner', database), '-c', sql], { cwd: home });
  await psql('postgres', 'CREATE DATABASE kith');
  const rows = async (query) => JSON.parse(await psql('kith', `SELECT coalesce(json_agg(t), '[]') FROM (${query}) t`));

  /** A replica by streaming replication, which is up and follows. */
  const openReplica = async () => {
    const home = join(work, 'replica');
    mkdirSync(home);
    if (user.uid) chownSync(home, user.uid, user.gid);
    const data = join(home, 'data');
    await must(join(programs, 'pg_basebackup'), ['-d', url('kith_owner', 'postgres'), '-D', data, '-R', '-X', 'stream', '-c', 'fast'], { cwd: home, ...user });
    const args = ['-D', data, ...Object.entries({ ...settings, unix_socket_directories: home }).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const of = (login) => `postgres://${login}@localhost/kith?host=${home}`;
    const execute = async (sql) => (await must(join(programs, 'psql'), ['-X', '-q', '-At', '-d', of('kith_owner'), '-c', sql], { cwd: home })).trim();
    const daemon = new Daemon('replica', {
      launch: () => spawn(join(programs, 'postgres'), args, { cwd: home, stdio: ['ignore', log('replica'), log('replica')], ...user }),
      ready: async () => (await run(join(programs, 'pg_isready'), ['-q', '-h', home, '-U', 'kith_owner', '-d', 'postgres'])).code === 0,
      faults,
      stopSignal: 'SIGINT',
      hasChildren: true,
      mends: () => ['data/postmaster.pid', '.s.PGSQL.5432.lock'].forEach((file) => rmSync(join(home, file), { force: true })),
    });
    await daemon.start();
    return { daemon, url: of('kith_app'), execute };
  };
  return { daemon, url, rows, openReplica, execute: (sql) => psql('kith', sql) };
}

async function openRedis(work, faults, log) {
  const socket = join(work, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', socket, '--dir', work, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
  const ready = () =>
    new Promise((done) => {
      const asking = createConnection(socket, () => asking.write('PING\r\n'));
      asking.setTimeout(1_000, () => asking.destroy());
      asking.on('data', (data) => (done(String(data).startsWith('+PONG')), asking.destroy()));
      asking.on('error', () => done(false)).on('close', () => done(false));
    });
  const daemon = new Daemon('redis', { launch: () => spawn('redis-server', args, { stdio: ['ignore', log('redis'), log('redis')] }), ready, faults });
  await daemon.start();
  return { daemon, url: `redis+unix://${socket}`, cli: (args) => must('redis-cli', ['-s', socket, ...args]) };
}

/**
 * Opens everything: on SQLite one server that does its own work; otherwise servers and workers over one PostgreSQL and one Redis. The database is
 * there and migrated, PostgreSQL and Redis are up, servers and workers are not.
 */
export async function open({ kith, shared, servers = 2, workers = 2, env = {} }) {
  const work = mkdtempSync(join(tmpdir(), 'kith-cluster.'));
  chmodSync(work, 0o711);
  const faults = [];
  const log = (name) => openSync(join(work, `${name}.log`), 'a');
  // Nothing of this shell's own settings.
  const base = { PATH: process.env.PATH, HOME: work, KITH_DATA_DIR: join(work, 'data'), KITH_LOG: process.env.KITH_LOG ?? 'warn', KITH_MAIL_URL: `file://${join(work, 'mail')}`, ...env };
  const file = join(work, 'data', 'kith.db');
  const lite = (mode) => async (sql) => JSON.parse(await must('python3', ['-c', PYTHON, mode, file, sql]));
  const cluster = { work, faults, shared, rows: lite('ro'), execute: lite('rw'), servers: [], workers: [], others: [] };
  if (shared) {
    const postgres = await openPostgres(work, faults, log);
    const redis = await openRedis(work, faults, log);
    const jwt = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    Object.assign(base, { DATABASE_URL: postgres.url('kith_app', 'kith'), DATABASE_MIGRATE_URL: postgres.url('kith_owner', 'kith'), REDIS_URL: redis.url, KITH_WORK_IN_SERVE: 'false' });
    Object.assign(base, { KITH_JWT_PRIVATE_KEY: jwt, KITH_ENCRYPTION_KEY: randomBytes(32).toString('base64') });
    Object.assign(cluster, { postgres: postgres.daemon, openReplica: postgres.openReplica, redis: redis.daemon, redisCli: redis.cli, rows: postgres.rows, execute: postgres.execute });
    cluster.others = [redis.daemon, postgres.daemon];
    await must(kith, ['migrate'], { env: base });
  }
  const server = async (name, more = {}) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const launch = () => spawn(kith, ['serve', '--listen', `127.0.0.1:${port}`], { env: { ...base, ...more }, stdio: ['ignore', log(name), log(name)] });
    // That it answers is enough: whether it is ready depends on others, who may be away.
    const get = (path, ms) => fetch(`${url}${path}`, { signal: AbortSignal.timeout(ms) }).catch(() => ({ ok: false }));
    const ready = async () => (await get('/healthz', 5_000)).ok;
    const isReady = async () => (await get('/readyz', 10_000)).ok;
    return Object.assign(new Daemon(name, { launch, ready, faults }), { url, port, isReady });
  };
  for (let n = 1; n <= (shared ? servers : 1); n += 1) cluster.servers.push(await server(`serve-${n}`));
  // One more, with settings of its own, which whoever asks for it stops.
  cluster.addServer = async (name, more) => {
    const added = await server(name, more);
    await added.start();
    return added;
  };
  for (let n = 1; shared && n <= workers; n += 1) {
    const name = `work-${n}`;
    const launch = () => {
      const child = spawn(kith, ['work'], { env: base, stdio: ['ignore', 'pipe', log(name)] });
      child.stdout.on('data', (text) => (child.says = `${child.says ?? ''}${text}`));
      return child;
    };
    cluster.workers.push(new Daemon(name, { launch, ready: (child) => child.says?.includes('Kith works'), faults }));
  }
  cluster.env = base;
  cluster.run = (args) => run(kith, args, { env: base });
  cluster.start = () => Promise.all([...cluster.servers, ...cluster.workers].map((daemon) => daemon.start()));
  cluster.stop = async () => {
    for (const daemon of [...cluster.servers, ...cluster.workers, ...cluster.others]) if (daemon.wanted) await daemon.stop();
  };
  return cluster;
}
