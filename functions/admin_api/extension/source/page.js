// On the page of a chat: reads its turns, and writes into its prompt box. It sends nothing to any host.
// It runs when the person presses a button, or on a site that the person has switched on.

(() => {
  if (globalThis.posternReads) return;
  globalThis.posternReads = true;

  const QUIET_MS = 1500; // a turn counts as finished when the page has been quiet for this long
  const MAX_CHARS = 20_000; // of one turn: longer ones are pasted documents, not what a person said

  /** {site, label, ok, problem, busy, conversation, turns}. Not ok: the page is not what sites.js describes. */
  function readPage() {
    const site = posternSite(location.hostname);
    if (!site) return { ok: false, problem: "This is not a page that can be read." };
    const page = { site: site.name, label: site.label, ok: false, turns: [], busy: false };
    const conversation = new RegExp(site.conversation).exec(location.pathname)?.[1];
    if (!conversation) return { ...page, problem: "Open a conversation first." };
    const found = Object.entries(site.turns).flatMap(([role, selector]) =>
      [...document.querySelectorAll(selector)].map((element) => ({ role, element })),
    );
    const roles = new Set(found.map((turn) => turn.role));
    if (!roles.has("user") || !document.querySelector(site.prompt)) {
      return { ...page, problem: `This page of ${site.label} has changed, so nothing is read from it.` };
    }
    const order = (a, b) => (a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1);
    const turns = found
      .sort(order)
      .map(({ role, element }) => ({ role, text: element.innerText.trim().slice(0, MAX_CHARS) }))
      .filter((turn) => turn.text);
    return { ...page, ok: true, conversation, turns, busy: document.querySelector(site.busy) !== null };
  }

  /** Put a text in front of what is in the prompt box. */
  function insert(text) {
    const box = document.querySelector(posternSite(location.hostname)?.prompt ?? "none");
    if (!box) return false;
    box.focus();
    if ("value" in box) {
      box.value = text + box.value;
      box.dispatchEvent(new Event("input", { bubbles: true }));
    } else {
      getSelection().setPosition(box, 0);
      document.execCommand("insertText", false, text);
    }
    return true;
  }

  const written = () => {
    const box = document.querySelector(posternSite(location.hostname)?.prompt ?? "none");
    return (box?.value ?? box?.innerText ?? "").trim();
  };

  chrome.runtime.onMessage.addListener((message, _sender, answer) => {
    if (message.type === "read") answer({ ...readPage(), written: written() });
    if (message.type === "insert") answer(insert(message.text));
    if (message.type === "watch") watch();
  });

  let timer;
  let watching = false;
  function watch() {
    if (watching) return;
    watching = true;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const page = readPage();
        if (page.ok && !page.busy) chrome.runtime.sendMessage({ type: "turns", page }).catch(() => {});
      }, QUIET_MS);
    };
    new MutationObserver(later).observe(document.body, { childList: true, subtree: true, characterData: true });
    later();
  }

  // A site that is switched on has this file registered for its pages; the background says whether it still is.
  chrome.runtime.sendMessage({ type: "is-on", site: posternSite(location.hostname)?.name }).then(
    (on) => on && watch(),
    () => {},
  );
})();
