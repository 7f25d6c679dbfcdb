// Reads a question on standard input and answers in JSON: is this workflow one by GitHub's own parser, does this
// message carry the signature that Standard Webhooks asks for.
import {readFileSync} from "node:fs";
import {register} from "node:module";

// The parser is made for bundlers: it imports its schema without saying that it is JSON.
const hook = `export async function resolve(name, context, next) {
  const r = await next(name, context);
  const json = {...context.importAttributes, type: "json"};
  return r.url.endsWith(".json") ? {...r, importAttributes: json, importAssertions: json} : r;
}`;
register("data:text/javascript," + encodeURIComponent(hook));
const {NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow} = await import("@actions/workflow-parser");
const {Webhook} = await import("standardwebhooks");

const question = JSON.parse(readFileSync(0, "utf8"));
const answer = {};
if (question.workflow) {
  const parsed = parseWorkflow({name: "workflow.yaml", content: question.workflow}, new NoOperationTraceWriter());
  const errors = parsed.context.errors.getErrors().map(String);
  if (parsed.value) {
    const template = await convertWorkflowTemplate(parsed.context, parsed.value);
    errors.push(...(template.errors ?? []).map((e) => e.Message ?? String(e)));
    answer.jobs = (template.jobs ?? []).map((j) => j.id.value);
  }
  answer.errors = errors;
}
answer.verified = [];
for (const m of question.messages ?? []) {
  try {
    new Webhook(m.secret, m.raw ? {format: "raw"} : {}).verify(m.body, m.headers);
    answer.verified.push("");
  } catch (e) {
    answer.verified.push(String(e.message || e));
  }
}
console.log(JSON.stringify(answer));
