// Microsoft's own clients against a tenant of the lab: MSAL signs in, the Graph client reads and writes. The
// arguments are one JSON document; the answer is one JSON document per step: what came back, or the error.
import { readFileSync } from 'node:fs';
import { randomUUID, sign } from 'node:crypto';
import { ConfidentialClientApplication, PublicClientApplication } from '@azure/msal-node';
import { BatchRequestContent, BatchResponseContent, Client, PageIterator } from '@microsoft/microsoft-graph-client';

const o = JSON.parse(readFileSync(0, 'utf8'));
const authority = `https://${o.login}/${o.tenant}`;
const scopes = [`https://${o.graph}/.default`];
const out = {};

async function step(name, run) {
  try {
    out[name] = { value: (await run()) ?? null };
  } catch (e) {
    out[name] = { error: { code: e.errorCode ?? e.code ?? e.name, status: e.statusCode ?? 0, message: String(e.message), codes: e.errorNo ?? '' } };
  }
  return out[name].value;
}

const auth = (more, id = o.clientId) => ({ auth: { clientId: id, authority, knownAuthorities: [o.login], ...more } });
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'));
const confidential = (more, id) => new ConfidentialClientApplication(auth(more, id));

const certificate = { thumbprintSha256: o.thumbprintSha256, privateKey: o.privateKey, x5c: o.certificate };
const app = confidential({ clientCertificate: certificate });
let token;
await step('certificate', async () => {
  const r = await app.acquireTokenByClientCredential({ scopes });
  token = r.accessToken;
  const again = await app.acquireTokenByClientCredential({ scopes });
  return { type: r.tokenType, cached: again.fromCache && again.accessToken === token, roles: claims(token).roles, aud: claims(token).aud };
});
await step('secret', async () => (await confidential({ clientSecret: o.secret }).acquireTokenByClientCredential({ scopes })).tokenType);
await step('wrongSecret', () => confidential({ clientSecret: 'wrong' }).acquireTokenByClientCredential({ scopes }));
await step('unknownClient', () => confidential({ clientSecret: 'x' }, randomUUID()).acquireTokenByClientCredential({ scopes }));
await step('unknownResource', () => app.acquireTokenByClientCredential({ scopes: ['https://nowhere.example/.default'] }));

const device = (code) => new PublicClientApplication(auth({}, '1950a258-227b-4e31-a9cf-717495945fc2')).acquireTokenByDeviceCode({
  scopes,
  deviceCodeCallback: (r) => fetch(code === 'decline' ? `https://${o.login}/device` : r.verificationUri, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ code: r.userCode, decision: code }),
  }),
});
await step('deviceCode', async () => {
  const r = await device('approve');
  return { account: r.account.username, idToken: r.idTokenClaims.preferred_username, scp: claims(r.accessToken).scp, wids: claims(r.accessToken).wids };
});
await step('deviceCodeDeclined', () => device('decline'));

