// The protocol's official client against the server.
// Arguments: the folder node_modules that has it, and the server's executable.
import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, server] = process.argv.slice(2);
const sdk = (name) =>
  import(pathToFileURL(path.join(modules, "@modelcontextprotocol/sdk/dist/esm/client", name)));
const { Client } = await sdk("index.js");
const { StdioClientTransport } = await sdk("stdio.js");

const client = new Client({ name: "capsem-test", version: "1" });
await client.connect(new StdioClientTransport({ command: server, args: [] }));
assert.equal(client.getServerVersion().name, "capsem-mcp-server");
assert.match(client.getInstructions(), /offers no tools/);
await client.ping();
assert.deepEqual((await client.listTools()).tools, []);
await assert.rejects(client.callTool({ name: "fetch", arguments: {} }), /there is no tool "fetch"/);
await client.close();
