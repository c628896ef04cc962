// Make an MCP server: a preset or a choice of one's own, the live list of its tools, and then its URL, once.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { ConfigFields, Preview, formOf, readForm } from "../config_form.js";
import { useChange } from "../change.js";
import { Answer, Failure, useAsked } from "../loading.js";
import { ChoiceField, Copy, Head, Secret, TextField } from "../parts.js";
import { go, link } from "../router.js";
import { readLabels } from "../labels.js";
import { ask, askAll, may, path } from "../session.js";
import { Minted } from "./minted.js";

const LIVES = [
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
  ["", "until it is revoked"],
];

/** Presets: [label, what it is for, the form's values, seconds to live]. `pinned` asks for one id of the integration. */
const PRESETS = [
  ["Read only", "for looking around", () => ({ methods: ["read"] }), "604800"],
  ["One person", "everything of one user and of nobody else", (one) => ({ pins: { [one.pinnable[0]]: "me" } }), "2592000"],
  ["CI, 15 minutes", "a test run", () => ({}), "900"],
  ["Everything", "every tool, until it is revoked", () => ({}), ""],
];

export function CreateServer({ query }) {
  const asked = useAsked(async (signal) => {
    const { result } = await askAll("/integrated-account", { signal });
    return { result };
  }, []);
  return html`<${Answer}
    asked=${asked}
    empty=${html`<${Head} title="New MCP server" />
      <p>Connect an account first: an MCP server shows the tools of one account.</p>
      ${may("connectAccount") && html`<p><a class="button" href=${link(["accounts"], { connect: "" })}>Connect an account</a></p>`}`}
  >
    ${({ result }) => html`<${ForAccount} accounts=${result} query=${query} />`}
  <//>`;
}

function ForAccount({ accounts, query }) {
  const account = accounts.find((one) => one.id === query.account) ?? accounts[0];
  const asked = useAsked((signal) => ask("GET", path`/integration/${account.integration}`, { signal }), [account.integration]);
  return html`<${Answer} asked=${asked}>
    ${(integration) => html`<${Form} key=${account.id} account=${account} accounts=${accounts} integration=${integration} />`}
  <//>`;
}

function Form({ account, accounts, integration }) {
  const [minted, setMinted] = useState(null);
  const [name, setName] = useState("");
  const [labels, setLabels] = useState("");
  const [count, setCount] = useState("1");
  const [many, setMany] = useState(null);
  const [life, setLife] = useState("604800");
  const [form, setForm] = useState(formOf());
  const { config, problem } = readForm(form, integration);
  const change = useChange(async () => {
    const body = { config };
    if (name.trim()) body.name = name.trim();
    if (labels.trim()) body.labels = readLabels(labels);
    if (life) body.expires_at = new Date(Date.now() + Number(life) * 1000).toISOString();
    if (Number(count) > 1) await makeMany(account.id, { ...body, count: Number(count) }, setMany);
    else setMinted(await ask("POST", path`/integrated-account/${account.id}/mcp`, { body }));
  });
  if (minted) return html`<${Minted} server=${minted} />`;
  if (many && !change.busy && !change.error) return html`<${ManyMinted} servers=${many} />`;
  const submit = (event) => {
    event.preventDefault();
    if (config) change.run();
  };
  return html`
    <${Head} title="New MCP server" />
    <div class="presets" role="group" aria-label="Presets">
      ${PRESETS.filter(([label]) => label !== "One person" || integration.pinnable.length > 0).map(
        ([label, use, values, seconds]) =>
          html`<button key=${label} type="button" onClick=${() => {
            setForm({ ...formOf(), ...values(integration) });
            setLife(seconds);
          }}><strong>${label}</strong><span>${use}</span></button>`,
      )}
    </div>
    <div class="split">
      <form class="panel" onSubmit=${submit} aria-label="The server">
        ${accounts.length > 1 &&
        html`<${ChoiceField} label="Account" value=${account.id} onValue=${(id) => go(["create"], { account: id })}
          choices=${accounts.map((one) => [one.id, `${one.name} (${one.integration})`])} />`}
        <${TextField} label="Name (optional)" value=${name} onValue=${setName} maxlength="200" placeholder="support agent"
          required=${Number(count) > 1} help=${Number(count) > 1 ? "Their names are this with -1, -2 and so on." : "Without a name, the id of the server is its name."} />
        <${ChoiceField} label="Works for" value=${life} onValue=${setLife} choices=${LIVES} />
        <${ConfigFields} form=${form} onForm=${setForm} integration=${integration} />
        <${TextField} label="How many" type="number" min="1" max="1000" required value=${count} onValue=${setCount} />
        <${TextField} label="Labels (optional)" value=${labels} onValue=${setLabels} placeholder="team=support, env=test" />
        ${change.error && html`<${Failure} error=${change.error} />`}
        <button type="submit" class="primary wide" disabled=${!config || change.busy}>
          ${change.busy ? (many ? `${many.length} of ${count}…` : "Making…") : Number(count) > 1 ? `Make ${count} MCP servers` : "Make the MCP server"}
        </button>
      </form>
      <${Preview} accountId=${account.id} config=${config} problem=${problem} />
    </div>
  `;
}

/** Make numbered servers, request after request. Those that a name has already are kept, so that a repeat continues. */
async function makeMany(accountId, body, report) {
  const made = [];
  let number = 1;
  do {
    const answer = await ask("POST", path`/integrated-account/${accountId}/mcp/bulk-create`, {
      body: { ...body, from_number: number },
    });
    made.push(...answer.result);
    report([...made]);
    number = answer.next_number;
  } while (number !== null);
}

/** The URLs of many new servers, shown once. */
function ManyMinted({ servers }) {
  const fresh = servers.filter((one) => one.url);
  const lines = fresh.map((one) => `${one.name}\t${one.url}\n`).join("");
  return html`<${Head} title=${`${fresh.length} MCP servers are ready`} />
    <section class="panel">
      <p class="notice warn" role="status">Copy the URLs now: they are secrets and are not shown again.</p>
      ${servers.length > fresh.length && html`<p>${servers.length - fresh.length} existed already and were kept; rotate one if its URL is lost.</p>`}
      <p><${Copy} text=${lines} label="Copy all, one a line" /></p>
      ${fresh.map((one) => html`<${Secret} key=${one.id} label=${one.name} text=${one.url} />`)}
      <p class="row end"><a class="button" href=${link(["servers"])}>All MCP servers</a></p>
    </section>`;
}
