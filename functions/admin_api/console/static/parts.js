// Controls that several screens use.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";

let counted = 0;
/** An id that no other element has. */
export function useId() {
  const id = useRef("");
  if (!id.current) id.current = `f${(counted += 1)}`;
  return id.current;
}

/** A labelled control. `children` is a function of the attributes that join it to its label, help and problem. */
export function Field({ label, help, problem, children }) {
  const id = useId();
  const described = [help && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(" ");
  const joined = { id, "aria-describedby": described || undefined, "aria-invalid": problem ? "true" : undefined };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children(joined)}
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${problem && html`<p class="problem" id=${`${id}-problem`} role="alert">${problem}</p>`}
  </div>`;
}

/** A field for one line of text. */
export function TextField({ label, help, problem, value, onValue, type = "text", ...more }) {
  return html`<${Field} label=${label} help=${help} problem=${problem}>
    ${(joined) =>
      html`<input
        ...${joined}
        type=${type}
        value=${value}
        autocomplete="off"
        spellcheck="false"
        onInput=${(event) => onValue(event.currentTarget.value)}
        ...${more}
      />`}
  <//>`;
}

/** A field for several lines of text. */
export function AreaField({ label, help, problem, value, onValue, rows = 4, ...more }) {
  return html`<${Field} label=${label} help=${help} problem=${problem}>
    ${(joined) =>
      html`<textarea
        ...${joined}
        rows=${rows}
        spellcheck="false"
        value=${value}
        onInput=${(event) => onValue(event.currentTarget.value)}
        ...${more}
      ></textarea>`}
  <//>`;
}

/** A field with a list of choices: [[value, label], ...]. */
export function ChoiceField({ label, help, problem, value, onValue, choices, ...more }) {
  return html`<${Field} label=${label} help=${help} problem=${problem}>
    ${(joined) =>
      html`<select ...${joined} value=${value} onChange=${(event) => onValue(event.currentTarget.value)} ...${more}>
        ${choices.map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}
      </select>`}
  <//>`;
}

/** A box to tick. */
export function Check({ label, checked, onChecked, note, ...more }) {
  return html`<label class="check">
    <input
      type="checkbox"
      checked=${checked}
      onChange=${(event) => onChecked(event.currentTarget.checked)}
      ...${more}
    />
    <span>${label}${note && html` <small>${note}</small>`}</span>
  </label>`;
}

/** Words that can be chosen one by one, e.g. methods or tags. `chosen` is a list. */
export function Chips({ legend, words, chosen, onChosen, help }) {
  const toggle = (word) =>
    onChosen(chosen.includes(word) ? chosen.filter((one) => one !== word) : [...chosen, word]);
  return html`<fieldset class="chips">
    <legend>${legend}</legend>
    ${help && html`<p class="help">${help}</p>`}
    <div class="chip-row">
      ${words.map(
        (word) =>
          html`<button
            key=${word}
            type="button"
            class="chip"
            aria-pressed=${chosen.includes(word) ? "true" : "false"}
            onClick=${() => toggle(word)}
          >
            ${word}
          </button>`,
      )}
    </div>
  </fieldset>`;
}

/** A button that copies `text`, and says that it did. */
export function Copy({ text, label = "Copy" }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("The browser refused; select the text and copy it");
    }
  };
  return html`<span class="copy">
    <button type="button" onClick=${copy}>${label}</button>
    <span role="status">${said}</span>
  </span>`;
}

/** A secret that is shown once: the text, and a button that copies it. */
export function Secret({ label, text }) {
  const id = useId();
  return html`<div class="secret">
    <label for=${id}>${label}</label>
    <div class="secret-row">
      <input id=${id} class="code" readonly value=${text} onFocus=${(event) => event.currentTarget.select()} />
      <${Copy} text=${text} />
    </div>
  </div>`;
}

/** A dialog above the page. The browser's own element keeps the focus inside and closes on Escape. */
export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    element.current.showModal();
  }, []);
  return html`<dialog ref=${element} aria-labelledby=${id} onClose=${onClose} onCancel=${onClose}>
    <div class="dialog-head">
      <h2 id=${id}>${title}</h2>
      <button type="button" class="quiet" aria-label="Close" onClick=${() => element.current.close()}>✕</button>
    </div>
    ${children}
  </dialog>`;
}

/** Tabs: [[name, label], ...]. Arrow keys move between them. */
export function Tabs({ label, tabs, chosen, onChosen }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const names = tabs.map(([name]) => name);
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    onChosen(next);
    event.currentTarget.querySelector(`[data-tab="${CSS.escape(next)}"]`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
    ${tabs.map(
      ([name, text]) =>
        html`<button
          key=${name}
          type="button"
          role="tab"
          data-tab=${name}
          aria-selected=${name === chosen ? "true" : "false"}
          tabindex=${name === chosen ? 0 : -1}
          onClick=${() => onChosen(name)}
        >
          ${text}
        </button>`,
    )}
  </div>`;
}

/** A small mark, e.g. a status. `kind`: good, warn, bad, or none. */
export const Mark = ({ kind = "", children }) => html`<span class=${`mark ${kind}`}>${children}</span>`;

/** The head of a screen. */
export function Head({ title, children }) {
  useEffect(() => {
    document.title = `${title} · Postern console`;
  }, [title]);
  return html`<header class="head">
    <h1 tabindex="-1">${title}</h1>
    <div class="row">${children}</div>
  </header>`;
}

/** A moment as the person's own clock shows it, with the exact one as a tooltip; a day without a time as it is. */
export function When({ at, none = "never" }) {
  if (!at) return html`<span class="dim">${none}</span>`;
  const date = new Date(at);
  const known = !Number.isNaN(date.getTime()) && !/^\d{4}-\d\d-\d\d$/.test(at);
  return html`<time datetime=${at} title=${at}>
    ${known ? date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : String(at)}
  </time>`;
}

/** Offer `blob` to the person as a file. */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** JSON as a person reads it. */
export const Json = ({ value }) => html`<pre class="code json" tabindex="0">${JSON.stringify(value, null, 2)}</pre>`;
