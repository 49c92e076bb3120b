// A stateful echo server with the official TypeScript SDK on express, answering in JSON: one server and one
// transport per session, as the SDK's own examples have it.
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import express from 'express';
import { z } from 'zod';

const transports = new Map();

function newServer() {
    const server = new McpServer({ name: 'typescript-sdk-echo', version: '1.0.0' });
    server.registerTool(
        'echo',
        { description: 'Echo a message.', inputSchema: { message: z.string() } },
        async ({ message }) => ({ content: [{ type: 'text', text: message }] }),
    );
    return server;
}

async function open() {
    const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        enableJsonResponse: true,
        onsessioninitialized: (id) => transports.set(id, transport),
    });
    transport.onclose = () => transports.delete(transport.sessionId);
    await newServer().connect(transport);
    return transport;
}

const app = express();
app.use(express.json());
app.post('/mcp', async (request, response) => {
    const id = request.headers['mcp-session-id'];
    const transport = id === undefined && isInitializeRequest(request.body) ? await open() : transports.get(id);
    if (transport === undefined) {
        response.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null });
        return;
    }
    await transport.handleRequest(request, response, request.body);
});
app.listen(Number(process.argv[2]), '127.0.0.1');
