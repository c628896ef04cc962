// The console: sign-in, the menu, and which screen is at which place.

import { html, render, useEffect, useRef, useState } from "./vendor/htm-preact-3.1.1.js";
import { About } from "./screens/about.js";
import { Account } from "./screens/account.js";
import { Accounts } from "./screens/accounts.js";
import { Approve } from "./screens/approve.js";
import { ApiTokens } from "./screens/api_tokens.js";
import { CreateServer } from "./screens/create_server.js";
import { Integrations } from "./screens/integrations.js";
import { Log } from "./screens/log.js";
import { Server } from "./screens/server.js";
import { Servers } from "./screens/servers.js";
import { SignIn } from "./screens/sign_in.js";
import { TryTool } from "./screens/try_tool.js";
import { Memory } from "./memory/memory.js";
import { link, usePlace } from "./router.js";
import { may, signOut, watch, whoami } from "./session.js";

const MENU = [
  ["servers", "MCP servers", "listServers"],
  ["accounts", "Accounts", "listAccounts"],
  ["memory", "Memory", "postProxy"],
  ["try", "Try a tool", "listTools"],
  ["log", "Log", "listCalls"],
  ["api-tokens", "API tokens", "listApiTokens"],
  ["integrations", "Integrations", "listIntegrations"],
  ["about", "About", "getMe"],
];

function screen({ parts: [name = first(), ...rest], query }) {
  switch (name) {
    case "accounts":
      return rest.length ? html`<${Account} key=${rest[0]} id=${rest[0]} />` : html`<${Accounts} query=${query} />`;
    case "servers":
      return rest.length === 2
        ? html`<${Server} key=${rest.join()} accountId=${rest[0]} serverId=${rest[1]} />`
        : html`<${Servers} query=${query} />`;
    case "create":
      return html`<${CreateServer} query=${query} />`;
    case "memory":
      return html`<${Memory} query=${query} />`;
    case "approve":
      return html`<${Approve} key=${rest.join()} serverId=${rest[0] ?? ""} code=${rest[1] ?? ""} />`;
    case "try":
      return html`<${TryTool} query=${query} />`;
    case "log":
      return html`<${Log} query=${query} />`;
    case "api-tokens":
      return html`<${ApiTokens} />`;
    case "integrations":
      return html`<${Integrations} />`;
    case "about":
      return html`<${About} />`;
    default:
      return html`<h1>There is no such screen</h1>
        <p><a href=${link(["servers"])}>Go to the MCP servers</a></p>`;
  }
}

/** The first screen that this person's API token may open. */
const first = () => MENU.find(([, , operation]) => may(operation))[0];

function Menu({ at }) {
  const [open, setOpen] = useState(false);
  const me = whoami();
  return html`<header class="bar">
    <a class="brand" href="#/">Postern</a>
    <button type="button" class="menu-button" aria-expanded=${open ? "true" : "false"} aria-controls="menu"
      onClick=${() => setOpen(!open)}>Menu</button>
    <nav id="menu" class=${open ? "open" : ""} aria-label="Screens" onClick=${() => setOpen(false)}>
      ${MENU.filter(([, , operation]) => may(operation)).map(
        ([name, label]) =>
          html`<a key=${name} href=${link([name])} aria-current=${name === at ? "page" : undefined}>${label}</a>`,
      )}
    </nav>
    <div class="who">
      <span title=${me.id}>${me.name}</span>
      <button type="button" class="quiet" onClick=${() => signOut()}>Sign out</button>
    </div>
  </header>`;
}

function Console() {
  const [, again] = useState(0);
  const place = usePlace();
  const main = useRef(null);
  useEffect(() => watch(() => again((round) => round + 1)), []);
  const at = place.parts[0] ?? (whoami() ? first() : "");
  useEffect(() => {
    // A screen reader starts to read at the title of the new screen, as it does on a new page.
    main.current?.querySelector("h1")?.focus({ preventScroll: true });
  }, [place.parts.join("/")]);
  if (!whoami()) return html`<${SignIn} />`;
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      main.current.focus();
    }}>Skip to the content</a>
    <${Menu} at=${at === "create" ? "servers" : at} />
    <main id="main" ref=${main} tabindex="-1" key=${at}>${screen(place)}</main>
  `;
}

render(html`<${Console} />`, document.getElementById("console"));