const graph = (bearer) => Client.init({
  baseUrl: `https://${o.graph}/`, defaultVersion: 'v1.0', customHosts: new Set([o.graph.split(':')[0]]),
  authProvider: (done) => done(null, bearer),
});
const g = graph(token);
await step('organization', async () => (await g.api('/organization').select('id,displayName,verifiedDomains').get()).value[0]);
const made = await step('create', () => g.api('/applications').post({
  displayName: o.name, signInAudience: 'AzureADMyOrg',
  requiredResourceAccess: [{ resourceAppId: o.exchange, resourceAccess: [{ id: o.role, type: 'Role' }] }],
}));
await step('find', async () => (await g.api('/applications').filter(`displayName eq '${o.name}'`).select(['id', 'appId', 'displayName']).get()).value);
await step('addKey', () => g.api(`/applications/${made.id}`).patch({ keyCredentials: [{
  keyId: randomUUID(), displayName: 'auth', type: 'AsymmetricX509Cert', usage: 'Verify', key: o.auth,
}] }));
await step('key', async () => (await g.api(`/applications/${made.id}`).select('keyCredentials').get()).keyCredentials);
await step('keyLeftOut', async () => (await g.api(`/applications/${made.id}`).get()).keyCredentials.map((k) => k.key));
const sp = await step('principal', () => g.api('/servicePrincipals').post({ appId: made.appId }));
const resource = await step('resource', async () => (await g.api('/servicePrincipals').filter(`appId eq '${o.exchange}'`).select('id,appRoles').get()).value[0]);
const consent = { principalId: sp.id, resourceId: resource.id, appRoleId: o.role };
await step('consent', () => g.api(`/servicePrincipals/${sp.id}/appRoleAssignments`).post(consent));
await step('consentTwice', () => g.api(`/servicePrincipals/${sp.id}/appRoleAssignments`).post(consent));
await step('assignments', async () => (await g.api(`/servicePrincipals/${sp.id}/appRoleAssignments`).get()).value.map((a) => a.appRoleId));
await step('pages', async () => {
  const names = [];
  const first = await g.api('/applications').top(1).select('displayName').get();
  await new PageIterator(g, first, (a) => { names.push(a.displayName); return true; }).iterate();
  return names.sort();
});
await step('signInAsMade', async () => {
  const own = confidential({ clientCertificate: { ...certificate, thumbprintSha256: o.authSha256, privateKey: o.authKey } }, made.appId);
  return claims((await own.acquireTokenByClientCredential({ scopes: ['https://outlook.office365.com/.default'] })).accessToken).roles;
});
await step('batch', async () => {
  // Node's Request takes no relative address, which a batch needs.
  class Relative extends Request { constructor(path) { super('https://x' + path); this.path = path; } get url() { return this.path; } }
  const content = new BatchRequestContent([
    { id: '1', request: new Relative(`/applications/${made.id}?$select=displayName`) },
    { id: '2', request: new Relative('/applications/00000000-0000-4000-8000-000000000000'), dependsOn: ['1'] },
  ]);
  const answer = new BatchResponseContent(await g.api('/$batch').post(await content.getContent()));
  return [(await answer.getResponseById('1').json()).displayName, answer.getResponseById('2').status];
});
await step('count', () => g.api('/applications/$count').header('ConsistencyLevel', 'eventual').get());
await step('search', async () => (await g.api('/applications').header('ConsistencyLevel', 'eventual').search('"displayName:hybridge"').get()).value.map((a) => a.displayName));
const proof = (key) => {
  const part = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'RS256', typ: 'JWT', 'x5t#S256': Buffer.from(o.authSha256, 'hex').toString('base64url') })}.${part({
    aud: '00000002-0000-0000-c000-000000000000', iss: made.id, nbf: now, exp: now + 600 })}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
};
const rolled = { keyCredential: { type: 'AsymmetricX509Cert', usage: 'Verify', key: o.own }, passwordCredential: null };
const added = await step('rollKey', () => g.api(`/applications/${made.id}/addKey`).post({ ...rolled, proof: proof(o.authKey) }));
await step('rollKeyForged', () => g.api(`/applications/${made.id}/addKey`).post({ ...rolled, proof: proof(o.privateKey).slice(0, -4) + 'AAAA' }));
await step('rollKeyBack', () => g.api(`/applications/${made.id}/removeKey`).post({ keyId: added.keyId, proof: proof(o.authKey) }));
await step('staleETag', () => g.api(`/applications/${made.id}`).header('If-Match', 'W/"stale"').patch({ notes: 'x' }));
await step('badFilter', () => g.api('/applications').filter("nonsense eq 'x'").get());
await step('delete', () => g.api(`/applications/${made.id}`).delete());
await step('gone', () => g.api(`/applications/${made.id}`).get());
await step('noToken', () => graph('eyJ.x.y').api('/organization').get());
process.stdout.write(JSON.stringify(out));
