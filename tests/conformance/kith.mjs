// What the suites share: where the server is, who asks, and how results are told.

export const port = process.env.KITH_PORT ?? '4000';
export const url = `http://127.0.0.1:${port}/graphql`;
export const wsUrl = `ws://127.0.0.1:${port}/graphql`;

/** Sends a request as JSON. */
export async function post(body, { token, headers = {} } = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** Sends a document that must succeed. */
export async function ask(token, query, variables = {}) {
  const { json, text } = await post({ query, variables }, { token });
  if (!json?.data || json.errors) throw new Error(`${query}\n${text}`);
  return json.data;
}

/** Signs the administrator in, whom the runner made. */
export async function signIn(email = 'admin@test.example', password = 'correct horse') {
  const { signIn } = await ask(undefined, 'mutation($i: SignInInput!) { signIn(input: $i) { session { accessToken refreshToken } userErrors { message } } }', {
    i: { email, password },
  });
  return signIn.session;
}

/** A member with a role, signed in: their token and id. */
export async function member(admin, name, role) {
  const { roles } = await ask(admin, '{ roles { id builtIn } }');
  const email = `${name.toLowerCase()}.${Date.now()}@test.example`;
  const invite = 'mutation($i: InviteMemberInput!) { inviteMember(input: $i) { token userErrors { message } } }';
  const { inviteMember } = await ask(admin, invite, { i: { name, email, roles: [roles.find((known) => known.builtIn === role).id] } });
  const accept = 'mutation($i: AcceptInvitationInput!) { acceptInvitation(input: $i) { session { accessToken member { id } } userErrors { message } } }';
  const { acceptInvitation } = await ask(undefined, accept, { i: { token: inviteMember.token, password: 'correct horse' } });
  const { session } = acceptInvitation;
  return { token: session.accessToken, id: session.member.id, email };
}

/** Creates a record and returns its id. */
export async function create(token, type, input) {
  const one = type[0].toLowerCase() + type.slice(1);
  const document = `mutation($i: ${type}Create!) { create${type}(input: $i) { ${one} { id } userErrors { path message } } }`;
  const payload = (await ask(token, document, { i: input }))[`create${type}`];
  if (payload.userErrors.length) throw new Error(JSON.stringify(payload.userErrors));
  return payload[one].id;
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits for something, at most so long. */
export function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what ?? 'not equal'}\n  found    ${a}\n  expected ${b}`);
}

/** Runs cases and prints one line, and a line for each that failed. */
export async function suite(name, cases) {
  let passed = 0;
  const only = process.env.KITH_ONLY;
  for (const [title, run] of Object.entries(cases)) {
    if (only && !title.includes(only)) continue;
    try {
      await within(30_000, run(), title);
      passed += 1;
    } catch (error) {
      console.error(`  FAILED ${name}: ${title}\n${String(error.stack ?? error).replace(/^/gm, '    ')}`);
      process.exitCode = 1;
    }
  }
  console.log(`${name}: ${passed} of ${Object.keys(cases).length} passed`);
}

/** What a client is told of a subscription, awaited one by one. */
export function follow(client, request) {
  const found = [];
  let wake = () => {};
  const put = (value) => {
    found.push(value);
    wake();
  };
  const stop = client.subscribe(request, { next: put, error: (error) => put({ error }), complete: () => put({ complete: true }) });
  return {
    stop,
    async next() {
      while (!found.length) await within(10_000, new Promise((done) => (wake = done)), 'an event');
      return found.shift();
    },
  };
}
