// What one node knows of what the other one did: sessions, definitions, rights, credentials.

import { sleep, until } from '../torture/cluster.mjs';
import { ALL, CREATE, LOOK, ask, equal, name, post, signIn } from './api.mjs';
import { Subscriber } from './subscriber.mjs';

/**
 * What requests on the other node are answered after one was answered here. The word between them travels while the answer does, so where the
 * machine is busy it may come a moment after the next request; what is only found out by itself, after two seconds or ten, is late every time.
 */
async function atOnce(what, rounds, { before, change, isSo }) {
  const late = [];
  for (let n = 0; n < rounds; n += 1) {
    const state = await before(n);
    await change(state);
    const changed = Date.now();
    if (await isSo(state)) continue;
    await until(`${what} on the other node`, 15_000, () => isSo(state));
    late.push(Date.now() - changed);
  }
  if (late.filter((ms) => ms > 1_000).length > rounds / 4 || late.some((ms) => ms > 5_000)) {
    throw new Error(`${what}: ${late.length} of ${rounds} times the next request on the other node did not know it yet, but only one after ${late.join(', ')} ms`);
  }
}

export const cases = ({ a, b, admin, member }) => ({
  'whoever signs in on one is known on the other': async () => {
    const session = await signIn(a, 'admin@test.example');
    equal((await ask(b, session.accessToken, '{ viewer { member { name } } }')).viewer.member.name, 'Admin', 'the viewer');
    const refresh = 'mutation($i: RefreshSessionInput!) { refreshSession(input: $i) { session { accessToken } userErrors { message } } }';
    const { refreshSession } = await ask(b, null, refresh, { i: { refreshToken: session.refreshToken } });
    equal((await ask(a, refreshSession.session.accessToken, '{ viewer { member { name } } }')).viewer.member.name, 'Admin', 'the viewer, refreshed');
    const { createCompany } = await ask(a, admin, CREATE, { i: { name: 'From A' } });
    equal((await ask(b, admin, 'query($id: ID!) { company(id: $id) { name } }', { id: createCompany.company.id })).company.name, 'From A', 'what was written');
  },

  'a definition changed on one is known on the other at once': () =>
    atOnce('a new field', 20, {
      before: async () => (await ask(b, admin, LOOK), name('field').replace(' ', '')),
      change: (field) => ask(a, admin, 'mutation($i: CreateFieldInput!) { createField(input: $i) { userErrors { message } } }', { i: { object: 'COMPANY', name: field, label: field, kind: 'TEXT' } }),
      isSo: async (field) => !(await post(b, admin, `{ companies(first: 1) { nodes { custom { ${field} } } } }`)).errors,
    }),

  'a role changed on one binds on the other at once': async () => {
    const rita = await member([{ object: 'COMPANY', ...ALL }]);
    const update = 'mutation($i: UpdateRoleInput!) { updateRole(input: $i) { userErrors { message } } }';
    const give = (rights) => ask(a, admin, update, { i: { id: rita.role, objects: [{ object: 'COMPANY', ...rights }] } });
    await atOnce('rights that were taken', 20, {
      before: async () => {
        await give(ALL);
        await until('she may', 10_000, async () => !(await post(b, rita.token, CREATE, { i: { name: name('by her') } })).errors);
      },
      change: () => give({ read: ['ALL'] }),
      isSo: async () => (await post(b, rita.token, CREATE, { i: { name: name('by her') } })).data?.createCompany?.userErrors?.length !== 0,
    });
  },

  'a key removed on one is refused on the other at once': () =>
    atOnce('a key that was revoked', 20, {
      before: async () => {
        const { createApiKey } = await ask(a, admin, 'mutation($i: CreateApiKeyInput!) { createApiKey(input: $i) { secret apiKey { id } userErrors { message } } }', { i: { name: name('key') } });
        await ask(b, createApiKey.secret, LOOK);
        return createApiKey;
      },
      change: ({ apiKey }) => ask(a, admin, 'mutation($i: RevokeApiKeyInput!) { revokeApiKey(input: $i) { userErrors { message } } }', { i: { id: apiKey.id } }),
      isSo: async ({ secret }) => (await post(b, secret, LOOK)).code === 'UNAUTHENTICATED',
    }),

  'what is used on one while it is taken away on the other is refused from then on': async () => {
    const rita = await member([{ object: 'COMPANY', ...ALL }]);
    const ways = {
      key: {
        make: async () => (await ask(a, admin, 'mutation { createApiKey(input: { name: "k" }) { secret apiKey { id } } }')).createApiKey,
        token: ({ secret }) => secret,
        takeAway: ({ apiKey }) => ask(a, admin, 'mutation($i: RevokeApiKeyInput!) { revokeApiKey(input: $i) { userErrors { message } } }', { i: { id: apiKey.id } }),
      },
      session: {
        make: () => signIn(a, rita.email),
        token: ({ accessToken }) => accessToken,
        takeAway: ({ accessToken }) => ask(a, accessToken, 'mutation { signOut { signedOut } }'),
      },
    };
    const wrong = [];
    for (const [what, { make, token, takeAway }] of Object.entries(ways)) {
      for (let n = 0; n < 20; n += 1) {
        const made = await make();
        const using = sleep(n / 2).then(() => post(b, token(made), LOOK));
        await takeAway(made).catch((error) => wrong.push(`a ${what} could not be taken away: ${error.message.match(/"code":"(\w+)"/)?.[1] ?? error.message}`));
        await using;
        const refused = async () => (await post(b, token(made), LOOK)).code === 'UNAUTHENTICATED';
        await until('it is refused', 3_000, refused).catch(() => wrong.push(`a ${what} is good after it was taken away`));
      }
    }
    if (wrong.length) throw new Error(`${wrong.length} of 40 times:\n${[...new Set(wrong)].slice(0, 6).join('\n')}`);
  },

  'a session that signs out on one is over on the other at once, and so are its connections': async () => {
    const sockets = [];
    const rita = await member([{ object: 'COMPANY', ...ALL }]);
    await atOnce('a session that was ended', 8, {
      before: async () => {
        const { accessToken } = await signIn(a, rita.email);
        const socket = new Subscriber(b, accessToken);
        await socket.start();
        sockets.push(socket);
        return accessToken;
      },
      change: (token) => ask(a, token, 'mutation { signOut { signedOut } }'),
      isSo: async (token) => (await post(b, token, LOOK)).code === 'UNAUTHENTICATED',
    });
    for (const socket of sockets) {
      await until('its connection ends', 5_000, () => socket.closes.length);
      socket.over = true;
      equal(socket.closes[0], 4401, 'the close code');
    }
  },
});
