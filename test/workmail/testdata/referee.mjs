// Amazon's SDK for JavaScript against WorkMail of the lab. Standard input is one JSON document; the answer is one JSON
// document: per step what came back, or the error.
import { readFileSync } from 'node:fs';
import * as w from '@aws-sdk/client-workmail';

const o = JSON.parse(readFileSync(0, 'utf8'));
const client = (key) => new w.WorkMailClient({ region: o.region, endpoint: o.endpoint, credentials: key, maxAttempts: 1 });
const admin = client({ accessKeyId: o.key, secretAccessKey: o.secret });
const out = {};

async function step(name, run) {
  try {
    out[name] = { value: (await run()) ?? null };
  } catch (e) {
    out[name] = { error: { code: e.name, message: String(e.message), status: e.$metadata?.httpStatusCode ?? 0 } };
  }
  return out[name].value;
}
const send = (command, c = admin) => c.send(command);
const all = async (pages, member) => {
  const list = [];
  for await (const page of pages) list.push(...page[member]);
  return list;
};

let id;
await step('organizations', async () => {
  const list = await all(w.paginateListOrganizations({ client: admin }, {}), 'OrganizationSummaries');
  id = list[0].OrganizationId;
  return list;
});
const org = (more) => ({ OrganizationId: id, ...more });
await step('organization', async () => {
  const d = await send(new w.DescribeOrganizationCommand(org()));
  return { alias: d.Alias, interoperability: d.InteroperabilityEnabled, completed: d.CompletedDate instanceof Date };
});
await step('users', async () => (await all(w.paginateListUsers({ client: admin, pageSize: 7 }, org()), 'Users')).length);
await step('enabled', async () =>
  (await send(new w.ListUsersCommand(org({ Filters: { State: 'ENABLED' } })))).Users.map((u) => u.Email));
await step('twoFilters', () => send(new w.ListUsersCommand(org({ Filters: { State: 'ENABLED', UsernamePrefix: 'a' } }))));
await step('badToken', () => send(new w.ListUsersCommand(org({ NextToken: 'bm9uc2Vuc2U=' }))));
await step('domain', async () => {
  const d = await send(new w.GetMailDomainCommand(org({ DomainName: o.domain })));
  return { ownership: d.OwnershipVerificationStatus, records: d.Records.length };
});
await step('aliases', async () => (await send(new w.ListAliasesCommand(org({ EntityId: o.userId })))).Aliases);
const provider = { EwsEndpoint: o.ews, EwsUsername: o.ewsUser, EwsPassword: o.ewsPassword };
await step('create', () => send(new w.CreateAvailabilityConfigurationCommand(org({ DomainName: o.domain, EwsProvider: provider }))));
await step('twice', () => send(new w.CreateAvailabilityConfigurationCommand(org({ DomainName: o.domain, EwsProvider: provider }))));
await step('both', () =>
  send(new w.CreateAvailabilityConfigurationCommand(org({ DomainName: 'x.example', EwsProvider: provider, LambdaProvider: { LambdaArn: o.lambda } }))));
await step('list', () => all(w.paginateListAvailabilityConfigurations({ client: admin }, org()), 'AvailabilityConfigurations'));
await step('test', async () => {
  const t = await send(new w.TestAvailabilityConfigurationCommand(org({ DomainName: o.domain })));
  return { passed: t.TestPassed ?? false, reason: t.FailureReason ?? '' };
});
await step('update', () => send(new w.UpdateAvailabilityConfigurationCommand(org({ DomainName: o.domain, LambdaProvider: { LambdaArn: o.lambda } }))));
await step('updated', async () => (await send(new w.ListAvailabilityConfigurationsCommand(org()))).AvailabilityConfigurations[0].ProviderType);
await step('delete', () => send(new w.DeleteAvailabilityConfigurationCommand(org({ DomainName: o.domain }))));
await step('deleted', async () => (await send(new w.ListAvailabilityConfigurationsCommand(org()))).AvailabilityConfigurations);
await step('register', () => send(new w.RegisterToWorkMailCommand(org({ EntityId: o.other, Email: o.other }))));
await step('registered', async () => (await send(new w.DescribeUserCommand(org({ UserId: o.other })))).State);
await step('deregister', () => send(new w.DeregisterFromWorkMailCommand(org({ EntityId: o.other }))));
await step('readOnly', () => send(new w.CreateUserCommand(org({ Name: 'new', DisplayName: 'New', Password: 'Passw0rd!' }))));
await step('absentOrganization', () => send(new w.DescribeOrganizationCommand({ OrganizationId: 'm-' + '0'.repeat(32) })));
await step('wrongKey', () => send(new w.ListOrganizationsCommand({}), client({ accessKeyId: o.key, secretAccessKey: 'wrong' })));
await step('unknownKey', () => send(new w.ListOrganizationsCommand({}), client({ accessKeyId: 'AKIAGONE', secretAccessKey: 'x' })));
process.stdout.write(JSON.stringify(out));
