// One MCP server: what the agent sees, a change with its difference, rotation, revocation, and its calls.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { ConfigFields, Preview, ToolList, formOf, readForm } from "../config_form.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { readLabels } from "../labels.js";
import { Confirm } from "../confirm.js";
import { Head, Mark, Tabs, TextField, When } from "../parts.js";
import { go, link } from "../router.js";
import { ask, askAll, may, path } from "../session.js";
import { LogTable } from "./log.js";
import { Minted } from "./minted.js";
import { Expiry, Labels } from "./servers.js";

export function Server({ accountId, serverId }) {
  const asked = useAsked(async (signal) => {
    const server = await ask("GET", path`/integrated-account/${accountId}/mcp/${serverId}`, { signal });
    const account = await ask("GET", path`/integrated-account/${accountId}`, { signal });
    const integration = await ask("GET", path`/integration/${account.integration}`, { signal });
    const preview = await ask("POST", path`/integrated-account/${accountId}/mcp/preview`, {
      body: { config: server.config },
      signal,
    });
    return { server, account, integration, preview };
  }, [accountId, serverId]);
  return html`<${Answer} asked=${asked}>${(value) => html`<${Shown} ...${value} again=${asked.again} />`}<//>`;
}

function Shown({ server, account, integration, preview, again }) {
  const [tab, setTab] = useState("tools");
  const [rotated, setRotated] = useState(null);
  if (rotated) return html`<${Minted} server=${rotated} />`;
  const tabs = [["tools", "What the agent sees"], ["calls", "Calls"]];
  if (may("updateServer")) tabs.splice(1, 0, ["change", "Change"], ["end", "Rotate or revoke"]);
  if (server.config.require_api_token_auth && may("listConsents")) tabs.splice(-1, 0, ["consents", "Who signed in"]);
  return html`
    <${Head} title=${server.name} />
    <dl class="facts">
      <dt>Account</dt><dd><a href=${link(["accounts", account.id])}>${account.name}</a></dd>
      <dt>Ends</dt><dd><${Expiry} at=${server.expires_at} /></dd>
      <dt>Last call</dt><dd><${When} at=${server.last_used_at} /></dd>
      <dt>Made</dt><dd><${When} at=${server.created_at} /> by <code>${server.created_by}</code></dd>
      ${Object.keys(server.labels ?? {}).length > 0 && html`<dt>Labels</dt><dd><${Labels} labels=${server.labels} /></dd>`}
      ${Object.entries(server.config.pins).map(([name, value]) => html`<dt key=${name}>Pinned ${name}</dt><dd><code>${value}</code></dd>`)}
      ${server.config.require_api_token_auth && html`<dt>Also needs</dt><dd>an API token with the scope connect</dd>`}
      <dt>Id</dt><dd><code>${server.id}</code></dd>
    </dl>
    <${Tabs} label="Parts" tabs=${tabs} chosen=${tab} onChosen=${setTab} />
    <div role="tabpanel" aria-label=${tabs.find(([name]) => name === tab)[1]}>
      ${tab === "tools" && html`<p>${preview.tool_count} tools${preview.tokens !== undefined ? `, ${preview.tokens.toLocaleString()} tokens` : ""}</p><${ToolList} tools=${preview.tools} />`}
      ${tab === "change" && html`<${Change} server=${server} integration=${integration} preview=${preview} again=${again} />`}
      ${tab === "end" && html`<${End} server=${server} setRotated=${setRotated} />`}
      ${tab === "consents" && html`<${Consents} server=${server} />`}
      ${tab === "calls" && html`<${Calls} server=${server} />`}
    </div>
  `;
}

