// The memories of one person: list, search, edit, delete, history, export and import.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Confirm } from "../confirm.js";
import { AreaField, Dialog, Head, Mark, TextField, When, saveFile } from "../parts.js";
import { go, link } from "../router.js";
import { may } from "../session.js";
import { readFile, toJsonLines, toMarkdown } from "./files.js";

export function Person({ mem0, person, query }) {
  const [pages, setPages] = useState([]);
  const [chosen, setChosen] = useState([]);
  const [opened, setOpened] = useState(null);
  const where = { category: query.category ?? "", metadata: query.metadata ?? "" };
  const inputs = [query.q, query.category, query.metadata];
  const asked = useAsked(
    (signal) => (query.q ? mem0.search(person, where, query.q, signal) : mem0.list(person, where, null, signal)),
    inputs,
  );
  const more = useChange(async (cursor) => {
    const page = await mem0.list(person, where, cursor);
    setPages((before) => [...before, page]);
  });
  const again = () => {
    setPages([]);
    setChosen([]);
    asked.again();
  };
  useEffect(() => {
    setPages([]);
    setChosen([]);
  }, inputs);
  const set = (name, value) => go(["memory"], { ...query, account: mem0.accountId, [name]: value });
  return html`
    <p><a href=${link(["memory"], { account: mem0.accountId })}>← Everybody</a></p>
    <${Head} title=${person.id}>
      <${Files} mem0=${mem0} person=${person} again=${again} />
      <${RemoveAll} mem0=${mem0} person=${person} />
    <//>
    <search class="filters">
      <${TextField} key=${`q ${query.q ?? ""}`} label="Search" type="search" value=${query.q ?? ""} onValue=${() => {}}
        onChange=${(event) => set("q", event.currentTarget.value.trim())} />
      <${TextField} key=${`c ${where.category}`} label="Category" value=${where.category} onValue=${() => {}}
        onChange=${(event) => set("category", event.currentTarget.value.trim())} />
      <${TextField} key=${`m ${where.metadata}`} label="Metadata" placeholder="source=crm" value=${where.metadata} onValue=${() => {}}
        onChange=${(event) => set("metadata", event.currentTarget.value.trim())} />
    </search>
    <${Add} mem0=${mem0} person=${person} again=${again} />
    <${Answer} asked=${asked} isEmpty=${(value) => value.memories.length === 0}
      empty=${html`<p>${query.q || where.category || where.metadata ? "No memory fits." : "There is no memory yet."}</p>`}>
      ${(value) => {
        const memories = [value, ...pages].flatMap((page) => page.memories);
        const cursor = (pages.at(-1) ?? value).cursor;
        const selected = memories.filter((one) => chosen.includes(one.id));
        return html`
          <${RemoveMany} mem0=${mem0} memories=${selected} again=${again} />
          <ul class="memories">
            ${memories.map(
              (one) => html`<${One} key=${one.id} memory=${one} chosen=${chosen.includes(one.id)}
                onChosen=${() => setChosen(chosen.includes(one.id) ? chosen.filter((id) => id !== one.id) : [...chosen, one.id])}
                onCategory=${(name) => set("category", name)} onOpen=${() => setOpened(one)} />`,
            )}
          </ul>
          ${more.error && html`<${Failure} error=${more.error} />`}
          ${cursor && html`<p><button type="button" disabled=${more.busy} onClick=${() => more.run(cursor)}>${more.busy ? "Loading…" : "More memories"}</button></p>`}
        `;
      }}
    <//>
    ${opened && html`<${Opened} mem0=${mem0} memory=${opened} onClose=${() => setOpened(null)} again=${again} />`}
  `;
}

const One = ({ memory, chosen, onChosen, onCategory, onOpen }) => html`<li>
  <input type="checkbox" aria-label=${`Choose: ${memory.memory}`} checked=${chosen} onChange=${onChosen} />
  <div>
    <button type="button" class="as-link memory-text" onClick=${onOpen}>${memory.memory}</button>
    <p class="row dim">
      <${When} at=${memory.updated_at ?? memory.created_at} none="" />
      ${memory.score !== undefined && memory.score !== null && html`<${Mark}>score ${Number(memory.score).toFixed(2)}<//>`}
      ${(memory.categories ?? []).map((name) => html`<button key=${name} type="button" class="chip" onClick=${() => onCategory(name)}>${name}</button>`)}
      ${Object.entries(memory.metadata ?? {}).map(([key, value]) => html`<span key=${key} class="chip">${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}</span>`)}
      ${memory.expiration_date && html`<${Mark} kind="warn">until ${memory.expiration_date}<//>`}
    </p>
  </div>
