// A call that waits for a person: what it would do, and the button that lets it happen once.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { Head, Json, TextField, When } from "../parts.js";
import { go } from "../router.js";
import { ask, path } from "../session.js";

export function Approve({ serverId, code }) {
  return html`
    <${Head} title="Approve a call" />
    ${serverId && code ? html`<${Waiting} serverId=${serverId} code=${code} />` : html`<${Find} serverId=${serverId} />`}
  `;
}

/** For a link that was not at hand: the server and the code of the refusal. */
function Find({ serverId }) {
  const [server, setServer] = useState(serverId);
  const [code, setCode] = useState("");
  const submit = (event) => {
    event.preventDefault();
    go(["approve", server.trim(), code.trim()]);
  };
  return html`<form onSubmit=${submit}>
    <${TextField} label="Server" value=${server} onValue=${setServer} help="Its id or its name." required />
    <${TextField} label="Code" value=${code} onValue=${setCode} help="The refusal of the call shows it." required />
    <button type="submit" class="primary" disabled=${!server.trim() || !code.trim()}>Show the call</button>
  </form>`;
}

function Waiting({ serverId, code }) {
  const asked = useAsked(
    (signal) => ask("POST", path`/integrated-account/-/mcp/${serverId}/approval`, { body: { code }, signal }),
    [serverId, code],
  );
  const change = useChange(async () => {
    await ask("POST", path`/integrated-account/-/mcp/${serverId}/approval/approve`, { body: { code } });
    asked.again();
  });
  return html`<${Answer} asked=${asked}>
    ${(call) => html`
      <section class="panel">
        <h2>${call.title}</h2>
        <dl>
          <dt>Server</dt><dd>${call.server}</dd>
          <dt>Tool</dt><dd><code>${call.tool}</code></dd>
          <dt>Would touch</dt><dd>${call.touches || "not known"}</dd>
          <dt>Possible until</dt><dd><${When} at=${call.expires_at} /></dd>
        </dl>
        <h3>Arguments</h3>
        <pre class="code json" tabindex="0">${call.arguments}</pre>
        ${[...call.arguments].length < call.arguments_chars &&
        html`<p class="notice">These are the first ${[...call.arguments].length.toLocaleString()} of${" "}
          ${call.arguments_chars.toLocaleString()} characters. Your approval covers all of them.</p>`}
        ${call.shown !== null && html`<h3>What is there now</h3><${Json} value=${call.shown} />`}
        ${change.error && html`<${Failure} error=${change.error} />`}
        ${call.approved_by
          ? html`<p class="notice" role="status">Approved. The client can now make this call, once.</p>`
          : html`<p class="row">
              <button type="button" class="danger" onClick=${() => change.run()} disabled=${change.busy}>
                ${change.busy ? "Approving…" : "Approve this call"}
              </button>
              <span class="dim">Close the page to leave it refused.</span>
            </p>`}
      </section>
    `}
  <//>`;
}
