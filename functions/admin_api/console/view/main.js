// The page: what a tool returned, as the host hands it over.

import { html, render, useEffect, useRef, useState } from "../static/vendor/htm-preact-3.1.1.js";
import { useChange } from "../static/change.js";
import { ask, call, connect, notify, read } from "./host.js";
import { Card, Said } from "./cards.js";

const view = JSON.parse(document.getElementById("view").textContent);
const AT_MOST = 20; // Changes that the model is told of; each report takes the place of the one before.

const itemsOf = (value) =>
  (Array.isArray(value[view.items]) ? value[view.items] : []).filter((item) => item !== null && typeof item === "object");

function Page({ start }) {
  const [given, setGiven] = useState({});
  const [host, setHost] = useState(null);
  const [ended, setEnded] = useState(null);
  const [shown, setShown] = useState(null);
  const [said, setSaid] = useState("");
  const heading = useRef(null);
  const changes = useRef([]);
  const show = (result) => {
    setEnded(null);
    try {
      const value = read(result);
      setShown({ items: itemsOf(value), cursor: value.next_cursor ?? null, value });
    } catch (error) {
      setEnded(error);
    }
  };
  useEffect(() => {
    const cancelled = ({ reason }) => setEnded(new Error(reason ? `The call was stopped: ${reason}` : "The call was stopped."));
    start({ input: setGiven, result: show, cancelled, context: dress }).then(
      (found) => {
        dress(found.hostContext ?? {});
        setHost(found);
      },
      setEnded,
    );
  }, []);
  const again = useChange(async () => {
    const value = await call(view.tool, given);
    setEnded(null);
    setShown({ items: itemsOf(value), cursor: value.next_cursor ?? null, value });
  });
  const more = useChange(async () => {
    const value = await call(view.tool, { ...given, next_cursor: shown.cursor });
    const known = new Set(shown.items.map((item) => item[view.card.id]));
    const fresh = itemsOf(value).filter((item) => !known.has(item[view.card.id]));
    setShown({ ...shown, items: [...shown.items, ...fresh], cursor: value.next_cursor ?? null });
  });
  const through = Boolean(host?.hostCapabilities?.serverTools);
  const can = { edit: through && view.edit, delete: through && view.delete, history: through && view.history };
  const report = (done) => {
    setSaid(done);
    changes.current = [...changes.current, done].slice(-AT_MOST);
    if (!host?.hostCapabilities?.updateModelContext) return;
    const text = `In the list that is shown, the person changed something: ${changes.current.join(" ")}`;
    ask("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
  };
  const edited = (id, text) => {
    const changed = (item) => (item[view.card.id] === id ? { ...item, [view.card.text]: text } : item);
    setShown((before) => ({ ...before, items: before.items.map(changed) }));
    report(`Saved the ${view.singular} ${id}.`);
  };
  const deleted = (id) => {
    setShown((before) => ({ ...before, items: before.items.filter((item) => item[view.card.id] !== id) }));
    report(`Deleted the ${view.singular} ${id}.`);
    heading.current.focus();
  };
  const left = Object.keys(shown?.value?._postern?.truncated ?? {}).length > 0;
  return html`
    <header class="head">
      <h1 tabindex="-1" ref=${heading}>${view.title}</h1>
      ${through && (shown || ended) && html`<button type="button" disabled=${again.busy} onClick=${() => again.run()}>${again.busy ? "Loading…" : "Look again"}</button>`}
    </header>
    <p class="dim" role="status">${said || (shown ? counted(shown) : "")}</p>
    ${ended && html`<${Said} error=${ended} />`}
    ${again.error && html`<${Said} error=${again.error} />`}
    ${!shown && !ended && html`<p class="waiting">Waiting for the answer…</p>`}
    ${shown && !shown.items.length && html`<p class="empty">There is nothing to show.</p>`}
    ${shown && shown.items.length > 0 && html`<ul class="cards-list">
      ${shown.items.map(
        (item, index) => html`<${Card} key=${String(item[view.card.id] ?? index)} view=${view} item=${item} can=${can} onEdited=${edited} onDeleted=${deleted} />`,
      )}
    </ul>`}
    ${more.error && html`<${Said} error=${more.error} />`}
    ${through && shown?.cursor && html`<p><button type="button" disabled=${more.busy} onClick=${() => more.run()}>${more.busy ? "Loading…" : "More"}</button></p>`}
    ${left && html`<p class="dim">The answer was too long to be shown whole; a part of it was left out.</p>`}
  `;
}

function counted({ items, value }) {
  const total = value.total_count;
  return Number.isInteger(total) && total > items.length ? `${items.length} of ${total}` : `${items.length} shown`;
}

/** Take on what the host says of its looks. */
function dress({ theme, styles, locale }) {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.style.colorScheme = theme;
  if (locale) root.lang = locale;
  const given = styles?.variables ?? {};
  // Colours come as a set: one of the host's on one of ours may be unreadable.
  if (given["--color-background-primary"] && given["--color-text-primary"]) root.classList.add("hosted");
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("--") && typeof value === "string") root.style.setProperty(name, value);
  }
}

document.title = view.title;
render(html`<${Page} start=${connect} />`, document.getElementById("page"));

let told = 0;
new ResizeObserver(() => {
  const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
  if (height === told) return;
  told = height;
  notify("ui/notifications/size-changed", { height });
}).observe(document.documentElement);
