// What a screen shows while it waits for the API, when there is nothing, and when the API refuses.

import { html, useCallback, useEffect, useState } from "./vendor/htm-preact-3.1.1.js";
import { ApiError } from "./session.js";

/**
 * Ask on the first show and whenever `inputs` change. A newer question ends the older one.
 * Returns {state: "loading" | "ready" | "failed", value, error, again}. `value` is kept while it is asked again.
 */
export function useAsked(load, inputs) {
  const [asked, setAsked] = useState({ state: "loading", value: null, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setAsked((before) => ({ ...before, state: "loading" }));
    load(abort.signal).then(
      (value) => abort.signal.aborted || setAsked({ state: "ready", value, error: null }),
      (error) => abort.signal.aborted || setAsked((before) => ({ ...before, state: "failed", error })),
    );
    return () => abort.abort();
  }, [...inputs, round]);
  return { ...asked, again: useCallback(() => setRound((number) => number + 1), []) };
}

/** Whole seconds that are left of `seconds`, counted down. */
function useCountdown(seconds) {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    setLeft(seconds);
    if (!seconds) return undefined;
    const timer = setInterval(() => setLeft((now) => Math.max(0, now - 1)), 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return left;
}

/** The words of an error, by its kind. `again` asks once more. */
export function Failure({ error, again }) {
  const left = useCountdown(error instanceof ApiError ? error.retryAfter : null);
  const [title, advice] = explained(error);
  return html`<div class="notice bad" role="alert">
    <p class="notice-title">${title}</p>
    <p>${error.message}</p>
    ${advice && html`<p>${advice}</p>`}
    ${again &&
    html`<p><button type="button" onClick=${again} disabled=${left > 0}>
      ${left > 0 ? `Try again in ${left} s` : "Try again"}
    </button></p>`}
  </div>`;
}

function explained(error) {
  switch (error instanceof ApiError ? error.status : -1) {
    case 0:
      return ["No connection", ""];
    case 401:
      return ["Signed out", "Sign in again to continue."];
    case 403:
      return ["Not allowed", "Ask for an API token with the scope that the message names."];
    case 404:
      return ["Not found", "It may have expired or been removed in the meantime."];
    case 409:
      return ["Changed elsewhere", "Reload to see the present state, then repeat your change."];
    case 429:
      return ["Too many requests", ""];
    case 502:
    case 504:
      return ["The upstream did not do it", ""];
    case 500:
    case 503:
      return ["The endpoint failed", "The log of the deployment names the cause."];
    default:
      return ["This did not work", ""];
  }
}

/** `children(value)` when there is a value; else the wait or the error. `empty` = what to show for an empty listing. */
export function Answer({ asked, empty, isEmpty = (value) => value?.result?.length === 0, children }) {
  if (asked.value === null) {
    if (asked.state === "failed") return html`<${Failure} error=${asked.error} again=${asked.again} />`;
    return html`<p class="waiting" role="status">Loading…</p>`;
  }
  return html`
    ${asked.state === "failed" && html`<${Failure} error=${asked.error} again=${asked.again} />`}
    ${empty && isEmpty(asked.value) ? html`<div class="empty">${empty}</div>` : children(asked.value)}
  `;
}
