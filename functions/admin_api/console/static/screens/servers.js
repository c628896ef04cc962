// MCP servers of every account: find them, choose many, and change them at once.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, useAsked } from "../loading.js";
import { Confirm } from "../confirm.js";
import { Dialog, Head, Mark, Secret, TextField, When } from "../parts.js";
import { go, link } from "../router.js";
import { readLabels } from "../labels.js";
import { ask, askAll, may, path } from "../session.js";

const SOON_MS = 24 * 3600 * 1000;

/** The mark of a server that ends soon. */
export function Expiry({ at }) {
  if (!at) return html`<span class="dim">never</span>`;
  const soon = new Date(at).getTime() - Date.now() < SOON_MS;
  return html`<${When} at=${at} />${soon && html` <${Mark} kind="warn">soon<//>`}`;
}

/** A server's labels, each a link to the servers that have it. */
export const Labels = ({ labels }) =>
  Object.entries(labels ?? {}).map(
    ([key, value]) =>
      html`<a key=${key} class="chip" href=${link(["servers"], { label: `${key}=${value}` })}>${key}=${value}</a> `,
  );

export function Servers({ query }) {
  const [searched, setSearched] = useState("");
  const account = query.account ?? "";
  const asked = useAsked(
    async (signal) => {
      const [servers, accounts] = await Promise.all([
        askAll(path`/integrated-account/${account || "-"}/mcp`, { query: { label: query.label }, signal }),
        may("listAccounts") ? askAll("/integrated-account", { signal }) : { result: [] },
      ]);
      return { ...servers, accounts: Object.fromEntries(accounts.result.map((one) => [one.id, one])) };
    },
    [account, query.label],
  );
  return html`
    <${Head} title="MCP servers">
      ${may("createServer") && html`<a class="button primary" href=${link(["create"], { account })}>New MCP server</a>`}
    <//>
    <search class="filters">
      <${TextField} label="Search by name or id" type="search" value=${searched} onValue=${setSearched} />
      <${TextField}
        key=${query.label ?? ""}
        label="Label"
        placeholder="team=support"
        value=${query.label ?? ""}
        onValue=${() => {}}
        onChange=${(event) => go(["servers"], { account, label: event.currentTarget.value.trim() })}
      />
    </search>
    ${(account || query.label) &&
    html`<p class="row">
      Shown: ${account && html`<span class="chip">${asked.value?.accounts[account]?.name ?? account}</span>`}
      ${query.label && html`<span class="chip">${query.label}</span>`}
      <a href=${link(["servers"])}>Show all</a>
    </p>`}
    <${Answer}
      asked=${asked}
      empty=${html`<p>There is no MCP server${query.label ? " with this label" : " yet"}.</p>
        ${may("createServer") && html`<p><a href=${link(["create"], { account })}>Make one</a>: an expiring URL for one client.</p>`}`}
    >
      ${(value) => html`<${Found} key=${account} ...${value} searched=${searched} again=${asked.again} />`}
    <//>
  `;
}

function Found({ result, more, accounts, searched, again }) {
  const [chosen, setChosen] = useState([]);
  const wanted = searched.trim().toLowerCase();
  const found = result.filter((one) => !wanted || one.name.toLowerCase().includes(wanted) || one.id.includes(wanted));
  const ids = new Set(found.map((one) => one.id));
  const selected = chosen.filter((id) => ids.has(id));
  const all = found.length > 0 && selected.length === found.length;
  return html`
    ${may("updateServer") && html`<${Many} servers=${found.filter((one) => selected.includes(one.id))}
      done=${() => {
        setChosen([]);
        again();
      }} />`}
    ${found.length === 0 && html`<div class="empty"><p>No name or id contains "${searched}".</p></div>`}
    ${found.length > 0 && html`<div class="table-wrap"><table>
      <thead><tr>
        ${may("updateServer") && html`<th class="tick"><input type="checkbox" aria-label="Choose all" checked=${all}
          onChange=${() => setChosen(all ? [] : found.map((one) => one.id))} /></th>`}
        <th>Name</th><th>Account</th><th>Tools</th><th>Labels</th><th>Last call</th><th>Ends</th>
      </tr></thead>
      <tbody>
        ${found.map(
          (server) => html`<tr key=${server.id}>
            ${may("updateServer") && html`<td class="tick"><input type="checkbox" aria-label=${`Choose ${server.name}`}
              checked=${selected.includes(server.id)}
              onChange=${() => setChosen(selected.includes(server.id) ? selected.filter((id) => id !== server.id) : [...selected, server.id])} /></td>`}
            <td data-label="Name"><a href=${link(["servers", server.integrated_account_id, server.id])}>${server.name}</a></td>
            <td data-label="Account">${accounts[server.integrated_account_id]?.name ?? server.integrated_account_id}</td>
            <td data-label="Tools">${server.tool_count}</td>
            <td data-label="Labels"><${Labels} labels=${server.labels} /></td>
            <td data-label="Last call"><${When} at=${server.last_used_at} /></td>
            <td data-label="Ends"><${Expiry} at=${server.expires_at} /></td>
          </tr>`,
        )}
      </tbody>
    </table></div>`}
    <p class="dim">${found.length} of ${result.length}${more ? "+" : ""} servers</p>
  `;
}

