// Decides what is stored: nothing until the person presses a button or switches a site on, and every turn once.

importScripts("sites.js", "secrets.js", "mcp.js");

const KEPT = 50; // entries of the list of what was stored
const KNOWN_CONVERSATIONS = 200; // whose turns are remembered as sent
const STATE = { url: "", tools: null, paused: false, sites: [], sent: {}, stored: [], problem: "" };

const read = () => chrome.storage.local.get(STATE);
const write = (changes) => chrome.storage.local.set(changes);

async function digest(text) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes.slice(0, 8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

let line = Promise.resolve();
/** One after another, so that two pages cannot store a turn twice. */
const inTurn = (work) => (line = line.then(work, work));

/** Store the turns of a page that were not stored before. Returns how many there were. Throws an Error. */
async function store(page) {
  const state = await read();
  if (!state.url) throw new Error("Paste your MCP URL first.");
  const key = `${page.site} ${page.conversation}`;
  const sent = new Set(state.sent[key] ?? []);
  const fresh = [];
  for (const [index, turn] of page.turns.entries()) {
    const mark = await digest(`${index} ${turn.role} ${turn.text}`);
    if (!sent.has(mark)) fresh.push({ ...turn, text: posternWithoutSecrets(turn.text), mark });
  }
  if (!fresh.some((turn) => turn.role === "user")) return 0;
  await posternCall(state.url, state.tools.store, {
    messages: fresh.map(({ role, text }) => ({ role, content: text })),
    metadata: { source: page.site, conversation: page.conversation },
  });
  const marks = { ...state.sent, [key]: [...sent, ...fresh.map((turn) => turn.mark)] };
  const time = new Date().toISOString();
  const entries = fresh.map(({ role, text }) => ({ time, site: page.site, role, text: text.slice(0, 300) }));
  await write({
    sent: Object.fromEntries(Object.entries(marks).slice(-KNOWN_CONVERSATIONS)),
    stored: [...entries.reverse(), ...state.stored].slice(0, KEPT),
    problem: "",
  });
  return fresh.length;
}

/** Turns of a site that is switched on. */
async function captured(page) {
  const { paused, sites } = await read();
  if (paused || !sites.includes(page.site)) return 0;
  try {
    return await store(page);
  } catch (error) {
    await write({ problem: error.message });
    return 0;
  }
}

/** What is known about a text, one memory a line; "" for nothing. Throws an Error. */
async function known(about) {
  const { url, tools } = await read();
  if (!url) throw new Error("Paste your MCP URL first.");
  const tool = tools.context ?? tools.search;
  if (!tool) throw new Error("This MCP URL offers no tool that finds memories.");
  const { content } = await posternCall(url, tool, { query: about });
  const found = content?.memories ?? content?.results ?? content?.result ?? [];
  return found.map((one) => `- ${one.memory}`).join("\n");
}

async function switchSite(name, on) {
  const { sites } = await read();
  const site = POSTERN_SITES.find((one) => one.name === name);
  const others = sites.filter((one) => one !== name);
  await chrome.scripting.unregisterContentScripts({ ids: [name] }).catch(() => {});
  if (on) {
    await chrome.scripting.registerContentScripts([
      { id: name, js: ["sites.js", "page.js"], matches: site.hosts.map((host) => `https://${host}/*`), runAt: "document_idle" },
    ]);
  }
  await write({ sites: on ? [...others, name] : others });
}

async function connect(url) {
  const address = url.trim();
  if (!/^https?:\/\/[^\s/]+(\/[^\s]*)?\/mcp\/[\w-]+$/.test(address)) throw new Error("This is not an MCP URL of Postern.");
  const tools = await posternTools(address);
  await write({ url: address, tools, problem: "" });
}

const ANSWERS = {
  "is-on": async ({ site }) => {
    const { paused, sites } = await read();
    return !paused && sites.includes(site);
  },
  turns: ({ page }) => inTurn(() => captured(page)),
  store: ({ page }) => inTurn(() => store(page)),
  known: ({ about }) => known(about),
  site: ({ name, on }) => switchSite(name, on),
  connect: ({ url }) => connect(url),
  forget: () => chrome.storage.local.clear(),
};

chrome.runtime.onMessage.addListener((message, _sender, answer) => {
  const work = ANSWERS[message.type];
  if (!work) return false;
  Promise.resolve(work(message)).then(
    (value) => answer(message.type === "is-on" ? value : { value }),
    (error) => answer(message.type === "is-on" ? false : { error: error.message }),
  );
  return true;
});