/** What a change adds to the tools and takes from them. */
function Difference({ before, after }) {
  const had = new Set(before.tools.map((one) => one.name));
  const has = new Set(after.tools.map((one) => one.name));
  const added = after.tools.filter((one) => !had.has(one.name));
  const removed = before.tools.filter((one) => !has.has(one.name));
  if (!added.length && !removed.length) return html`<p class="dim">The list of tools stays as it is.</p>`;
  return html`<h3>What changes</h3>
    <${ToolList} tools=${added} mark=${() => html`<${Mark} kind="good">added<//>`} />
    <${ToolList} tools=${removed} mark=${() => html`<${Mark} kind="bad">removed<//>`} />`;
}

function Change({ server, integration, preview, again }) {
  const [name, setName] = useState(server.name);
  const [labels, setLabels] = useState(Object.entries(server.labels ?? {}).map(([key, value]) => `${key}=${value}`).join(", "));
  const [hours, setHours] = useState("");
  const [form, setForm] = useState(formOf(server.config));
  const { config, problem } = readForm(form, integration);
  const change = useChange(async () => {
    const body = { config };
    if (name !== server.name) body.name = name;
    if (hours) body.expires_at = new Date(Date.now() + Number(hours) * 3600_000).toISOString();
    const wanted = readLabels(labels);
    const gone = Object.keys(server.labels ?? {}).filter((key) => !(key in wanted));
    const changed = { ...wanted, ...Object.fromEntries(gone.map((key) => [key, null])) };
    if (Object.keys(changed).length) body.labels = changed;
    await ask("PATCH", path`/integrated-account/${server.integrated_account_id}/mcp/${server.id}`, { body });
    again();
  });
  const submit = (event) => {
    event.preventDefault();
    if (config) change.run();
  };
  return html`<div class="split">
    <form class="panel" onSubmit=${submit} aria-label="Change the server">
      <${TextField} label="Name" value=${name} onValue=${setName} required maxlength="200" />
      <${TextField} label="Labels" value=${labels} onValue=${setLabels} placeholder="team=support" />
      <${TextField} label="New expiry, in hours from now" type="number" min="1" max="8784" value=${hours} onValue=${setHours}
        help="Empty leaves the expiry as it is." />
      <${ConfigFields} form=${form} onForm=${setForm} integration=${integration} />
      ${change.error && html`<${Failure} error=${change.error} />`}
      <button type="submit" class="primary wide" disabled=${!config || change.busy}>${change.busy ? "Saving…" : "Save the change"}</button>
      <p class="help">Clients that are connected see the new tools when they ask for the list again.</p>
    </form>
    <${Preview} accountId=${server.integrated_account_id} config=${config} problem=${problem}>
      ${(after) => html`<${Difference} before=${preview} after=${after} />`}
    <//>
  </div>`;
}

function End({ server, setRotated }) {
  const [grace, setGrace] = useState("0");
  const [revoking, setRevoking] = useState(false);
  const { id, integrated_account_id: account } = server;
  const rotation = useChange(async () => {
    setRotated(await ask("POST", path`/integrated-account/${account}/mcp/${id}/rotate`, { body: { grace_seconds: Number(grace) } }));
  });
  const removal = useChange(async () => {
    await ask("DELETE", path`/integrated-account/${account}/mcp/${id}`);
    go(["servers"]);
  });
  const submit = (event) => {
    event.preventDefault();
    rotation.run();
  };
  return html`
    <section class="panel"><h2>Rotate the URL</h2>
      <form onSubmit=${submit}>
        <${TextField} label="Seconds that the present URL still works" type="number" min="0" max="604800" required value=${grace}
          onValue=${setGrace} help="0 ends it at once. 3600 leaves an hour to change the clients." />
        ${rotation.error && html`<${Failure} error=${rotation.error} />`}
        <button type="submit" disabled=${rotation.busy}>Make a new URL</button>
      </form>
    </section>
    <section class="panel"><h2>Revoke</h2>
      <p>The URL stops working at once, for every client that has it.</p>
      <button type="button" class="danger" onClick=${() => setRevoking(true)}>Revoke this server</button>
      ${revoking &&
      html`<${Confirm} title="Revoke the server" word=${server.name} action="Revoke" change=${removal} onClose=${() => setRevoking(false)}>
        <p>This cannot be taken back. A new server gets a new URL.</p>
      <//>`}
    </section>
  `;
}

/** Who let which client use this server, and the end of it. */
function Consents({ server: { id, integrated_account_id: account } }) {
  const asked = useAsked((signal) => askAll(path`/integrated-account/${account}/mcp/${id}/consent`, { signal }), [id]);
  const [gone, setGone] = useState(null);
  const removal = useChange(async () => {
    await ask("DELETE", path`/integrated-account/${account}/mcp/${id}/consent/${gone.id}`);
    setGone(null);
    asked.again();
  });
  return html`
    <${Answer} asked=${asked} empty=${html`<p>Nobody has signed in. Clients that send an API token as a header are not listed.</p>`}>
      ${({ result }) => html`<div class="table-wrap"><table>
        <thead><tr><th>Person</th><th>Client</th><th>Since</th><th>Ends without use</th><th>End it</th></tr></thead>
        <tbody>${result.map(
          (one) => html`<tr key=${one.id}>
            <td data-label="Person">${one.person}</td>
            <td data-label="Client">${one.client_name}</td>
            <td data-label="Since"><${When} at=${one.created_at} /></td>
            <td data-label="Ends without use"><${When} at=${one.expires_at} /></td>
            <td data-label="End it">${may("endConsent") && html`<button type="button" class="danger quiet" onClick=${() => setGone(one)}>End</button>`}</td>
          </tr>`,
        )}</tbody>
      </table></div>`}
    <//>
    ${gone &&
    html`<${Confirm} title="End the sign-in" word=${gone.person} action="End" change=${removal} onClose=${() => setGone(null)}>
      <p>${gone.client_name} is refused from now on, until ${gone.person} signs in again.</p>
    <//>`}
  `;
}

function Calls({ server }) {
  const query = { integrated_account_id: server.integrated_account_id, mcp_server_id: server.id };
  const asked = useAsked((signal) => ask("GET", "/log", { query: { ...query, limit: 50 }, signal }), [server.id]);
  return html`<${Answer} asked=${asked} empty=${html`<p>No call has been made yet.</p>`}>
      ${({ result }) => html`<${LogTable} entries=${result} />`}
    <//>
    <p><a href=${link(["log"], query)}>All its calls in the log</a></p>`;
}
