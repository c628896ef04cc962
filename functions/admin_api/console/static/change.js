// What a button does, once at a time.

import { useRef, useState } from "./vendor/htm-preact-3.1.1.js";

/** Run a change once: {run, busy, error, clear}. `run` resolves to what `change` returned, or undefined after an error. */
export function useChange(change) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const running = useRef(false);
  const run = async (...given) => {
    if (running.current) return undefined;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      return await change(...given);
    } catch (failure) {
      setError(failure);
      return undefined;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, busy, error, clear: () => setError(null) };
}
