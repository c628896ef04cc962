// Labels of servers as a person writes them.

/** {team: "support", env: "test"} for `team=support, env=test`. The API says what a label may hold. */
export function readLabels(text) {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  return Object.fromEntries(parts.map((part) => {
    const [key, ...value] = part.split("=");
    return [key.trim(), value.join("=").trim()];
  }));
}
