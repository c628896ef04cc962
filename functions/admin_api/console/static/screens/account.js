// One account: its status, its servers, a new credential, its end.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Confirm } from "../confirm.js";
import { Head, TextField, When } from "../parts.js";
import { go, link } from "../router.js";
import { ask, may, path } from "../session.js";
import { IntegrationFields, Status, filled } from "./accounts.js";

export function Account({ id }) {
  const asked = useAsked(async (signal) => {
    const account = await ask("GET", path`/integrated-account/${id}`, { signal });
    const integration = await ask("GET", path`/integration/${account.integration}`, { signal });
    return { account, integration };
  }, [id]);
  return html`<${Answer} asked=${asked}>
    ${({ account, integration }) => html`<${Shown} account=${account} integration=${integration} again=${asked.again} />`}
  <//>`;
}

function Shown({ account, integration, again }) {
  const [removing, setRemoving] = useState(false);
  const removal = useChange(async () => {
    let gone = null;
    do {
      const query = gone ? { next_cursor: gone.next_cursor } : {};
      gone = await ask("DELETE", path`/integrated-account/${account.id}`, { query });
    } while (gone.next_cursor);
    go(["accounts"]);
  });
  return html`
    <${Head} title=${account.name}>
      ${may("createServer") && html`<a class="button primary" href=${link(["create"], { account: account.id })}>New MCP server</a>`}
    <//>
    <dl class="facts">
      <dt>Integration</dt><dd>${integration.label}, ${integration.tool_count} tools</dd>
      <dt>Status</dt><dd><${Status} account=${account} />${account.status_since && html` since <${When} at=${account.status_since} />`}</dd>
      <dt>Address</dt><dd><code>${account.base_url}</code></dd>
      ${Object.entries(account.context).map(([name, value]) => html`<dt key=${name}>${name}</dt><dd><code>${value}</code></dd>`)}
      <dt>Connected</dt><dd><${When} at=${account.created_at} /></dd>
      <dt>Id</dt><dd><code>${account.id}</code></dd>
    </dl>
    <p class="row">
      <a href=${link(["servers"], { account: account.id })}>MCP servers of this account</a>
      <a href=${link(["try"], { account: account.id })}>Try a tool</a>
      <a href=${link(["log"], { integrated_account_id: account.id })}>Its log</a>
    </p>
    ${may("updateAccount") &&
    html`<${Rename} account=${account} again=${again} />
      <${NewCredential} account=${account} integration=${integration} again=${again} />
      <section class="panel"><h2>Remove the account</h2>
        <p>Its MCP servers stop at once, and API tokens that were for this account alone are revoked.</p>
        <button type="button" class="danger" onClick=${() => setRemoving(true)}>Remove the account</button>
      </section>`}
    ${removing &&
    html`<${Confirm} title="Remove the account" word=${account.name} action="Remove" change=${removal}
      onClose=${() => setRemoving(false)}>
      <p>The account, its credential and all its MCP servers are removed. This cannot be taken back.</p>
    <//>`}
  `;
}

function Rename({ account, again }) {
  const [name, setName] = useState(account.name);
  const change = useChange(async () => {
    await ask("PATCH", path`/integrated-account/${account.id}`, { body: { name } });
    again();
  });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  return html`<section class="panel"><h2>Name</h2>
    <form onSubmit=${submit}>
      <${TextField} label="Name" value=${name} onValue=${setName} required maxlength="200" />
      ${change.error && html`<${Failure} error=${change.error} />`}
      <button type="submit" disabled=${change.busy || !name || name === account.name}>Save the name</button>
    </form>
  </section>`;
}

function NewCredential({ account, integration, again }) {
  const [values, setValues] = useState({});
  const [saved, setSaved] = useState(false);
  const change = useChange(async () => {
    await ask("PATCH", path`/integrated-account/${account.id}`, { body: { credentials: filled(values) } });
    setValues({});
    setSaved(true);
    again();
  });
  const submit = (event) => {
    event.preventDefault();
    setSaved(false);
    change.run();
  };
  return html`<section class="panel"><h2>New credential</h2>
    <form onSubmit=${submit}>
      <p class="help">The credential is replaced as a whole and reaches every MCP server of the account.</p>
      <${IntegrationFields} fields=${integration.credentials} values=${values} onValues=${setValues} />
      ${change.error && html`<${Failure} error=${change.error} />`}
      <button type="submit" disabled=${change.busy || !Object.values(values).some(Boolean)}>
        ${change.busy ? "Verifying…" : "Replace the credential"}
      </button>
      <span role="status">${saved ? "The new credential is in use." : ""}</span>
    </form>
  </section>`;
}
