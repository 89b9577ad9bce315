// Damage, done on purpose, by which the verdict shows that it can find it: `--spoil log` and the like must end with faults.

const SQL = {
  /** An entry of the log is missing. */
  log: 'DELETE FROM change_log WHERE seq = (SELECT max(seq) - 5 FROM change_log)',
  /** The last entry is missing: there is no gap, and the head knows. */
  tail: 'DELETE FROM change_log WHERE seq = (SELECT max(seq) FROM change_log)',
  /** A change is in the tables and not in the log. */
  version: "UPDATE company SET version = version + 1 WHERE id = (SELECT id FROM company WHERE name = 'Last')",
  /** What was acknowledged is not there. */
  lost: "UPDATE company SET name = 'Other', name_fold = 'other' WHERE id = (SELECT id FROM company WHERE name LIKE 'c%!' LIMIT 1)",
  /** A link is missing. */
  half: "DELETE FROM record_link WHERE id = (SELECT id FROM record_link WHERE kind = 'company_person' LIMIT 1)",
  /** One count more. */
  counter: "UPDATE company SET employee_count = employee_count + 1 WHERE name = 'Counter'",
  /** An event was decided on and never sent, or never decided on. */
  event: "DELETE FROM webhook_delivery WHERE id = (SELECT d.id FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id WHERE w.name = 'all' LIMIT 1)",
  unsent: "UPDATE webhook_delivery SET state = 'FAILED' WHERE id = (SELECT d.id FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id WHERE w.name = 'all' LIMIT 1)",
  /** A job that failed; one that nobody ends. */
  job: "UPDATE job SET state = 'FAILED' WHERE id = (SELECT id FROM job LIMIT 1)",
  lease: "UPDATE job SET lease = id WHERE id = (SELECT id FROM job LIMIT 1)",
  request: "UPDATE idempotency_key SET leased_until = 9000000000000000 WHERE field = ''",
  /** What is kept beside a record does not fit it. The second one on PostgreSQL only: SQLite's has functions of the server's own. */
  spine: "UPDATE record SET deleted_at = 1 WHERE id = (SELECT id FROM company WHERE name = 'Last')",
  search: "DELETE FROM search_entry WHERE record_id = (SELECT id FROM company WHERE name = 'Last')",
};

/** Other damage than to the database. */
const OTHER = {
  /** Two events of one record came the wrong way round. */
  order: (_, { receiver }) => receiver.arrived.reverse(),
  arrival: (_, { receiver }) => {
    const { id } = receiver.arrived.find(({ path }) => path === '/all');
    receiver.arrived = receiver.arrived.filter((event) => event.id !== id);
  },
  /** Somebody was not told. */
  stream: (_, { stream }) => stream.records.set(stream.records.keys().next().value, { version: 0 }),
  sync: (_, { sync }) => sync.records.delete(sync.records.keys().next().value),
  /** Something was not published. With --cluster. */
  published: async (cluster) => {
    const [{ id }] = await cluster.rows('SELECT id FROM workspace');
    await cluster.redisCli(['XDEL', `kith:events:${id}`, '7-0']);
  },
  /** A transaction that nobody ends. */
  lock: async (cluster) => void cluster.execute('BEGIN; SET ROLE kith_app; SELECT pg_advisory_xact_lock(1); SELECT pg_sleep(60)').catch(() => {}),
};

export async function spoil(what, cluster, shared) {
  if (SQL[what]) await cluster.execute(SQL[what]);
  else if (OTHER[what]) await OTHER[what](cluster, shared);
  else throw new Error(`There is ${[...Object.keys(SQL), ...Object.keys(OTHER)].join(', ')}.`);
}
