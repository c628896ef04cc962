// One session of an official TypeScript client, told step by step: a JSON line in on standard input, one out on
// standard output. Started by test_typescript_clients.py from the folder that holds the packages.
//
//     node session.mjs '{"library": "client" | "sdk" | "ai-sdk", "url": "...", "headers": {...}, "mode": "legacy" | "auto" | "2026-07-28"}'
//     {"step": "connect"} {"step": "list"} {"step": "call", "name": "...", "arguments": {...}} {"step": "close"}
//     -> {"value": ...} or {"error": "message that the client throws", "body": "what it keeps of the answer"}
import { createInterface } from "node:readline";

const { library, url, headers, mode } = JSON.parse(process.argv[2]);
const info = { name: "postern-tests", version: "1" };
const endpoint = new URL(url);
const init = { requestInit: { headers } };
const asked = [];

const counted = async (address, options) => {
  asked.push(`${options?.method ?? "GET"} ${new URL(address).pathname.split("/")[1]}`);
  return fetch(address, options);
};

async function made() {
  if (library === "sdk") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return [new Client(info), new StreamableHTTPClientTransport(endpoint, { ...init, fetch: counted })];
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const negotiation = mode === "legacy" ? {} : { versionNegotiation: { mode: mode === "auto" ? mode : { pin: mode } } };
  return [new Client(info, negotiation), new StreamableHTTPClientTransport(endpoint, { ...init, fetch: counted })];
}

async function official() {
  const [client, transport] = await made();
  return {
    connect: async () => {
      await client.connect(transport);
      return client.getServerVersion();
    },
    list: async () => (await client.listTools()).tools,
    call: ({ name, arguments: given }) => client.callTool({ name, arguments: given }),
    close: () => client.close(),
  };
}

// Vercel's AI SDK: tools for an agent, each with a function that calls it.
async function aiSdk() {
  const { createMCPClient } = await import("@ai-sdk/mcp");
  let client, tools;
  return {
    connect: async () => {
      client = await createMCPClient({ transport: { type: "http", url, headers } });
      tools = await client.tools();
    },
    list: async () => Object.keys(tools),
    call: ({ name, arguments: given }) => tools[name].execute(given, { toolCallId: "1", messages: [] }),
    close: () => client?.close(),
  };
}

const steps = { ...(await (library === "ai-sdk" ? aiSdk() : official())), asked: async () => asked };

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await steps[told.step](told)) ?? null };
  } catch (error) {
    answer = { error: String(error?.message ?? error), body: error?.data?.text ?? null };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
  if (told.step === "close") break;
}
process.exit(0);