</li>`;

function Add({ mem0, person, again }) {
  const [text, setText] = useState("");
  const change = useChange(async () => {
    await mem0.add(person, text.trim());
    setText("");
    again();
  });
  if (!may("postProxy")) return null;
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) change.run();
  };
  return html`<form class="row add" onSubmit=${submit}>
    <${TextField} label="Add a memory" value=${text} onValue=${setText} placeholder="One fact in one sentence" />
    <button type="submit" disabled=${change.busy || !text.trim()}>${change.busy ? "Adding…" : "Add"}</button>
    ${change.error && html`<${Failure} error=${change.error} />`}
  </form>`;
}

function RemoveMany({ mem0, memories, again }) {
  const [asking, setAsking] = useState(false);
  const [done, setDone] = useState(0);
  const change = useChange(async () => {
    await mem0.remove(memories, setDone);
    setAsking(false);
    again();
  });
  return html`<div class="row many" role="group" aria-label="Chosen memories">
    <span role="status">${memories.length ? `${memories.length} chosen` : ""}</span>
    ${memories.length > 0 && html`<button type="button" class="danger quiet" onClick=${() => setAsking(true)}>Delete</button>`}
    ${asking &&
    html`<${Confirm} title=${`Delete ${memories.length} memories`} action=${change.busy ? `${done} of ${memories.length}…` : "Delete"}
      change=${change} onClose=${() => setAsking(false)}>
      <p>This cannot be taken back.</p>
      <ul class="names">${memories.map((one) => html`<li key=${one.id}>${one.memory}</li>`)}</ul>
    <//>`}
  </div>`;
}

function RemoveAll({ mem0, person }) {
  const [asking, setAsking] = useState(false);
  const change = useChange(async () => {
    await mem0.removePerson(person);
    go(["memory"], { account: mem0.accountId });
  });
  return html`<button type="button" class="danger quiet" onClick=${() => setAsking(true)}>Delete all</button>
    ${asking &&
    html`<${Confirm} title="Delete all memories" word=${person.id} action="Delete all" change=${change} onClose=${() => setAsking(false)}>
      <p>Every memory of ${person.type} ${person.id} is deleted. Their history may stay at the upstream. This cannot be taken back.</p>
    <//>`}`;
}

function Opened({ mem0, memory, onClose, again }) {
  const [text, setText] = useState(memory.memory);
  const asked = useAsked(
    async () => ({ result: mem0.can("memory_history.list") ? await mem0.history(memory) : [] }),
    [memory.id],
  );
  const change = useChange(async () => {
    await mem0.edit(memory, text.trim());
    onClose();
    again();
  });
  const removal = useChange(async () => {
    await mem0.remove([memory], () => {});
    onClose();
    again();
  });
  const submit = (event) => {
    event.preventDefault();
    change.run();
  };
  const error = change.error ?? removal.error;
  return html`<${Dialog} title="Memory" onClose=${onClose}>
    <form onSubmit=${submit}>
      <${AreaField} label="Text" value=${text} onValue=${setText} required />
      ${error && html`<${Failure} error=${error} />`}
      <div class="row">
        <button type="submit" class="primary" disabled=${change.busy || !text.trim() || text === memory.memory}>${change.busy ? "Saving…" : "Save"}</button>
        <button type="button" class="danger quiet" disabled=${removal.busy} onClick=${() => removal.run()}>Delete this memory</button>
      </div>
    </form>
    <p class="dim">Id <code>${memory.id}</code></p>
    <h3>History</h3>
    <${Answer} asked=${asked} empty=${html`<p>No history is known.</p>`}>
      ${({ result }) => html`<ol class="history">${result.map(
        (one) => html`<li key=${one.id}><${Mark}>${one.event}<//> <${When} at=${one.created_at} none="" />
          ${one.old_memory && html`<p><del>${one.old_memory}</del></p>`}
          ${one.new_memory && html`<p><ins>${one.new_memory}</ins></p>`}
        </li>`,
      )}</ol>`}
    <//>
  <//>`;
}

function Files({ mem0, person, again }) {
  const [said, setSaid] = useState("");
  const [incoming, setIncoming] = useState(null);
  const exporting = useChange(async (kind) => {
    const memories = await mem0.all(person, (count) => setSaid(`${count} memories…`));
    const content = kind === "md" ? toMarkdown(person, memories) : toJsonLines(memories);
    saveFile(new Blob([content]), `memories-${person.id.replace(/[^\w.-]+/g, "_")}.${kind}`);
    setSaid(`${memories.length} memories exported`);
  });
  const choose = async (event) => {
    const [file] = event.currentTarget.files;
    event.currentTarget.value = "";
    if (!file) return;
    try {
      setIncoming({ name: file.name, memories: readFile(file.name, await file.text()) });
      setSaid("");
    } catch (error) {
      setSaid(`${file.name}: ${error.message}`);
    }
  };
  return html`
    <button type="button" disabled=${exporting.busy} onClick=${() => exporting.run("jsonl")}>Export JSON Lines</button>
    <button type="button" disabled=${exporting.busy} onClick=${() => exporting.run("md")}>Export Markdown</button>
    <label class="button">Import<input type="file" class="hidden" accept=".jsonl,.json,.md,.markdown,.txt" onChange=${choose} /></label>
    <span role="status">${exporting.error ? exporting.error.message : said}</span>
    ${incoming && html`<${Import} mem0=${mem0} person=${person} incoming=${incoming} onClose=${() => {
      setIncoming(null);
      again();
    }} />`}
  `;
}

function Import({ mem0, person, incoming, onClose }) {
  const [done, setDone] = useState(0);
  const { memories, name } = incoming;
  const change = useChange(async () => {
    for (let at = done; at < memories.length; at += 1) {
      await mem0.add(person, memories[at].text, memories[at].metadata);
      setDone(at + 1);
    }
    onClose();
  });
  return html`<${Confirm} title=${`Import ${memories.length} memories`} change=${change} onClose=${onClose}
    action=${change.busy ? `${done} of ${memories.length}…` : done ? `Continue at ${done + 1}` : "Import"}>
    <p>From ${name}, for ${person.type} ${person.id}. The first ones:</p>
    <ul class="names">${memories.slice(0, 5).map((one, index) => html`<li key=${index}>${one.text}</li>`)}</ul>
  <//>`;
}
