// Accounts: what is connected, and connecting another one.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { ChoiceField, Head, Mark, TextField, When } from "../parts.js";
import { go, link } from "../router.js";
import { ask, askAll, may } from "../session.js";

const STATUS = {
  active: ["good", "active"],
  unverified: ["warn", "unverified"],
  needs_reauth: ["bad", "needs a new credential"],
};

/** The status of an account in words. */
export function Status({ account }) {
  const [kind, words] = STATUS[account.status] ?? ["", account.status];
  return html`<${Mark} kind=${kind}>${words}<//>`;
}

export function Accounts({ query }) {
  const asked = useAsked((signal) => askAll("/integrated-account", { signal }), []);
  const [connecting, setConnecting] = useState(query.connect !== undefined);
  return html`
    <${Head} title="Accounts">
      ${may("connectAccount") &&
      html`<button type="button" class="primary" onClick=${() => setConnecting(true)}>Connect an account</button>`}
    <//>
    ${connecting && html`<${Connect} wanted=${query.connect} onClose=${() => setConnecting(false)} />`}
    <${Answer}
      asked=${asked}
      empty=${html`<p>No account is connected yet. An account is one upstream API with its credential.</p>`}
    >
      ${({ result }) => html`<div class="table-wrap"><table>
        <thead><tr><th>Name</th><th>Integration</th><th>Status</th><th>Since</th><th>Id</th></tr></thead>
        <tbody>
          ${result.map(
            (account) => html`<tr key=${account.id}>
              <td data-label="Name"><a href=${link(["accounts", account.id])}>${account.name}</a></td>
              <td data-label="Integration">${account.integration}</td>
              <td data-label="Status"><${Status} account=${account} /></td>
              <td data-label="Since"><${When} at=${account.created_at} /></td>
              <td data-label="Id"><code>${account.id}</code></td>
            </tr>`,
          )}
        </tbody>
      </table></div>`}
    <//>
  `;
}

/** Fields of a credential or a context, as the integration describes them. */
export function IntegrationFields({ fields, values, onValues }) {
  return fields.map(
    (field) => html`<${TextField}
      key=${field.name}
      label=${field.required ? field.name : `${field.name} (optional)`}
      type=${field.secret ? "password" : "text"}
      help=${field.description}
      placeholder=${field.example ?? ""}
      required=${field.required}
      value=${values[field.name] ?? ""}
      onValue=${(value) => onValues({ ...values, [field.name]: value })}
    />`,
  );
}

/** Values that were filled in. */
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));

function Connect({ wanted, onClose }) {
  const asked = useAsked((signal) => ask("GET", "/integration", { signal }), []);
  return html`<section class="panel" aria-label="Connect an account">
    <h2>Connect an account</h2>
    <${Answer} asked=${asked} empty=${html`<p>This deployment has no integration.</p>`}>
      ${({ result }) => html`<${ConnectForm} integrations=${result} wanted=${wanted} onClose=${onClose} />`}
    <//>
  </section>`;
}

function ConnectForm({ integrations, wanted, onClose }) {
  const [name, setName] = useState(integrations.some((one) => one.name === wanted) ? wanted : integrations[0].name);
  const [label, setLabel] = useState("");
  const [baseUrl, setBaseUrl] = useState("");
  const [credentials, setCredentials] = useState({});
  const [context, setContext] = useState({});
  const integration = integrations.find((one) => one.name === name);
  const change = useChange(async () => {
    const body = { integration: name, credentials: filled(credentials), context: filled(context) };
    if (label) body.name = label;
    if (baseUrl) body.base_url = baseUrl;
    const account = await ask("POST", "/integrated-account", { body });
    go(["accounts", account.id]);
  });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  return html`<form onSubmit=${submit}>
    <${ChoiceField}
      label="Integration"
      value=${name}
      onValue=${(chosen) => {
        setName(chosen);
        setCredentials({});
        setContext({});
      }}
      choices=${integrations.map((one) => [one.name, one.label])}
      help=${`${integration.tool_count} tools at ${integration.base_url}`}
    />
    <${TextField} label="Name (optional)" value=${label} onValue=${setLabel} placeholder=${integration.label} />
    <${IntegrationFields} fields=${integration.credentials} values=${credentials} onValues=${setCredentials} />
    <${IntegrationFields} fields=${integration.context} values=${context} onValues=${setContext} />
    <${TextField}
      label="Another address of this API (optional)"
      value=${baseUrl}
      onValue=${setBaseUrl}
      placeholder=${integration.base_url}
    />
    <p class="help">
      ${integration.verifies_credentials
        ? "The credential is tried before it is saved."
        : "This integration has no request that tries a credential; the account stays unverified."}
    </p>
    ${change.error && html`<${Failure} error=${change.error} />`}
    <div class="row end">
      <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
      <button type="submit" class="primary" disabled=${change.busy}>${change.busy ? "Connecting…" : "Connect"}</button>
    </div>
  </form>`;
}
