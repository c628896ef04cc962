// Who is signed in, and every request to the management API.
// The API token is in a variable of this module: it is gone when the tab is closed, and nothing stores it.

const ROOT = new URL("..", import.meta.url);

let token = "";
let me = null;
let ended = "";
const watching = new Set();

/** An error of the management API. `status` 0: the request did not reach it. */
export class ApiError extends Error {
  constructor(status, message, { details = null, retryAfter = null, body = null } = {}) {
    super(message);
    this.status = status;
    this.details = details;
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

/** Calls `changed` when somebody signs in or out. Returns the function that ends it. */
export function watch(changed) {
  watching.add(changed);
  return () => watching.delete(changed);
}

export const whoami = () => me;
export const whyEnded = () => ended;

/** True when the API token of this tab may do the operation. */
export const may = (operation) => me !== null && me.operations.includes(operation);

/** Where a signed-in program reaches the API, without a slash at the end. */
export const address = () => ROOT.href.replace(/\/$/, "");

function announce() {
  for (const changed of watching) changed();
}

/** Sign in with an API token. Throws ApiError, after which nobody is signed in. */
export async function signIn(given) {
  token = given.trim();
  try {
    me = await ask("GET", "/me");
  } catch (error) {
    token = "";
    me = null;
    throw error;
  }
  ended = "";
  announce();
}

/** Sign in with the code of a link. Throws ApiError. */
export async function signInWithCode(code) {
  const session = await ask("POST", "/console/sign-in", { body: { code } });
  await signIn(session.token);
}

/** Forget the API token of this tab. `reason` is shown on the sign-in screen. */
export function signOut(reason = "") {
  token = "";
  me = null;
  ended = reason;
  announce();
}

function url(path, query) {
  const target = new URL(`.${path}`, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) target.searchParams.append(name, String(value));
  }
  return target;
}

async function send(verb, path, { body, query = {}, signal, headers = {} } = {}) {
  const options = { method: verb, headers: { ...headers }, signal, cache: "no-store", credentials: "omit" };
  if (token) options.headers.authorization = `Bearer ${token}`;
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(url(path, query), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The endpoint cannot be reached. Check that it runs, then try again.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // Something between this page and the API answered, e.g. a proxy with a page of its own.
  }
  const message = body?.message ?? `The endpoint returned the status ${answer.status}.`;
  const retryAfter = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  const error = new ApiError(answer.status, message, {
    details: body?.details ?? null,
    retryAfter: Number.isNaN(retryAfter) ? null : retryAfter,
    body,
  });
  if (answer.status === 401 && me !== null && body?.is_remote_error !== true) {
    signOut("Your session has ended: the API token was revoked or has expired.");
  }
  return error;
}

/** The body of an answer. Throws ApiError. */
export async function ask(verb, path, options) {
  return (await send(verb, path, options)).json();
}

/** Status, headers and body of an answer. Throws ApiError. */
export async function askWhole(verb, path, options) {
  const answer = await send(verb, path, options);
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

/** The answer as a file. Throws ApiError. */
export async function askFile(path, query) {
  const answer = await send("GET", path, { query });
  return { blob: await answer.blob(), next: answer.headers.get("next-cursor") };
}

/** Every entry of a listing, page after page, at most `most`. Throws ApiError. */
export async function askAll(path, { query = {}, most = 2000, signal } = {}) {
  const found = [];
  let cursor = null;
  do {
    const page = await ask("GET", path, { query: { ...query, limit: 100, next_cursor: cursor }, signal });
    found.push(...page.result);
    cursor = page.next_cursor;
  } while (cursor !== null && found.length < most);
  return { result: found, more: cursor !== null };
}

/** A path whose ids may hold any character. */
export const path = (strings, ...values) =>
  strings.reduce((joined, part, index) => joined + encodeURIComponent(values[index - 1]) + part);
