// The address of a screen is in the fragment of the page: `#/servers/acc_1?label=team`. No request carries it.

import { useEffect, useState } from "./vendor/htm-preact-3.1.1.js";

/** The present place: {parts: ["servers", "acc_1"], query: {label: "team"}}. */
export function readPlace() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  return { parts, query: Object.fromEntries(new URLSearchParams(search)) };
}

/** The link to a place. Empty values of the query are left out. */
export function link(parts, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(kept).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export function go(parts, query) {
  location.hash = link(parts, query);
}

/** The place of the page, also after it changed. */
export function usePlace() {
  const [place, setPlace] = useState(readPlace);
  useEffect(() => {
    const changed = () => setPlace(readPlace());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}
