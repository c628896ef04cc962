// Running a tool of an account through the proxy, which checks and logs it like a call of an agent.

import { askWhole, path } from "./session.js";

const RATE_LIMIT = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

/** Run a tool: {status, body, seconds, limits}. `tool` is an entry of the list of tools. Throws ApiError. */
export async function runTool(accountId, tool, given, { signal } = {}) {
  const started = performance.now();
  const answer = await askWhole("POST", path`/proxy/${tool.resource}/${tool.method}`, {
    query: { integrated_account_id: accountId },
    body: given,
    signal,
  });
  const limits = Object.fromEntries(
    RATE_LIMIT.filter((name) => answer.headers.has(name)).map((name) => [name, answer.headers.get(name)]),
  );
  return { status: answer.status, body: answer.body, seconds: (performance.now() - started) / 1000, limits };
}
