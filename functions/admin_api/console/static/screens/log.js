// The log: calls and decisions, newest first; filters, a side panel, live, and export.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Check, ChoiceField, Dialog, Head, Mark, TextField, saveFile } from "../parts.js";
import { go, link } from "../router.js";
import { ask, askFile } from "../session.js";

const LIVE_MS = 3000;
const MOST_EXPORT_PAGES = 200;

/** Filters: [parameter, label, choices or null for text]. */
const FILTERS = [
  ["kind", "Entries", [["", "calls"], ["decision", "decisions"], ["all", "both"]]],
  ["outcome", "Outcome", [["", "any"], ["ok", "ok"], ["error", "error"], ["refused", "refused"]]],
  ["access", "Access", [["", "any"], ["read", "read"], ["write", "write"]]],
  ["plane", "Through", [["", "any"], ["mcp", "MCP"], ["proxy", "proxy"]]],
  ["integrated_account_id", "Account", null],
  ["mcp_server_id", "MCP server", null],
  ["label", "Label", null],
  ["tool_name", "Tool", null],
  ["status", "Status", null],
  ["principal", "Who", null],
  ["client_name", "Client", null],
  ["created_at[gt]", "After", null],
  ["created_at[lt]", "Before", null],
];

export function Log({ query }) {
  const [pages, setPages] = useState([]);
  const [live, setLive] = useState(false);
  const key = JSON.stringify(query);
  const asked = useAsked((signal) => ask("GET", "/log", { query: { ...query, limit: 50 }, signal }), [key]);
  const more = useChange(async (cursor) => {
    const page = await ask("GET", "/log", { query: { ...query, limit: 50, next_cursor: cursor } });
    setPages((before) => [...before, page]);
  });
  useEffect(() => setPages([]), [key]);
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => document.hidden || asked.again(), LIVE_MS);
    return () => clearInterval(timer);
  }, [live, asked.again]);
  const set = (name, value) => go(["log"], { ...query, [name]: value });
  return html`
    <${Head} title="Log">
      <${Check} label="Live" checked=${live} onChecked=${setLive} />
      <${Export} query=${query} />
    <//>
    <search class="filters">
      ${FILTERS.map(([name, label, choices]) =>
        choices
          ? html`<${ChoiceField} key=${name} label=${label} choices=${choices} value=${query[name] ?? ""} onValue=${(value) => set(name, value)} />`
          : html`<${TextField} key=${name + (query[name] ?? "")} label=${label} value=${query[name] ?? ""} onValue=${() => {}}
              placeholder=${name.startsWith("created_at") ? "2026-12-31T00:00:00Z" : ""}
              onChange=${(event) => set(name, event.currentTarget.value.trim())} />`,
      )}
    </search>
    ${Object.keys(query).length > 0 &&
    html`<p class="row" aria-label="Filters in use">
      ${Object.entries(query).map(
        ([name, value]) =>
          html`<button key=${name} type="button" class="chip" aria-label=${`Remove the filter ${name} ${value}`} onClick=${() => set(name, "")}>
            ${FILTERS.find(([one]) => one === name)?.[1] ?? name}: ${value} ✕</button>`,
      )}
      <a href=${link(["log"])}>Remove all filters</a>
    </p>`}
    <${Answer}
      asked=${asked}
      isEmpty=${(value) => value.result.length === 0 && value.next_cursor === null}
      empty=${html`<p>No entry matches${Object.keys(query).length ? " these filters" : ". An entry appears with the first call"}.</p>`}
    >
      ${(value) => {
        const entries = [value, ...pages].flatMap((page) => page.result);
        const cursor = (pages.at(-1) ?? value).next_cursor;
        return html`
          <${LogTable} entries=${entries} />
          ${more.error && html`<${Failure} error=${more.error} />`}
          ${cursor !== null && html`<p><button type="button" disabled=${more.busy} onClick=${() => more.run(cursor)}>
            ${more.busy ? "Loading…" : "Older entries"}</button></p>`}`;
      }}
    <//>
  `;
}

