// Integrations: what can be connected, and what its servers can select and pin.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { Answer, useAsked } from "../loading.js";
import { Head } from "../parts.js";
import { link } from "../router.js";
import { ask, may } from "../session.js";

export function Integrations() {
  const asked = useAsked((signal) => ask("GET", "/integration", { signal }), []);
  return html`
    <${Head} title="Integrations" />
    <${Answer} asked=${asked} empty=${html`<p>This deployment has no integration.</p>`}>
      ${({ result }) => html`<div class="cards">${result.map(
        (one) => html`<section key=${one.name} class="panel">
          <h2>${one.label}</h2>
          <dl class="facts">
            <dt>Tools</dt><dd>${one.tool_count}</dd>
            <dt>Address</dt><dd><code>${one.base_url}</code></dd>
            <dt>Credential</dt><dd>${one.credentials.map((field) => field.name).join(", ") || "none"}</dd>
            <dt>Verified</dt><dd>${one.verifies_credentials ? "before it is saved" : "not: the API has no request for it"}</dd>
            <dt>Can be pinned</dt><dd>${one.pinnable.join(", ") || "nothing"}</dd>
            <dt>Tags</dt><dd>${one.tags.join(", ")}</dd>
          </dl>
          ${may("connectAccount") && html`<a class="button" href=${link(["accounts"], { connect: one.name })}>Connect an account</a>`}
        </section>`,
      )}</div>`}
    <//>
  `;
}
