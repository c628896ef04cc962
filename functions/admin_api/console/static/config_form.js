// What a server shows and forces, as a form; used to make a server and to change one.

import { html, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { AreaField, Check, ChoiceField, Chips, Mark, TextField } from "./parts.js";
import { Failure, useAsked } from "./loading.js";
import { ask, path } from "./session.js";

const ACCESS = ["read", "write", "custom"];

/** In the config's `confirm`, the entry that stands for every tool that can remove or overwrite data. */
const DESTRUCTIVE = "destructive";

/** The values of the form for a config of the API, or for no config. */
export function formOf(config = {}) {
  return {
    methods: config.methods ?? [],
    tags: config.tags ?? [],
    profile: config.profile ?? "full",
    pins: { ...config.pins },
    fixed: Object.keys(config.fixed ?? {}).length ? JSON.stringify(config.fixed, null, 2) : "",
    defaults: Object.keys(config.defaults ?? {}).length ? JSON.stringify(config.defaults, null, 2) : "",
    apiToken: config.require_api_token_auth ?? false,
    confirm: config.confirm ?? [],
    byPerson: config.confirm_by === "person",
    perMinute: config.rate_limit ? String(config.rate_limit.calls_per_minute) : "",
  };
}

/** A JSON object that a person wrote; {} for no text. Throws SyntaxError with words for a person. */
function readObject(text, name) {
  if (!text.trim()) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`${name} is not JSON: ${error.message}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new SyntaxError(`${name} must be an object, e.g. {"TOOL": {"ARGUMENT": "VALUE"}}`);
  }
  return value;
}

/** {config, problem}: the config of the API for the values of the form, or what is wrong with them. */
export function readForm(form, integration) {
  try {
    return { config: configOf(form, integration), problem: "" };
  } catch (error) {
    return { config: null, problem: error.message };
  }
}

/** Throws SyntaxError with words for a person. */
function configOf(form, { profiles }) {
  const config = {
    methods: form.methods,
    tags: form.tags,
    require_api_token_auth: form.apiToken,
    pins: Object.fromEntries(Object.entries(form.pins).filter(([, value]) => value !== "")),
    fixed: readObject(form.fixed, "Fixed arguments"),
    defaults: readObject(form.defaults, "Default arguments"),
    confirm: form.confirm,
    confirm_by: form.confirm.length && form.byPerson ? "person" : "code",
    rate_limit: form.perMinute ? { calls_per_minute: Number(form.perMinute) } : null,
  };
  if (profiles) config.profile = form.profile;
  return config;
}

/** The fields. `integration` describes what can be chosen. */
export function ConfigFields({ form, onForm, integration }) {
  const set = (values) => onForm({ ...form, ...values });
  const words = (chosen) => [...new Set([...chosen, ...integration.methods])].filter((one) => !ACCESS.includes(one));
  return html`
    <${Chips} legend="Access" help="None chosen means every kind." words=${ACCESS}
      chosen=${form.methods} onChosen=${(methods) => set({ methods })} />
    <details open=${form.methods.some((one) => !ACCESS.includes(one))}>
      <summary>Single methods</summary>
      <${Chips} legend="Methods" help="Each adds the tools of this method." words=${words(form.methods)}
        chosen=${form.methods} onChosen=${(methods) => set({ methods })} />
    </details>
    <${Chips} legend="Tags" help="A tool must have one of these tags. None chosen means all." words=${integration.tags}
      chosen=${form.tags} onChosen=${(tags) => set({ tags })} />
    ${integration.profiles &&
    html`<${ChoiceField} label="Profile" value=${form.profile} onValue=${(profile) => set({ profile })}
      choices=${integration.profiles.map((one) => [one, PROFILES[one] ?? one])} />`}
    ${integration.pinnable.length > 0 &&
    html`<fieldset><legend>Pins</legend>
      <p class="help">An id that is forced on every call, so that the client sees and changes nothing else.</p>
      <div class="columns">${integration.pinnable.map(
        (name) => html`<${TextField} key=${name} label=${name} value=${form.pins[name] ?? ""}
          onValue=${(value) => set({ pins: { ...form.pins, [name]: value } })} />`,
      )}</div>
    </fieldset>`}
    <${Check} label="Calls also need an API token" note="with the scope connect; not for clients that cannot send a header"
      checked=${form.apiToken} onChecked=${(apiToken) => set({ apiToken })} />
    <${Check} label="Destructive calls need a confirmation" note="the call is refused with a code, and its repeat with the code is made"
      checked=${form.confirm.includes(DESTRUCTIVE)}
      onChecked=${(on) => set({ confirm: [...form.confirm.filter((one) => one !== DESTRUCTIVE), ...(on ? [DESTRUCTIVE] : [])] })} />
    ${form.confirm.length > 0 &&
    html`<${Check} label="A person must approve them" note="in this console, at the link of the refusal"
      checked=${form.byPerson} onChecked=${(byPerson) => set({ byPerson })} />`}
    <details open=${Boolean(form.fixed || form.defaults || form.perMinute)}>
      <summary>Fixed arguments, defaults and a limit</summary>
      <${AreaField} label="Fixed arguments (JSON)" help='Sent on every call and hidden from the model: {"TOOL or *": {"ARGUMENT": VALUE}}.'
        value=${form.fixed} onValue=${(fixed) => set({ fixed })} />
      <${AreaField} label="Default arguments (JSON)" help="Sent where the model gives no value; the same form."
        value=${form.defaults} onValue=${(defaults) => set({ defaults })} />
      <${TextField} label="Calls per minute" type="number" min="1" value=${form.perMinute}
        help="Without a number, the limit of the deployment holds." onValue=${(perMinute) => set({ perMinute })} />
    </details>
  `;
}

const PROFILES = {
  core: "core: the tools that most work needs",
  full: "full: every selected tool",
  discovery: "discovery: three tools that find and run the others",
};

/** `value`, once it has stayed the same for a moment: a person who types asks once. */
function useSettled(value) {
  const text = JSON.stringify(value);
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 250);
    return () => clearTimeout(timer);
  }, [text]);
  return JSON.parse(settled);
}

/** The tools that a config would show, asked as the person changes it. `children` see the preview, e.g. a difference. */
export function Preview({ accountId, config, problem, children }) {
  const settled = useSettled(config);
  const asked = useAsked(
    (signal) =>
      settled === null
        ? Promise.resolve(null)
        : ask("POST", path`/integrated-account/${accountId}/mcp/preview`, { body: { config: settled }, signal }),
    [accountId, JSON.stringify(settled)],
  );
  return html`<section class="panel preview" aria-label="Tools of this server" tabindex="0" aria-busy=${asked.state === "loading"}>
    ${problem && html`<div class="notice bad" role="alert"><p>${problem}</p></div>`}
    ${asked.state === "failed" && html`<${Failure} error=${asked.error} again=${asked.again} />`}
    ${asked.value !== null && asked.state !== "failed" && html`<${Shown} preview=${asked.value} />${children?.(asked.value)}`}
    ${asked.value === null && asked.state === "loading" && html`<p role="status">Loading…</p>`}
  </section>`;
}

function Shown({ preview }) {
  const { tools } = preview;
  const writes = tools.filter((one) => one.access === "write").length;
  const destructive = tools.filter((one) => one.destructive).length;
  return html`
    <h2 aria-live="polite">${tools.length} tools</h2>
    <p class="row">
      ${preview.tokens !== undefined && html`<${Mark}>${preview.tokens.toLocaleString()} tokens<//>`}
      <${Mark} kind=${writes ? "warn" : "good"}>${writes} write<//>
      <${Mark} kind=${destructive ? "bad" : "good"}>${destructive} destructive<//>
    </p>
    <${ToolList} tools=${tools} />
  `;
}

/** Tools in a list, writes and destructive ones marked. `mark(tool)` may add a mark of its own. */
export const ToolList = ({ tools, mark = () => null }) =>
  html`<ul class="tools">
    ${tools.map(
      (tool) => html`<li key=${tool.name}>
        <code>${tool.name}</code> <span class="dim">${tool.title}</span>
        ${tool.destructive ? html`<${Mark} kind="bad">destructive<//>` : tool.access === "write" && html`<${Mark} kind="warn">write<//>`}
        ${tool.tokens !== undefined && html`<span class="dim">${tool.tokens}</span>`}
        ${mark(tool)}
      </li>`,
    )}
  </ul>`;