const ACTIONS = {
  revoke: { label: "Revoke", words: "Their URLs stop working at once. This cannot be taken back." },
  extend: { label: "Extend", words: "An expiry that is later already stays as it is." },
  rotate: { label: "Rotate", words: "Each server gets a new URL, which is shown once." },
  label: { label: "Label", words: "Labels are added; one that is there gets the new value." },
};

/** What can be done with the chosen servers. */
function Many({ servers, done }) {
  const [action, setAction] = useState("");
  return html`<div class="row many" role="group" aria-label="Chosen servers">
    <span role="status">${servers.length === 0 ? "Choose servers to change many at once." : `${servers.length} chosen`}</span>
    ${Object.entries(ACTIONS).map(
      ([name, { label }]) =>
        html`<button key=${name} type="button" disabled=${servers.length === 0} onClick=${() => setAction(name)}>
          ${label}
        </button>`,
    )}
    ${action && html`<${ManyDialog} action=${action} servers=${servers} onClose=${() => setAction("")} done=${done} />`}
  </div>`;
}

function ManyDialog({ action, servers, onClose, done }) {
  const [hours, setHours] = useState("24");
  const [grace, setGrace] = useState("0");
  const [labels, setLabels] = useState("");
  const [progress, setProgress] = useState([]);
  const change = useChange(async () => {
    const found = await changeMany(action, servers, { hours: Number(hours), grace: Number(grace), labels }, setProgress);
    if (action !== "rotate" && found.every((one) => one.outcome !== "failed")) {
      onClose();
      done();
    }
  });
  const ended = progress.length > 0 && !change.busy;
  if (ended) return html`<${Outcome} action=${action} outcomes=${progress} onClose=${() => (onClose(), done())} />`;
  return html`<${Confirm}
    title=${`${ACTIONS[action].label} ${servers.length} servers`}
    action=${change.busy ? `${progress.length} of ${servers.length}…` : ACTIONS[action].label}
    word=${action === "revoke" && servers.length > 1 ? String(servers.length) : ""}
    change=${change}
    onClose=${onClose}
  >
    <p>${ACTIONS[action].words}</p>
    <ul class="names">${servers.map((one) => html`<li key=${one.id}>${one.name}</li>`)}</ul>
    ${action === "extend" && html`<${TextField} label="Hours from now" type="number" min="1" max="8784" required value=${hours} onValue=${setHours} />`}
    ${action === "rotate" && html`<${TextField} label="Seconds that the present URLs still work" type="number" min="0" max="604800" required value=${grace} onValue=${setGrace} />`}
    ${action === "label" && html`<${TextField} label="Labels" placeholder="team=support, env=test" required value=${labels} onValue=${setLabels} />`}
  <//>`;
}

/** Change the servers, request after request, until the API says that it is done. */
async function changeMany(action, servers, { hours, grace, labels }, report) {
  const body = { action, servers: servers.map((one) => one.id) };
  if (action === "extend") body.expires_at = new Date(Date.now() + hours * 3600_000).toISOString();
  if (action === "rotate") body.grace_seconds = grace;
  if (action === "label") body.set_labels = readLabels(labels);
  const outcomes = [];
  do {
    const answer = await ask("POST", "/integrated-account/-/mcp/bulk", { body });
    outcomes.push(...answer.result);
    report([...outcomes]);
    body.cursor = answer.next_cursor;
    if (answer.tokens_before) body.tokens_before = answer.tokens_before;
  } while (body.cursor !== null);
  return outcomes;
}

function Outcome({ action, outcomes, onClose }) {
  const failed = outcomes.filter((one) => one.outcome === "failed");
  return html`<${Dialog} title=${`${ACTIONS[action].label}: ${outcomes.length - failed.length} of ${outcomes.length} done`} onClose=${onClose}>
    ${failed.length > 0 && html`<div class="notice bad"><p class="notice-title">${failed.length} not done</p>
      <ul>${failed.map((one) => html`<li key=${one.name}>${one.name}: ${one.message}</li>`)}</ul></div>`}
    ${outcomes.some((one) => one.url) && html`<p>These URLs are secrets and are shown only now.</p>`}
    ${outcomes.filter((one) => one.url).map((one) => html`<${Secret} key=${one.id} label=${one.name} text=${one.url} />`)}
    <div class="row end"><button type="button" class="primary" onClick=${onClose}>Done</button></div>
  <//>`;
}

