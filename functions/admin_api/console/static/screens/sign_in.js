// Sign in: with the link that `postern console` opens, or with an API token.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { useChange } from "../change.js";
import { Failure } from "../loading.js";
import { TextField } from "../parts.js";
import { signIn, signInWithCode, whyEnded } from "../session.js";

const CODE = "#sign-in=";

/**
 * The code of the link in the address bar, which is taken away from there before anything else reads the address. What
 * follows the code is the screen to show: `#sign-in=CODE/servers/acc_1/srv_2`.
 */
function takeCode() {
  if (!location.hash.startsWith(CODE)) return "";
  const [code, ...place] = location.hash.slice(CODE.length).split("/");
  history.replaceState(null, "", location.pathname + location.search + (place.length ? `#/${place.join("/")}` : ""));
  return code;
}

let code = takeCode();

// A link that is opened where the console is open already changes the address without loading the page.
addEventListener("hashchange", () => {
  if (location.hash.startsWith(CODE)) location.reload();
});

export function SignIn() {
  const [token, setToken] = useState("");
  const withCode = useChange(signInWithCode);
  const withToken = useChange(signIn);
  useEffect(() => {
    document.title = "Sign in · Postern console";
    if (code) withCode.run(code);
    code = "";
  }, []);
  const submit = (event) => {
    event.preventDefault();
    if (token.trim()) withToken.run(token);
  };
  const error = withToken.error ?? withCode.error;
  return html`<main class="sign-in">
    <h1>Postern console</h1>
    ${whyEnded() && html`<p class="notice" role="status">${whyEnded()}</p>`}
    ${withCode.busy
      ? html`<p role="status">Signing in…</p>`
      : html`<form onSubmit=${submit}>
          <${TextField}
            label="API token"
            type="password"
            value=${token}
            onValue=${setToken}
            help="It begins with pst_. This tab keeps it until the tab is closed; nothing stores it."
            autofocus
            required
          />
          <button type="submit" class="primary" disabled=${withToken.busy || !token.trim()}>
            ${withToken.busy ? "Signing in…" : "Sign in"}
          </button>
        </form>`}
    ${error && html`<${Failure} error=${error} />`}
    <p class="dim">
      <code>postern console</code> opens this page signed in. <code>postern api-token create</code> makes an API token.
    </p>
  </main>`;
}