const OUTCOME = { ok: "good", refused: "warn", error: "bad" };

const isDecision = (entry) => entry.kind === "decision" || entry.action !== undefined;

/** Entries as a table. A row opens its entry at the side. */
export function LogTable({ entries }) {
  const [opened, setOpened] = useState(null);
  return html`
    <div class="table-wrap"><table class="log">
      <thead><tr><th>Time</th><th>What</th><th>Outcome</th><th>Who</th><th>Took</th></tr></thead>
      <tbody>
        ${entries.map(
          (entry) => html`<tr key=${`${entry.time} ${entry.request_id} ${entry.server_id}`}>
            <td data-label="Time"><time datetime=${entry.time}>${new Date(entry.time).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" })}</time></td>
            <td data-label="What"><button type="button" class="as-link" onClick=${() => setOpened(entry)}>
              ${isDecision(entry) ? entry.action : entry.tool || "(unknown tool)"}</button></td>
            <td data-label="Outcome"><${Mark} kind=${OUTCOME[entry.outcome]}>${entry.outcome} ${entry.status}<//></td>
            <td data-label="Who"><code>${entry.principal || "unknown"}</code></td>
            <td data-label="Took">${entry.duration_ms === undefined ? "" : `${Math.round(entry.duration_ms)} ms`}</td>
          </tr>`,
        )}
      </tbody>
    </table></div>
    ${opened && html`<${Opened} entry=${opened} onClose=${() => setOpened(null)} />`}
  `;
}

const LINKS = {
  principal: (value) => link(["log"], { kind: "all", principal: value }),
  server_id: (value, entry) => link(["servers", entry.account_id, value]),
  account_id: (value) => link(["accounts", value]),
  request_id: (value) => link(["log"], { kind: "all", request_id: value }),
  tool: (value) => link(["log"], { tool_name: value }),
};

function Opened({ entry, onClose }) {
  const shown = Object.entries(entry).filter(([, value]) => value !== "" && value !== null);
  return html`<${Dialog} title=${isDecision(entry) ? entry.action : entry.tool || "Call"} onClose=${onClose}>
    <dl class="facts">
      ${shown.map(([name, value]) => {
        const text = typeof value === "object" ? JSON.stringify(value) : String(value);
        const target = LINKS[name]?.(text, entry);
        return [
          html`<dt key=${name}>${name}</dt>`,
          html`<dd key=${`${name}-value`}>${target ? html`<a href=${target} onClick=${onClose}><code>${text}</code></a>` : html`<code>${text}</code>`}</dd>`,
        ];
      })}
    </dl>
  <//>`;
}

function Export({ query }) {
  const [format, setFormat] = useState("");
  const [said, setSaid] = useState("");
  const change = useChange(async (wanted) => {
    setFormat(wanted);
    const parts = [];
    let cursor = null;
    for (let page = 0; page < MOST_EXPORT_PAGES; page += 1) {
      const { blob, next } = await askFile("/log", { ...query, limit: 100, format: wanted, next_cursor: cursor });
      const text = await blob.text();
      parts.push(wanted === "csv" && page > 0 ? text.slice(text.indexOf("\n") + 1) : text);
      setSaid(`${page + 1} pages`);
      cursor = next;
      if (!cursor) break;
    }
    saveFile(new Blob(parts), `postern-log.${wanted}`);
    setSaid(cursor ? "The oldest entries are missing; choose a shorter time." : "Exported");
  });
  return html`
    <button type="button" disabled=${change.busy} onClick=${() => change.run("jsonl")}>Export JSON Lines</button>
    <button type="button" disabled=${change.busy} onClick=${() => change.run("csv")}>Export CSV</button>
    <span role="status">${change.error ? change.error.message : change.busy ? `${format}: ${said}` : said}</span>
  `;
}
