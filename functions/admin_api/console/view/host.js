// The host around this page: JSON-RPC 2.0 over postMessage, as in MCP Apps of 2026-01-26. The page reaches nothing else.

const REVISION = "2026-01-26";

const waiting = new Map();
let last = 0;

/**
 * What the host or the server says instead of a result; the message is for a person. `confirmation`: the server carries
 * the call out when it is repeated with this, {argument, code, subject, link}.
 */
export class Refused extends Error {
  constructor(message, confirmation = null) {
    super(message);
    this.confirmation = confirmation;
  }
}

const post = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");

export const notify = (method, params = {}) => post({ method, params });

/** Ask the host. Throws Refused. */
export function ask(method, params = {}) {
  const id = (last += 1);
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    post({ id, method, params });
  });
}

/** Call a tool of the server through the host, and return what its result holds. Throws Refused. */
export const call = async (name, given) => read(await ask("tools/call", { name, arguments: given }));

/** What the result of a tool holds. Throws Refused, with the words of the server. */
export function read(result) {
  const text = (result?.content ?? []).find((block) => block?.type === "text")?.text ?? "";
  let value = result?.structuredContent;
  if (result?.isError || value === undefined) value = parsed(text);
  if (result?.isError) {
    const message = typeof value?.message === "string" ? value.message : text || "It did not work.";
    throw new Refused(message, result._meta?.["postern/confirmation"] ?? null);
  }
  if (value === null || typeof value !== "object") throw new Refused("The answer holds nothing that can be shown.");
  return value;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Shake hands. `on` has a function for each notification: input, result, cancelled, context. Returns what the host is. */
export async function connect(on) {
  const notified = {
    "ui/notifications/tool-input": ({ arguments: given }) => on.input(given ?? {}),
    "ui/notifications/tool-result": on.result,
    "ui/notifications/tool-cancelled": on.cancelled,
    "ui/notifications/host-context-changed": on.context,
  };
  window.addEventListener("message", ({ source, data }) => {
    if (source !== window.parent || data?.jsonrpc !== "2.0") return;
    if (data.method === undefined) settle(data);
    else if (data.id === undefined) notified[data.method]?.(data.params ?? {});
    else if (["ping", "ui/resource-teardown"].includes(data.method)) post({ id: data.id, result: {} });
    else post({ id: data.id, error: { code: -32601, message: `This page has no ${data.method}` } });
  });
  const host = await ask("ui/initialize", {
    appInfo: { name: "postern-view", version: "1.0.0" },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    protocolVersion: REVISION,
  });
  notify("ui/notifications/initialized");
  return host;
}

function settle({ id, result, error }) {
  const asked = waiting.get(id);
  if (!asked) return;
  waiting.delete(id);
  if (error) asked.reject(new Refused(String(error.message ?? "The host refused.")));
  else asked.resolve(result);
}
