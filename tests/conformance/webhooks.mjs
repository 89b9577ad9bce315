// Webhooks, verified by the public libraries of the Standard Webhooks specification.

import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { verify as verifySignature, createPublicKey } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { ask, create, equal, signIn, sleep, suite, within } from './kith.mjs';

const { accessToken: token } = await signIn();

/** An endpoint that remembers what it was sent. */
function endpoint(answer = () => 200) {
  const received = [];
  let wake = () => {};
  const server = createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
      response.writeHead(answer(received.length)).end('ok');
      wake();
    });
  }).listen(0, '127.0.0.1');
  const next = async (count) => {
    while (received.length < count) await within(15_000, new Promise((done) => (wake = done)), 'a webhook');
    return received;
  };
  return new Promise((done) => server.on('listening', () => done({ url: `http://127.0.0.1:${server.address().port}/`, received, next, stop: () => server.close() })));
}

async function webhook(input) {
  const document = 'mutation($i: CreateWebhookInput!) { createWebhook(input: $i) { webhook { id } secret userErrors { path message } } }';
  const { createWebhook } = await ask(token, document, { i: { name: 'conformance', ...input } });
  equal(createWebhook.userErrors, [], 'refused');
  return { id: createWebhook.webhook.id, secret: createWebhook.secret };
}

const forPython = [];

await suite('Webhooks', {
  'standardwebhooks (npm) verifies v1': async () => {
    const { url, next, stop } = await endpoint();
    const { secret } = await webhook({ url, scopes: [{ companies: {} }] });
    await create(token, 'Company', { name: 'Ümlaut & Söhne "quoted" \u{1F600}' });
    const [{ headers, body }] = await next(1);
    const event = new Webhook(secret).verify(body, headers);
    equal(event.type, 'company.created');
    equal(event.data.recordChanges.record.name, 'Ümlaut & Söhne "quoted" \u{1F600}');
    let refused = false;
    try {
      new Webhook(secret).verify(body.replace('company', 'someone'), headers);
    } catch {
      refused = true;
    }
    equal(refused, true, 'a changed body is verified');
    forPython.push({ secret, body, headers });
    stop();
  },
  'v1a is Ed25519 over the same content': async () => {
    const { url, next, stop } = await endpoint();
    const { secret } = await webhook({ url, scopes: [{ tags: {} }], signature: 'ED25519' });
    await create(token, 'Tag', { name: `t${Date.now()}` });
    const [{ headers, body }] = await next(1);
    const raw = Buffer.from(secret.replace('whpk_', ''), 'base64');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
    const [version, signature] = headers['webhook-signature'].split(',');
    equal(version, 'v1a');
    const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    equal(verifySignature(null, Buffer.from(content), key, Buffer.from(signature, 'base64')), true);
    stop();
  },
  'both secrets verify while one replaces the other': async () => {
    const { url, next, stop } = await endpoint();
    const { id, secret } = await webhook({ url, scopes: [{ notes: {} }] });
    const rotate = 'mutation($i: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $i) { secret } }';
    const { rotateWebhookSecret } = await ask(token, rotate, { i: { id, graceHours: 1 } });
    await create(token, 'Note', { title: 'Hello', body: 'hello' });
    const [{ headers, body }] = await next(1);
    for (const known of [secret, rotateWebhookSecret.secret]) {
      new Webhook(known).verify(body, headers);
      forPython.push({ secret: known, body, headers });
    }
    stop();
  },
  'what an endpoint refuses comes again under the same id': async () => {
    const { url, next, stop } = await endpoint((n) => (n === 1 ? 503 : 204));
    await webhook({ url, document: 'subscription { dealChanges(filter: { name: { startsWith: "Again" } }) { id deal { name } } }' });
    await create(token, 'Deal', { name: 'Another' });
    await create(token, 'Deal', { name: 'Again' });
    const [first, second] = await next(2);
    equal(first.headers['webhook-id'], second.headers['webhook-id']);
    equal(JSON.parse(second.body).data.dealChanges.deal, { name: 'Again' });
    await sleep(300);
    const { webhookDeliveries } = await ask(token, '{ webhookDeliveries(first: 1) { nodes { state attempts { status } } } }');
    equal(webhookDeliveries.nodes[0], { state: 'DELIVERED', attempts: [{ status: 503 }, { status: 204 }] });
    stop();
  },
});
writeFileSync('messages.json', JSON.stringify(forPython));
process.exit(process.exitCode ?? 0);
