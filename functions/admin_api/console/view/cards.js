// The objects of a result as cards, with what can be done to each. Everything that is true of one API alone stands in
// the view, which its records hold.

import { html, useEffect, useRef, useState } from "../static/vendor/htm-preact-3.1.1.js";
import { useChange } from "../static/change.js";
import { AreaField, Mark, When, useId } from "../static/parts.js";
import { ask, call } from "./host.js";

const MUCH = 700; // Characters of a text that a card shows at first: some eight lines.
const CUT = /…\[cut: \d+ of \d+ characters\]$/; // How a text ends that a result holds in part.

const words = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));
const present = (value) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length);
const list = (value) => (Array.isArray(value) ? value : [value]).filter(present);

/** One object. `can`: the names of what the server and the host allow. `onChanged` hears what was done. */
export function Card({ view, item, can, onEdited, onDeleted }) {
  const { card } = view;
  const [open, setOpen] = useState("");
  const id = item[card.id];
  const text = present(item[card.text]) ? words(item[card.text]) : "";
  const named = useId();
  const acts = present(id) && typeof id !== "object";
  const details = card.details.filter((key) => present(item[key]));
  // Of two dates that are the same moment, e.g. of what was never changed, the last one is shown.
  const dates = Object.entries(card.dates).filter(
    ([, key], index, all) => present(item[key]) && !all.slice(index + 1).some(([, later]) => item[later] === item[key]),
  );
  const toggle = (name) => setOpen(open === name ? "" : name);
  const may = {
    edit: acts && can.edit && typeof item[card.text] === "string" && !CUT.test(text),
    history: acts && can.history,
    details: details.length > 0,
    delete: acts && can.delete,
  };
  return html`<li class="card" aria-labelledby=${named}>
    ${card.title && present(item[card.title]) && html`<h2 dir="auto">${words(item[card.title])}</h2>`}
    ${open === "edit"
      ? html`<${Edit} view=${view} id=${id} text=${text} onClose=${() => setOpen("")} onEdited=${onEdited} />`
      : html`<${Text} id=${named} text=${text || `No text. ${JSON.stringify(item)}`} />`}
    <p class="row dim facts-row">
      ${card.score && typeof item[card.score] === "number" && html`<${Mark}>score ${item[card.score].toFixed(2)}<//>`}
      ${card.labels.flatMap((key) => list(item[key])).map((name, index) => html`<span key=${index} class="chip" dir="auto">${words(name)}</span>`)}
      ${dates.map(([label, key]) => html`<span key=${label}>${label} <${When} at=${item[key]} /></span>`)}
    </p>
    <p class="row actions">
      ${may.edit && open !== "edit" && html`<${Toggle} name="edit" open=${open} toggle=${toggle} label="Edit" />`}
      ${may.history && html`<${Toggle} name="history" open=${open} toggle=${toggle} label="History" />`}
      ${may.details && html`<${Toggle} name="details" open=${open} toggle=${toggle} label="Details" />`}
      ${may.delete && html`<${Toggle} name="delete" open=${open} toggle=${toggle} label="Delete" kind="danger" />`}
    </p>
    ${open === "delete" && html`<${Delete} view=${view} id=${id} onClose=${() => setOpen("")} onDeleted=${onDeleted} />`}
    ${open === "history" && html`<${History} view=${view} id=${id} />`}
    ${open === "details" &&
    html`<dl class="facts">${details.map((key) => [html`<dt>${key}</dt>`, html`<dd dir="auto">${words(item[key])}</dd>`])}</dl>`}
  </li>`;
}

const Toggle = ({ name, open, toggle, label, kind = "" }) => html`<button
  type="button"
  class=${`quiet ${kind}`}
  aria-expanded=${open === name ? "true" : "false"}
  onClick=${() => toggle(name)}
>
  ${label}
</button>`;

function Text({ id, text }) {
  const [whole, setWhole] = useState(false);
  const much = text.length > MUCH;
  return html`<p class="text" id=${id} dir="auto">${much && !whole ? `${[...text.slice(0, MUCH)].slice(0, -1).join("")}…` : text}</p>
    ${much &&
    html`<p><button type="button" class="quiet" aria-expanded=${whole ? "true" : "false"} onClick=${() => setWhole(!whole)}>
      ${whole ? "Show less" : `Show all ${text.length.toLocaleString()} characters`}
    </button></p>`}`;
}

/** What the server or the host said against it, or what the server asks first. */
export function Said({ error }) {
  if (!error.confirmation) {
    return html`<div class="notice bad" role="alert">
      <p class="notice-title">This did not work</p>
      <p class="text" dir="auto">${error.message}</p>
    </div>`;
  }
  const { subject, link } = error.confirmation;
  return html`<div class="notice warn" role="alert">
    <p class="notice-title">The server asks for a confirmation</p>
    <p class="text" dir="auto">${subject} ${link ? "Approve it on the server's page, then press the button again." : "Press the button again to confirm."}</p>
    ${link && html`<p><button type="button" onClick=${() => ask("ui/open-link", { url: link }).catch(() => {})}>Open the approve page</button></p>`}
  </div>`;
}

/** Call a tool, then `done`. Where the server asks for a confirmation, the next run of the same call gives it. */
function useConfirmed(tool, done) {
  const asked = useRef({});
  return useChange(async (given) => {
    const same = JSON.stringify(given);
    const code = asked.current.same === same ? asked.current.code : {};
    asked.current = {};
    try {
      await call(tool, { ...given, ...code });
    } catch (error) {
      if (error.confirmation) asked.current = { same, code: { [error.confirmation.argument]: error.confirmation.code } };
      throw error;
    }
    done(given);
  });
}

function Edit({ view, id, text, onClose, onEdited }) {
  const [written, setWritten] = useState(text);
  const form = useRef(null);
  const change = useConfirmed(view.edit.tool, (given) => {
    onClose();
    onEdited(id, given[view.edit.text]);
  });
  const save = () => change.run({ [view.edit.id]: id, [view.edit.text]: written.trim() });
  useEffect(() => form.current.querySelector("textarea").focus(), []);
  const ready = !change.busy && written.trim() && written.trim() !== text;
  const pressed = (event) => {
    if (event.key === "Escape") onClose();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) save();
  };
  // Not a form element: a host's sandbox lets no form be sent.
  return html`<div ref=${form} role="group" aria-label=${`Edit this ${view.singular}`} onKeyDown=${pressed}>
    <${AreaField} label="Text" value=${written} onValue=${setWritten} dir="auto" />
    ${change.error && html`<${Said} error=${change.error} />`}
    <p class="row">
      <button type="button" class="primary" disabled=${!ready} onClick=${save}>
        ${change.busy ? "Saving…" : "Save"}
      </button>
      <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
    </p>
  </div>`;
}

function Delete({ view, id, onClose, onDeleted }) {
  const question = useId();
  const cancel = useRef(null);
  const change = useConfirmed(view.delete.tool, () => onDeleted(id));
  useEffect(() => cancel.current.focus(), []);
  return html`<div class="notice warn" role="group" aria-labelledby=${question}
    onKeyDown=${(event) => event.key === "Escape" && onClose()}>
    <p id=${question}>Delete this ${view.singular} for good?</p>
    ${change.error && html`<${Said} error=${change.error} />`}
    <p class="row">
      <button type="button" ref=${cancel} class="quiet" onClick=${onClose}>Keep it</button>
      <button type="button" class="danger" disabled=${change.busy} onClick=${() => change.run({ [view.delete.id]: id })}>
        ${change.busy ? "Deleting…" : "Delete for good"}
      </button>
    </p>
  </div>`;
}

function History({ view, id }) {
  const { history } = view;
  const [entries, setEntries] = useState(null);
  const change = useChange(async () => {
    const value = await call(history.tool, { [history.id]: id });
    setEntries(Array.isArray(value[history.items]) ? value[history.items] : []);
  });
  useEffect(() => {
    change.run();
  }, []);
  if (change.error) return html`<${Said} error=${change.error} />`;
  if (!entries) return html`<p class="waiting" role="status">Loading…</p>`;
  if (!entries.length) return html`<p class="dim">No history is known.</p>`;
  return html`<ol class="history">
    ${entries.filter((entry) => entry !== null && typeof entry === "object").map(
      (entry, index) => html`<li key=${index}>
        ${history.event && present(entry[history.event]) && html`<${Mark}>${words(entry[history.event])}<//> `}
        ${history.date && html`<${When} at=${entry[history.date]} none="" />`}
        ${history.before && present(entry[history.before]) && html`<p class="text" dir="auto"><del>${words(entry[history.before])}</del></p>`}
        ${present(entry[history.after]) && html`<p class="text" dir="auto"><ins>${words(entry[history.after])}</ins></p>`}
      </li>`,
    )}
  </ol>`;
}
