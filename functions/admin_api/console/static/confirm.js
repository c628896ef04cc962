// Asking before something that cannot be taken back.

import { html, useState } from "./vendor/htm-preact-3.1.1.js";
import { Failure } from "./loading.js";
import { Dialog, TextField } from "./parts.js";

/** Ask before something that cannot be taken back. With `word`, the person types it first. */
export function Confirm({ title, word, action, change, onClose, children }) {
  const [typed, setTyped] = useState("");
  const ready = !word || typed === word;
  const confirm = (event) => {
    event.preventDefault();
    if (ready) change.run();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${confirm}>
      ${children}
      ${word &&
      html`<${TextField} label=${`Type ${word} to confirm`} value=${typed} onValue=${setTyped} />`}
      ${change.error && html`<${Failure} error=${change.error} />`}
      <div class="row end">
        <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
        <button type="submit" class="danger" disabled=${!ready || change.busy}>
          ${change.busy ? "Working…" : action}
        </button>
      </div>
    </form>
  <//>`;
}
