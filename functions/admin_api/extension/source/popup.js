// The window of the extension: connect, store this conversation, switch a site on, pause, and see what was stored.

const element = (id) => document.getElementById(id);
const said = (text) => {
  element("said").textContent = text;
};

/** What the background answers. Throws an Error with its words. */
async function ask(message) {
  const { value, error } = await chrome.runtime.sendMessage(message);
  if (error) throw new Error(error);
  return value;
}

async function tab() {
  const wanted = new URLSearchParams(location.search).get("tab"); // a window of its own names the tab that it is for
  return wanted ? chrome.tabs.get(Number(wanted)) : (await chrome.tabs.query({ active: true, currentWindow: true }))[0];
}

/** The page of the tab, read by page.js. */
async function readTab() {
  const { id } = await tab();
  await chrome.scripting.executeScript({ target: { tabId: id }, files: ["sites.js", "page.js"] });
  return { id, ...(await chrome.tabs.sendMessage(id, { type: "read" })) };
}

function list(stored) {
  element("stored").replaceChildren(
    ...stored.map((one) => {
      const item = document.createElement("li");
      item.textContent = `${one.site}, ${one.role}: ${one.text}`;
      return item;
    }),
  );
  if (stored.length === 0) element("stored").textContent = "Nothing yet.";
}

async function show() {
  const state = await chrome.storage.local.get({ url: "", paused: false, sites: [], stored: [], problem: "" });
  element("connect").hidden = state.url !== "";
  element("connected").hidden = state.url === "";
  element("paused").checked = state.paused;
  list(state.stored);
  if (state.problem) said(state.problem);
  if (!state.url) return;
  let page;
  try {
    page = await readTab();
  } catch {
    page = { ok: false, problem: "This is not a page that can be read." };
  }
  element("page").textContent = page.ok ? `${page.label}: ${page.turns.length} turns` : page.problem;
  element("store").disabled = !page.ok;
  element("insert").disabled = !page.ok;
  element("keep").hidden = !page.site;
  element("on").checked = state.sites.includes(page.site);
  element("on-label").textContent = `Keep storing on ${page.label ?? "this site"}`;
}

/** Do it, and say what came of it. */
const doing = (work) => async (event) => {
  event.preventDefault();
  said("Working…");
  try {
    said((await work()) ?? "");
  } catch (error) {
    said(error.message);
  }
  await chrome.storage.onChanged.addListener(({ stored, problem }) => {
  if (stored) list(stored.newValue ?? []);
  if (problem?.newValue) said(problem.newValue);
});

show();
};

element("connect").addEventListener("submit", doing(async () => {
  const url = element("url").value.trim();
  const origin = new URL(url).origin;
  if (!(await chrome.permissions.request({ origins: [`${origin.replace(/:\d+$/, "")}/*`] }))) return "Nothing was connected.";
  await ask({ type: "connect", url });
  element("url").value = "";
  return "Connected.";
}));

element("store").addEventListener("click", doing(async () => {
  const page = await readTab();
  if (!page.ok) return page.problem;
  const count = await ask({ type: "store", page });
  return count ? `${count} turns were sent to your memory.` : "Everything here was sent before.";
}));

element("insert").addEventListener("click", doing(async () => {
  const page = await readTab();
  const about = page.written || page.turns.findLast((turn) => turn.role === "user")?.text;
  if (!about) return "Write a question first.";
  const text = await ask({ type: "known", about });
  if (!text) return "Nothing is known about this.";
  const put = await chrome.tabs.sendMessage(page.id, { type: "insert", text: `What I told you before:\n${text}\n\n` });
  return put ? "Inserted above your words. Read it before you send it." : "The prompt box was not found.";
}));

element("on").addEventListener("change", doing(async () => {
  const page = await readTab();
  const on = element("on").checked;
  const origins = POSTERN_SITES.find((one) => one.name === page.site).hosts.map((host) => `https://${host}/*`);
  if (on && !(await chrome.permissions.request({ origins }))) return "The site stays off.";
  await ask({ type: "site", name: page.site, on });
  if (on) await chrome.tabs.sendMessage(page.id, { type: "watch" });
  return on ? `Finished turns on ${page.label} are stored from now on.` : `${page.label} is off.`;
}));

element("paused").addEventListener("change", doing(async () => {
  await chrome.storage.local.set({ paused: element("paused").checked });
  return element("paused").checked ? "Paused: nothing is stored." : "Storing goes on where a site is switched on.";
}));

element("forget").addEventListener("click", doing(async () => {
  for (const site of POSTERN_SITES) await ask({ type: "site", name: site.name, on: false });
  await ask({ type: "forget" });
  return "The MCP URL and the list are gone from this browser. Memories stay; the console removes them.";
}));

chrome.storage.onChanged.addListener(({ stored, problem }) => {
  if (stored) list(stored.newValue ?? []);
  if (problem?.newValue) said(problem.newValue);
});

show();
