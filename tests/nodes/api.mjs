// How one talks to a node.

export const PASSWORD = 'correct horse';
export const CREATE = 'mutation($i: CompanyCreate!) { createCompany(input: $i) { company { id } userErrors { message } } }';
export const LOOK = '{ companies(first: 1) { nodes { id name } } }';
/** Every right on an object. */
export const ALL = { create: true, read: ['ALL'], update: ['ALL'], delete: ['ALL'] };
const SIGN_IN = 'mutation($i: SignInInput!) { signIn(input: $i) { session { accessToken refreshToken } userErrors { message } } }';
const ROLE = 'mutation($i: CreateRoleInput!) { createRole(input: $i) { role { id } userErrors { message } } }';
const INVITE = 'mutation($i: InviteMemberInput!) { inviteMember(input: $i) { token userErrors { message } } }';
const ACCEPT = 'mutation($i: AcceptInvitationInput!) { acceptInvitation(input: $i) { session { accessToken } userErrors { message } } }';

let count = 0;
/** A name that nothing else has. */
export const name = (what) => `${what} ${(count += 1)}`;

/** Sends a request and tells everything of the answer. */
export async function post(url, token, query, variables = {}, key) {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...(key ? { 'idempotency-key': key } : {}) };
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }), signal: AbortSignal.timeout(30_000) });
  const { data, errors } = await response.json();
  return { status: response.status, data, code: errors?.[0].extensions?.code, errors };
}

/** Sends a request that must succeed. */
export async function ask(url, token, query, variables) {
  const { data, errors } = await post(url, token, query, variables);
  if (errors) throw new Error(`${query}\n${JSON.stringify(errors)}`);
  return data;
}

export const signIn = async (url, email) => (await ask(url, null, SIGN_IN, { i: { email, password: PASSWORD } })).signIn.session;

/** A member with a role of their own, signed in. */
export async function member(url, admin, objects) {
  const { createRole } = await ask(url, admin, ROLE, { i: { name: name('role'), objects } });
  const [role, email] = [createRole.role.id, `${name('member').replace(' ', '.')}@test.example`];
  const { inviteMember } = await ask(url, admin, INVITE, { i: { name: email, email, roles: [role] } });
  const { acceptInvitation } = await ask(url, null, ACCEPT, { i: { token: inviteMember.token, password: PASSWORD } });
  return { role, email, token: acceptInvitation.session.accessToken };
}

export function equal(found, expected, what) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}
