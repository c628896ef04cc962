// The URL of a new server, shown once, with what to paste into each client.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Answer, useAsked } from "../loading.js";
import { Copy, Head, Secret, Tabs, When } from "../parts.js";
import { link } from "../router.js";
import { ask } from "../session.js";

const TITLES = {
  "claude-desktop": "Claude Desktop",
  "claude-code": "Claude Code",
  cursor: "Cursor",
  vscode: "VS Code",
  windsurf: "Windsurf",
  cline: "Cline",
  continue: "Continue",
  codex: "Codex",
  zed: "Zed",
  chatgpt: "ChatGPT",
  inspector: "Inspector",
  "mcp-remote": "mcp-remote",
  langchain: "LangChain",
  "openai-agents": "OpenAI Agents",
};

/** `server` is the answer to a mint or a rotation. */
export function Minted({ server }) {
  const [client, setClient] = useState("claude-code");
  const needsToken = server.config?.require_api_token_auth;
  const asked = useAsked(
    (signal) =>
      ask("POST", "/snippet", {
        body: { url: server.url, name: "postern", ...(needsToken ? { api_token_env: "POSTERN_SECOND_API_TOKEN" } : {}) },
        signal,
      }),
    [server.url],
  );
  return html`
    <${Head} title=${`${server.name} is ready`} />
    <section class="panel">
      <p class="notice warn" role="status">Copy the URL now: it is a secret and is not shown again.</p>
      <${Secret} label="MCP URL" text=${server.url} />
      <p>
        ${server.expires_at ? html`It stops working at <${When} at=${server.expires_at} />.` : "It works until it is revoked."}
        ${server.previous_token_expires_at && html` The previous URL works until <${When} at=${server.previous_token_expires_at} />.`}
      </p>
      <${Answer} asked=${asked}>
        ${({ result }) => html`
          <${Tabs} label="Clients" tabs=${result.map((one) => [one.client, TITLES[one.client] ?? one.client])}
            chosen=${client} onChosen=${setClient} />
          <${SnippetShown} snippet=${result.find((one) => one.client === client) ?? result[0]} />`}
      <//>
      <p class="row end">
        <a class="button" href=${link(["servers", server.integrated_account_id, server.id])}>The server</a>
        <a class="button" href=${link(["servers"])}>All MCP servers</a>
      </p>
    </section>
  `;
}

const SnippetShown = ({ snippet }) => html`<div role="tabpanel" aria-label=${TITLES[snippet.client] ?? snippet.client}>
  <p class="dim">For ${snippet.where}</p>
  <pre class="code" tabindex="0">${snippet.text}</pre>
  <${Copy} text=${snippet.text} label="Copy this" />
  ${snippet.notes.length > 0 && html`<ul>${snippet.notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}
</div>`;
