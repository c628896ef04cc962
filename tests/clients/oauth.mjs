// An official TypeScript client that signs in: discovery, registration, the consent page, tokens, a listing, a call, and
// the same again with an access token that ended. Started by test_oauth_clients.py from the folder with the packages.
//
//     node oauth.mjs '{"library": "client" | "sdk", "url": "...", "mode": "...", "list": "tool", "arguments": {...}}'
//     -> one JSON line: {"opened": number, "asked": ["POST mcp", ...], "tokens": number, "tools": [...]}
//
// It prints {"open": "address of the consent page"} and reads {"back": "where the browser was sent"} each time a page is
// opened, and {"ended": true} when the access token is to end.
import { createInterface } from "node:readline";

const told = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const answer = async () => JSON.parse((await lines.next()).value);

const asked = [];
const counted = async (address, options) => {
  asked.push(`${options?.method ?? "GET"} ${new URL(address).pathname}`);
  return fetch(address, options);
};

const kept = { tokens: [] };
let opened = 0;
let back;
const provider = {
  redirectUrl: "http://127.0.0.1:33419/callback",
  clientMetadata: {
    client_name: "Official TypeScript client",
    redirect_uris: ["http://127.0.0.1:33419/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => "a-state",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens.at(-1),
  saveTokens: (tokens) => void kept.tokens.push(tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => void (kept.discovery = state),
  discoveryState: () => kept.discovery,
  redirectToAuthorization: async (address) => {
    opened += 1;
    print({ open: String(address) });
    back = new URL((await answer()).back);
  },
};

const info = { name: "postern-tests", version: "1" };
const library =
  told.library === "sdk"
    ? {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
      }
    : await import("@modelcontextprotocol/client");
const negotiation =
  told.library === "sdk" || told.mode === "legacy"
    ? undefined
    : { versionNegotiation: { mode: told.mode === "auto" ? "auto" : { pin: told.mode } } };

async function connected() {
  const made = () => [
    new library.Client(info, negotiation),
    new library.StreamableHTTPClientTransport(new URL(told.url), { authProvider: provider, fetch: counted }),
  ];
  let [client, transport] = made();
  try {
    await client.connect(transport);
  } catch (error) {
    if (back === undefined) throw error;
    await transport.finishAuth(told.library === "sdk" ? back.searchParams.get("code") : back.searchParams);
    back = undefined;
    [client, transport] = made();
    await client.connect(transport);
  }
  return client;
}

const client = await connected();
const tools = (await client.listTools()).tools.map((tool) => tool.name);
await client.callTool({ name: told.list, arguments: told.arguments });
print({ ended: true });
await answer();
await client.callTool({ name: told.list, arguments: told.arguments });
print({ opened, asked, tokens: kept.tokens.length, tools });
await client.close();
process.exit(0);
