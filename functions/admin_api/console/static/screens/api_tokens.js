// API tokens of operators and programs: list, make, revoke.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Confirm } from "../confirm.js";
import { Check, Chips, Dialog, Head, Mark, Secret, TextField, When } from "../parts.js";
import { link } from "../router.js";
import { ask, askAll, may, path, whoami } from "../session.js";

const SCOPES = [
  ["read", "sees everything and changes nothing"],
  ["call", "lists and runs tools"],
  ["mint", "makes MCP servers within limits, e.g. for CI"],
  ["connect", "opens MCP servers that need an API token; nothing else"],
  ["manage", "does everything"],
];

export function ApiTokens() {
  const asked = useAsked((signal) => askAll("/api-token", { signal }), []);
  const [making, setMaking] = useState(false);
  const [gone, setGone] = useState(null);
  const removal = useChange(async () => {
    await ask("DELETE", path`/api-token/${gone.id}`);
    setGone(null);
    asked.again();
  });
  return html`
    <${Head} title="API tokens">
      ${may("createApiToken") && html`<button type="button" class="primary" onClick=${() => setMaking(true)}>New API token</button>`}
    <//>
    ${making && html`<${Make} onClose=${() => {
      setMaking(false);
      asked.again();
    }} />`}
    <${Answer} asked=${asked} empty=${html`<p>There is no stored API token; the one of the deployment is in its environment.</p>`}>
      ${({ result }) => html`<div class="table-wrap"><table>
        <thead><tr><th>Name</th><th>Scopes</th><th>Accounts</th><th>Ends</th><th>Id</th><th>End it</th></tr></thead>
        <tbody>${result.map(
          (token) => html`<tr key=${token.id}>
            <td data-label="Name">${token.name}${token.id === whoami().id && html` <${Mark}>this tab<//>`}</td>
            <td data-label="Scopes">${token.scopes.join(", ")}</td>
            <td data-label="Accounts">${token.account_ids.length ? token.account_ids.join(", ") : "all"}</td>
            <td data-label="Ends"><${When} at=${token.expires_at} /></td>
            <td data-label="Id"><a href=${link(["log"], { kind: "all", principal: token.id })}><code>${token.id}</code></a></td>
            <td data-label="End it">${may("revokeApiToken") && html`<button type="button" class="danger quiet" onClick=${() => setGone(token)}>Revoke</button>`}</td>
          </tr>`,
        )}</tbody>
      </table></div>`}
    <//>
    ${may("listTrusts") && html`<${Trusts} />`}
    ${gone &&
    html`<${Confirm} title="Revoke the API token" word=${gone.name} action="Revoke" change=${removal} onClose=${() => setGone(null)}>
      <p>Whatever uses it is refused from now on.${gone.id === whoami().id ? " This tab uses it and will be signed out." : ""}</p>
    <//>`}
  `;
}

// Workloads that mint with an identity token in place of an API token. The command line makes and removes trusts.
function Trusts() {
  const asked = useAsked((signal) => askAll("/trust", { signal }), []);
  if (!asked.value?.result.length) return null;
  return html`<section><h2>Trusts</h2>
    <p class="help">Workloads that mint MCP servers with an identity token. <code>postern trust</code> manages them.</p>
    <div class="table-wrap"><table>
      <thead><tr><th>Name</th><th>Issuer</th><th>Claims</th><th>Accounts</th><th>Longest life</th><th>Id</th></tr></thead>
      <tbody>${asked.value.result.map(
        (trust) => html`<tr key=${trust.id}>
          <td data-label="Name">${trust.name}</td>
          <td data-label="Issuer">${trust.issuer}</td>
          <td data-label="Claims">${Object.entries(trust.claims).map(([name, values]) => `${name}: ${values.join(", ")}`).join("; ")}</td>
          <td data-label="Accounts">${trust.account_ids.join(", ")}</td>
          <td data-label="Longest life">${trust.mint.max_lifetime_seconds} s</td>
          <td data-label="Id"><code>${trust.id}</code></td>
        </tr>`,
      )}</tbody>
    </table></div>
  </section>`;
}

function Make({ onClose }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState([]);
  const [accounts, setAccounts] = useState([]);
  const [days, setDays] = useState("30");
  const [mint, setMint] = useState({ methods: [], hours: "1" });
  const [made, setMade] = useState(null);
  const known = useAsked((signal) => askAll("/integrated-account", { signal }), []);
  const change = useChange(async () => {
    const body = { name, scopes, account_ids: accounts };
    if (days) body.expires_at = new Date(Date.now() + Number(days) * 86_400_000).toISOString();
    if (scopes.includes("mint")) {
      body.mint = { methods: mint.methods, max_lifetime_seconds: Math.round(Number(mint.hours) * 3600) };
    }
    setMade(await ask("POST", "/api-token", { body }));
  });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  return html`<${Dialog} title=${made ? "API token made" : "New API token"} onClose=${onClose}>
    ${made
      ? html`<p class="notice warn" role="status">Copy it now: it is a secret and is not shown again.</p>
          <${Secret} label=${made.name} text=${made.token} />
          <div class="row end"><button type="button" class="primary" onClick=${onClose}>Done</button></div>`
      : html`<form onSubmit=${submit}>
          <${TextField} label="Name" value=${name} onValue=${setName} required maxlength="200" placeholder="support desk" />
          <fieldset><legend>Scopes</legend>
            ${SCOPES.map(
              ([scope, use]) => html`<${Check} key=${scope} label=${scope} note=${use} checked=${scopes.includes(scope)}
                onChecked=${(on) => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))} />`,
            )}
          </fieldset>
          ${scopes.includes("mint") &&
          html`<fieldset><legend>What it may make</legend>
            <${Chips} legend="At most these kinds of tools" help="None chosen means all." words=${["read", "write", "custom"]}
              chosen=${mint.methods} onChosen=${(methods) => setMint({ ...mint, methods })} />
            <${TextField} label="Longest life of a server, in hours" type="number" min="0.01" max="8784" step="any" required value=${mint.hours}
              onValue=${(hours) => setMint({ ...mint, hours })} />
          </fieldset>`}
          ${known.value?.result.length > 0 &&
          html`<fieldset><legend>Only these accounts</legend><p class="help">None chosen means all.</p>
            ${known.value.result.map(
              (one) => html`<${Check} key=${one.id} label=${one.name} note=${one.integration} checked=${accounts.includes(one.id)}
                onChecked=${(on) => setAccounts(on ? [...accounts, one.id] : accounts.filter((id) => id !== one.id))} />`,
            )}
          </fieldset>`}
          <${TextField} label="Works for, in days" type="number" min="1" value=${days} onValue=${setDays} help="Empty: until it is revoked." />
          ${change.error && html`<${Failure} error=${change.error} />`}
          <div class="row end">
            <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
            <button type="submit" class="primary" disabled=${change.busy || !name || !scopes.length}>${change.busy ? "Making…" : "Make"}</button>
          </div>
        </form>`}
  <//>`;
}
