// Calls of tools at the person's own MCP URL, the only address that anything is sent to.

const POSTERN_VERSION = "2025-06-18";

/** The result of a method. Throws an Error with the endpoint's own words. */
async function posternAsk(url, method, params) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      credentials: "omit",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": POSTERN_VERSION,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
  } catch {
    throw new Error("Your endpoint cannot be reached. Check that it runs.");
  }
  const body = await answer.json().catch(() => null);
  if (body?.error) throw new Error(body.error.message);
  if (!answer.ok || !body?.result) throw new Error(`Your endpoint returned the status ${answer.status}.`);
  return body.result;
}

/** {store, context, search}: the names of the tools that the URL offers for this. Throws an Error. */
async function posternTools(url) {
  const names = [];
  let cursor;
  do {
    const page = await posternAsk(url, "tools/list", cursor ? { cursor } : {});
    names.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor);
  const find = (pattern) => names.find((name) => pattern.test(name));
  const tools = {
    store: find(/^create_an?_.*_memory$/),
    context: find(/_memories_get_context$/),
    search: find(/_memories_search$/),
  };
  if (!tools.store) throw new Error("This MCP URL offers no tool that stores a memory.");
  return tools;
}

/** Text and structured content of a call. Throws an Error with the tool's own words. */
async function posternCall(url, name, given) {
  const result = await posternAsk(url, "tools/call", { name, arguments: given });
  const text = (result.content ?? []).map((part) => part.text ?? "").join("\n");
  if (result.isError) throw new Error(text);
  return { text, content: result.structuredContent ?? null };
}
