// Try a tool: a form from its schema, its result, and the rate limit of the upstream.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Confirm } from "../confirm.js";
import { ChoiceField, Head, Json, Mark, TextField } from "../parts.js";
import { runTool } from "../proxy.js";
import { go } from "../router.js";
import { SchemaFields, argumentsOf } from "../schema_form.js";
import { ask, askAll, may, path } from "../session.js";

export function TryTool({ query }) {
  const asked = useAsked((signal) => askAll("/integrated-account", { signal }), []);
  if (!may("listAccounts")) return html`<${ById} query=${query} />`;
  return html`<${Head} title="Try a tool" />
    <${Answer} asked=${asked} empty=${html`<p>Connect an account first.</p>`}>
      ${({ result }) => {
        const account = result.find((one) => one.id === query.account) ?? result[0];
        return html`
          ${result.length > 1 && html`<${ChoiceField} label="Account" value=${account.id} onValue=${(id) => go(["try"], { account: id })}
            choices=${result.map((one) => [one.id, `${one.name} (${one.integration})`])} />`}
          <${ForAccount} key=${account.id} accountId=${account.id} chosen=${query.tool} />`;
      }}
    <//>`;
}

/** For an API token that may run tools and not list accounts: the person names the account. */
function ById({ query }) {
  return html`<${Head} title="Try a tool" />
    <${TextField} label="Account id or name" value=${query.account ?? ""} onValue=${() => {}}
      onChange=${(event) => go(["try"], { account: event.currentTarget.value.trim() })} />
    ${query.account && html`<${ForAccount} key=${query.account} accountId=${query.account} chosen=${query.tool} />`}`;
}

function ForAccount({ accountId, chosen }) {
  const asked = useAsked((signal) => ask("GET", path`/integrated-account/${accountId}/tools`, { signal }), [accountId]);
  const [searched, setSearched] = useState("");
  return html`<${Answer} asked=${asked} empty=${html`<p>This account has no tools.</p>`}>
    ${({ result }) => {
      const wanted = searched.trim().toLowerCase();
      const found = result.filter((one) => `${one.name} ${one.title}`.toLowerCase().includes(wanted));
      const tool = result.find((one) => one.name === chosen);
      return html`<div class="split narrow">
        <nav class="panel" aria-label="Tools">
          <${TextField} label="Search tools" type="search" value=${searched} onValue=${setSearched} />
          <ul class="tools">
            ${found.map(
              (one) => html`<li key=${one.name}><button type="button" class="as-link" aria-current=${one === tool ? "true" : undefined}
                onClick=${() => go(["try"], { account: accountId, tool: one.name })}>${one.title}</button>
                ${one.access === "write" && html` <${Mark} kind="warn">write<//>`}</li>`,
            )}
            ${found.length === 0 && html`<li class="dim">No tool contains "${searched}".</li>`}
          </ul>
        </nav>
        ${tool ? html`<${Run} key=${tool.name} accountId=${accountId} tool=${tool} />` : html`<section class="panel"><p>Choose a tool.</p></section>`}
      </div>`;
    }}
  <//>`;
}

function Run({ accountId, tool }) {
  const [values, setValues] = useState({});
  const [asking, setAsking] = useState(null);
  const [result, setResult] = useState(null);
  const change = useChange(async (given) => {
    setResult(null);
    setResult(await runTool(accountId, tool, given));
    setAsking(null);
  });
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    setProblem("");
    let given;
    try {
      given = argumentsOf(tool.input_schema, values);
    } catch (error) {
      setProblem(error.message);
      return;
    }
    if (tool.access === "write") setAsking(given);
    else change.run(given);
  };
  return html`<section class="panel" aria-label=${tool.title}>
    <h2>${tool.title} ${tool.access === "write" && html`<${Mark} kind="warn">write<//>`}</h2>
    <p>${tool.description}</p>
    <p class="dim"><code>${tool.call}</code></p>
    <form onSubmit=${submit}>
      <${SchemaFields} schema=${tool.input_schema} values=${values} onValues=${setValues} />
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${change.error && !asking && html`<${Refused} error=${change.error} />`}
      <button type="submit" class="primary" disabled=${change.busy}>${change.busy ? "Running…" : "Run"}</button>
    </form>
    ${asking &&
    html`<${Confirm} title=${`Run ${tool.title}?`} action="Run it" onClose=${() => setAsking(null)}
      change=${{ ...change, run: () => change.run(asking) }}>
      <p>This changes something at the upstream. The arguments:</p><${Json} value=${asking} />
    <//>`}
    ${result && html`<${Result} result=${result} />`}
  </section>`;
}

/** A refusal with the upstream's own body, if it has one. */
const Refused = ({ error }) => html`<${Failure} error=${error} />
  ${error.body?.raw_response !== undefined && error.body.raw_response !== null && html`<p>The upstream returned:</p><${Json} value=${error.body.raw_response} />`}
  ${error.details && html`<${Json} value=${error.details} />`}`;

const Result = ({ result }) => html`<div aria-live="polite">
  <p class="row"><${Mark} kind="good">${result.status}<//> ${result.seconds.toFixed(2)} s
    ${Object.entries(result.limits).map(([name, value]) => html`<span key=${name} class="dim">${name} ${value}</span>`)}</p>
  <${Json} value=${result.body} />
</div>`;
