// The pages that can be read, as data. A page that does not look like its entry is not captured: it says so instead.
//
// hosts         host names of the site
// conversation  what the path of a conversation looks like; its first group is the id
// turns         selectors of finished and running turns, by who speaks
// busy          matches while an answer is still being written
// prompt        the box that a person writes into

const POSTERN_SITES = [
  {
    name: "chatgpt",
    label: "ChatGPT",
    hosts: ["chatgpt.com", "chat.openai.com"],
    conversation: "/c/([\\w-]+)",
    turns: {
      user: '[data-message-author-role="user"]',
      assistant: '[data-message-author-role="assistant"]',
    },
    busy: '[data-testid="stop-button"]',
    prompt: "#prompt-textarea",
  },
  {
    name: "claude",
    label: "Claude",
    hosts: ["claude.ai"],
    conversation: "/chat/([\\w-]+)",
    turns: {
      user: '[data-testid="user-message"]',
      assistant: ".font-claude-response, .font-claude-message",
    },
    busy: '[data-is-streaming="true"]',
    prompt: 'div.ProseMirror[contenteditable="true"]',
  },
  {
    name: "gemini",
    label: "Gemini",
    hosts: ["gemini.google.com"],
    conversation: "/app/([\\w-]+)",
    turns: { user: "user-query .query-text", assistant: "model-response message-content" },
    busy: 'button[aria-label="Stop response"]',
    prompt: "rich-textarea .ql-editor",
  },
];

/** The entry of a page's host; undefined for any other page. */
const posternSite = (host) => POSTERN_SITES.find((site) => site.hosts.includes(host));
