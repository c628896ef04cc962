// What never leaves the browser: card numbers, keys and passwords are taken out of a text before it is sent.

const POSTERN_REMOVED = "[removed]";

const POSTERN_SECRETS = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\b(?:sk|pk|rk|ghp|gho|ghs|ghu|glpat|xox[abprs]|pst|m0|npm|hf|AKIA|ASIA|AIza)[-_]?[A-Za-z0-9_-]{16,}\b/g,
  /\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}/g,
  /(\b(?:password|passwort|passcode|contraseña|mot de passe|пароль|pin|secret|api[ _-]?key|token)\b\s*(?:is|ist|es|est|:|=)\s*)\S+/gi,
  /\/mcp\/[A-Za-z0-9_-]{43}/g,
];

/** True for digits that pass the check of a payment card. */
function posternIsCard(text) {
  const digits = text.replace(/\D/g, "");
  if (digits.length < 13 || digits.length > 19) return false;
  const sum = [...digits].reverse().reduce((total, digit, index) => {
    const value = index % 2 ? Number(digit) * 2 : Number(digit);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** The text without secrets. */
function posternWithoutSecrets(text) {
  const kept = POSTERN_SECRETS.reduce(
    (left, pattern) => left.replace(pattern, (whole, before) => (typeof before === "string" ? before : "") + POSTERN_REMOVED),
    text,
  );
  return kept.replace(/\b\d(?:[ -]?\d){12,18}\b/g, (digits) => (posternIsCard(digits) ? POSTERN_REMOVED : digits));
}
