// The memory browser: whose memories there are, and the memories of one of them.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Answer, useAsked } from "../loading.js";
import { ChoiceField, Head, Mark, Tabs, TextField, When } from "../parts.js";
import { go, link } from "../router.js";
import { askAll } from "../session.js";
import { Mem0 } from "./mem0.js";
import { Person } from "./person.js";

export function Memory({ query }) {
  const asked = useAsked(async (signal) => {
    const { result } = await askAll("/integrated-account", { signal });
    return { result: result.filter((one) => /^mem0/.test(one.integration)) };
  }, []);
  return html`<${Answer}
    asked=${asked}
    empty=${html`<${Head} title="Memory" /><p>No Mem0 account is connected.</p>`}
  >
    ${({ result }) => {
      const account = result.find((one) => one.id === query.account) ?? result[0];
      return html`
        ${result.length > 1 && html`<${ChoiceField} label="Account" value=${account.id} onValue=${(id) => go(["memory"], { account: id })}
          choices=${result.map((one) => [one.id, one.name])} />`}
        <${OfAccount} key=${account.id} accountId=${account.id} query=${query} />`;
    }}
  <//>`;
}

function OfAccount({ accountId, query }) {
  const asked = useAsked(async (signal) => ({ mem0: await Mem0.of(accountId, signal) }), [accountId]);
  return html`<${Answer} asked=${asked} isEmpty=${(value) => value.mem0 === null}
    empty=${html`<${Head} title="Memory" /><p>This account has no memories that can be listed and searched.</p>`}>
    ${({ mem0 }) =>
      query.id
        ? html`<${Person} key=${`${query.type} ${query.id}`} mem0=${mem0} person=${{ type: query.type ?? "user", id: query.id }} query=${query} />`
        : html`<${Everybody} mem0=${mem0} query=${query} />`}
  <//>`;
}

const TYPES = { user: "Person", agent: "Agent", app: "App", run: "Conversation" };

function Everybody({ mem0, query }) {
  const tab = query.tab ?? "people";
  const tabs = [["people", "People"], ...(mem0.can("events.list") ? [["events", "Pending and failed"]] : [])];
  return html`
    <${Head} title="Memory"><a class="button" href="extension.zip" download>Browser extension</a><//>
    <${Tabs} label="Parts" tabs=${tabs} chosen=${tab} onChosen=${(name) => go(["memory"], { account: mem0.accountId, tab: name })} />
    <div role="tabpanel" aria-label=${tabs.find(([name]) => name === tab)?.[1]}>
      ${tab === "events" ? html`<${Events} mem0=${mem0} />` : html`<${People} mem0=${mem0} />`}
    </div>
  `;
}

function People({ mem0 }) {
  const [searched, setSearched] = useState("");
  const asked = useAsked(async (signal) => ({ result: await mem0.people(signal) }), [mem0]);
  const open = (event) => {
    event.preventDefault();
    const id = searched.trim();
    if (id) go(["memory"], { account: mem0.accountId, type: "user", id });
  };
  return html`
    <form class="filters" onSubmit=${open}>
      <${TextField} label="Find a person, or open one by id" type="search" value=${searched} onValue=${setSearched} />
    </form>
    <${Answer} asked=${asked} empty=${html`<p>Nobody has memories yet. The first call of an agent that remembers something makes one.</p>`}>
      ${({ result }) => {
        const found = result.filter((one) => one.id.toLowerCase().includes(searched.trim().toLowerCase()));
        return html`<div class="table-wrap"><table>
          <thead><tr><th>Id</th><th>Kind</th><th>Memories</th><th>Changed</th></tr></thead>
          <tbody>${found.map(
            (one) => html`<tr key=${`${one.type} ${one.id}`}>
              <td data-label="Id"><a href=${link(["memory"], { account: mem0.accountId, type: one.type, id: one.id })}>${one.id}</a></td>
              <td data-label="Kind">${TYPES[one.type] ?? one.type}</td>
              <td data-label="Memories">${one.count ?? "unknown"}</td>
              <td data-label="Changed"><${When} at=${one.at} none="unknown" /></td>
            </tr>`,
          )}</tbody>
        </table></div>
        ${found.length === 0 && html`<p class="empty">No id contains "${searched}". Press Enter to open it as a person's id.</p>`}`;
      }}
    <//>
  `;
}

const EVENT = { SUCCEEDED: "good", PENDING: "warn", RUNNING: "warn", FAILED: "bad" };

function Events({ mem0 }) {
  const asked = useAsked(async (signal) => {
    const events = await mem0.events(signal);
    return { result: events.filter((one) => one.status !== "SUCCEEDED"), seen: events.length };
  }, [mem0]);
  return html`
    <p class="row"><button type="button" onClick=${asked.again}>Look again</button></p>
    <${Answer} asked=${asked} empty=${html`<p>Nothing is pending and nothing failed among the last ${asked.value?.seen ?? 0} events.</p>`}>
      ${({ result }) => html`<div class="table-wrap"><table>
        <thead><tr><th>Time</th><th>Event</th><th>Status</th><th>Id</th></tr></thead>
        <tbody>${result.map(
          (one) => html`<tr key=${one.id}>
            <td data-label="Time"><${When} at=${one.created_at} /></td>
            <td data-label="Event">${one.event_type}${one.error && html`<br /><span class="problem">${String(one.error)}</span>`}</td>
            <td data-label="Status"><${Mark} kind=${EVENT[one.status]}>${one.status}<//></td>
            <td data-label="Id"><code>${one.id}</code></td>
          </tr>`,
        )}</tbody>
      </table></div>`}
    <//>
  `;
}
