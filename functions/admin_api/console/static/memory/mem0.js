// How the console speaks to a Mem0 account. Everything that is true of Mem0 alone stands in this folder.
// The tools of the account say what it can do: Mem0's platform, its self-hosted server and the embedded memory differ.

import { ask, path } from "../session.js";
import { runTool } from "../proxy.js";

const PAGE = 100;

export class Mem0 {
  /** `tools` is the list of tools of the account. */
  constructor(accountId, tools) {
    this.accountId = accountId;
    this.tools = new Map(tools.map((tool) => [`${tool.resource}.${tool.method}`, tool]));
  }

  /** The Mem0 of an account; null when the account has no memories. Throws ApiError. */
  static async of(accountId, signal) {
    const { result } = await ask("GET", path`/integrated-account/${accountId}/tools`, { signal });
    const mem0 = new Mem0(accountId, result);
    return mem0.can("memories.list") && mem0.can("memories.search") ? mem0 : null;
  }

  can(name) {
    return this.tools.has(name);
  }

  async run(name, given, signal) {
    return (await runTool(this.accountId, this.tools.get(name), given, { signal })).body;
  }

  takes(name, argument) {
    return argument in (this.tools.get(name)?.input_schema.properties ?? {});
  }

  /** Everybody whom a memory belongs to: [{type, id, count}], the most memories first. */
  async people(signal) {
    const people = [];
    let cursor = null;
    do {
      const page = await this.run("entities.list", this.#paged("entities.list", cursor), signal);
      people.push(...page.result);
      cursor = page.next_cursor ?? null;
    } while (cursor);
    return people
      .map((one) => ({ type: one.type, id: one.name ?? one.id, count: one.total_memories ?? null, at: one.updated_at ?? null }))
      .sort((a, b) => (b.count ?? 0) - (a.count ?? 0) || a.id.localeCompare(b.id));
  }

  #paged(name, cursor, limit = PAGE) {
    const given = {};
    if (this.takes(name, "limit")) given.limit = limit;
    if (cursor) given.next_cursor = cursor;
    return given;
  }

  /** One page of a person's memories: {memories, cursor}. `where`: {categories, metadata}. */
  async list(person, where, cursor, signal, limit = 25) {
    const given = this.#paged("memories.list", cursor, limit);
    if (this.takes("memories.list", "filters")) given.filters = filtersOf(person, where);
    else given[`${person.type}_id`] = person.id;
    const page = await this.run("memories.list", given, signal);
    return { memories: page.result ?? page.results ?? [], cursor: page.next_cursor ?? null };
  }

  /** The person's memories that fit a question, with their scores. */
  async search(person, where, question, signal) {
    const given = { query: question, filters: filtersOf(person, where) };
    if (this.takes("memories.search", "top_k")) given.top_k = 50;
    const page = await this.run("memories.search", given, signal);
    return { memories: page.results ?? page.result ?? [], cursor: null };
  }

  /** Every memory of a person, page after page. `report` hears the number so far. */
  async all(person, report) {
    const found = [];
    let cursor = null;
    do {
      const page = await this.list(person, {}, cursor, undefined, PAGE);
      found.push(...page.memories);
      report(found.length);
      cursor = page.cursor;
    } while (cursor);
    return found;
  }

  async history(memory) {
    const page = await this.run("memory_history.list", { memory_id: memory.id });
    return page.result ?? page.results ?? [];
  }

  /** Store a text as one memory, as it is. */
  async add(person, text, metadata) {
    const given = { messages: [{ role: "user", content: text }], infer: false, [`${person.type}_id`]: person.id };
    if (metadata && Object.keys(metadata).length) given.metadata = metadata;
    return this.run("memories.create", given);
  }

  edit(memory, text) {
    return this.run("memories.update", { id: memory.id, text });
  }

  /** Delete memories, a thousand at once where the upstream can. `report` hears the number so far. */
  async remove(memories, report) {
    if (this.can("memories.bulk_delete") && memories.length > 1) {
      for (let at = 0; at < memories.length; at += 1000) {
        const some = memories.slice(at, at + 1000);
        await this.run("memories.bulk_delete", { memories: some.map((one) => ({ memory_id: one.id })) });
        report(at + some.length);
      }
      return;
    }
    for (const [index, memory] of memories.entries()) {
      await this.run("memories.delete", { id: memory.id });
      report(index + 1);
    }
  }

  /** Delete a person with all memories. */
  async removePerson(person) {
    if (this.can("entities.delete")) return this.run("entities.delete", { entity_type: person.type, id: person.id });
    return this.run("memories.bulk_delete_by_filter", { filters: { [`${person.type}_id`]: person.id } });
  }

  async events(signal) {
    const page = await this.run("events.list", this.#paged("events.list", null), signal);
    return page.result ?? page.results ?? [];
  }
}

/** Filters for one person, and for categories and metadata if there are any. */
function filtersOf(person, { category = "", metadata = "" }) {
  const own = { [`${person.type}_id`]: person.id };
  const others = [];
  if (category) others.push({ categories: { in: [category] } });
  if (metadata) {
    const [key, ...value] = metadata.split("=");
    others.push({ metadata: { [key.trim()]: typed(value.join("=").trim()) } });
  }
  return others.length ? { AND: [own, ...others] } : own;
}

/** A value of metadata as a person writes it: 3 and true are what they look like. */
function typed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? text : value;
  } catch {
    return text;
  }
}
