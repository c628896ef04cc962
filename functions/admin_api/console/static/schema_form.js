// A form made from the input schema of a tool. What a form cannot show is written as JSON.

import { html } from "./vendor/htm-preact-3.1.1.js";
import { AreaField, ChoiceField, TextField } from "./parts.js";

/** The type of a property: the first that is not null, also inside a union. */
function typeOf(schema) {
  const types = [schema.type ?? []].flat().filter((one) => one !== "null");
  if (types.length === 1) return types[0];
  const alternatives = (schema.anyOf ?? schema.oneOf ?? []).filter((one) => one.type !== "null");
  return alternatives.length === 1 ? typeOf(alternatives[0]) : "";
}

const enumOf = (schema) => schema.enum ?? (schema.anyOf ?? []).flatMap((one) => one.enum ?? []);

/** One field for one property. Values are texts until `argumentsOf` reads them. */
function Property({ name, schema, required, value, onValue }) {
  const shared = {
    label: required ? name : `${name} (optional)`,
    help: schema.description,
    value,
    onValue,
    required,
  };
  const words = enumOf(schema).filter((one) => one !== null);
  const type = typeOf(schema);
  if (words.length) return html`<${ChoiceField} ...${shared} choices=${[["", "not given"], ...words.map((one) => [String(one), String(one)])]} />`;
  if (type === "boolean") return html`<${ChoiceField} ...${shared} choices=${[["", "not given"], ["true", "true"], ["false", "false"]]} />`;
  if (type === "integer" || type === "number") {
    return html`<${TextField} ...${shared} type="number" step=${type === "integer" ? "1" : "any"} min=${schema.minimum} max=${schema.maximum} />`;
  }
  if (type === "string") return html`<${TextField} ...${shared} />`;
  return html`<${AreaField} ...${shared} label=${`${shared.label}, as JSON`} rows=${3} placeholder=${type === "array" ? "[…]" : "{…}"} />`;
}

/** The fields of a schema, required ones first. `values` maps names to texts. */
export function SchemaFields({ schema, values, onValues }) {
  const required = schema.required ?? [];
  const names = Object.keys(schema.properties ?? {});
  const ordered = [...names.filter((one) => required.includes(one)), ...names.filter((one) => !required.includes(one))];
  const field = (name) =>
    html`<${Property} key=${name} name=${name} schema=${schema.properties[name]} required=${required.includes(name)}
      value=${values[name] ?? ""} onValue=${(value) => onValues({ ...values, [name]: value })} />`;
  const shown = ordered.filter((name, index) => required.includes(name) || index < 6);
  const rest = ordered.filter((name) => !shown.includes(name));
  return html`
    ${shown.map(field)}
    ${rest.length > 0 && html`<details><summary>${rest.length} more arguments</summary>${rest.map(field)}</details>`}
    ${ordered.length === 0 && html`<p class="dim">This tool takes no arguments.</p>`}
  `;
}

/** The arguments that the texts stand for. Throws SyntaxError, which names the argument. */
export function argumentsOf(schema, values) {
  const found = {};
  for (const [name, text] of Object.entries(values)) {
    const property = schema.properties?.[name];
    if (text === "" || !property) continue;
    const type = typeOf(property);
    const words = enumOf(property);
    if (words.length) found[name] = words.find((one) => String(one) === text);
    else if (type === "boolean") found[name] = text === "true";
    else if (type === "integer" || type === "number") found[name] = Number(text);
    else if (type === "string") found[name] = text;
    else {
      try {
        found[name] = JSON.parse(text);
      } catch (error) {
        throw new SyntaxError(`${name} is not JSON: ${error.message}`);
      }
    }
  }
  return found;
}
