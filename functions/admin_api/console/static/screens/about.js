// About: this deployment, and what the API token of this tab may do.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { Answer, useAsked } from "../loading.js";
import { Head, When } from "../parts.js";
import { address, ask } from "../session.js";

export function About() {
  const asked = useAsked(
    async (signal) => ({ me: await ask("GET", "/me", { signal }), api: await ask("GET", "/openapi.json", { signal }) }),
    [],
  );
  return html`
    <${Head} title="About" />
    <${Answer} asked=${asked}>
      ${({ me, api }) => html`
        <section class="panel"><h2>This endpoint</h2><dl class="facts">
          <dt>Address</dt><dd><code>${address()}</code></dd>
          <dt>API</dt><dd>${api.info.title}, version ${api.info.version}; <a href=${`${address()}/openapi.json`}>its OpenAPI document</a></dd>
        </dl></section>
        <section class="panel"><h2>You</h2><dl class="facts">
          <dt>API token</dt><dd>${me.name} <code>${me.id}</code></dd>
          <dt>Scopes</dt><dd>${me.scopes.join(", ")}</dd>
          <dt>Accounts</dt><dd>${me.account_ids.join(", ") || "all"}</dd>
          <dt>Ends</dt><dd><${When} at=${me.expires_at} /></dd>
          <dt>May</dt><dd>${me.operations.join(", ")}</dd>
        </dl></section>
        <section class="panel"><h2>This page</h2>
          <p>The console stores nothing in the browser. The API token is gone when this tab is closed. The page loads nothing from
          other hosts. It contains htm (Apache License 2.0) and Preact (MIT License).</p>
        </section>`}
    <//>
  `;
}
