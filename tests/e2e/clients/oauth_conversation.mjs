// How both major versions of the TypeScript SDK let themselves in: connect, be refused, open the address of
// the authorization server, take the code from where it leads, and go on.

import { createRequire } from "node:module";

export const require = createRequire(`${process.cwd()}/`);

// Where nobody listens: the answer is read from the redirect.
const REDIRECT_URI = "http://127.0.0.1:9/callback";

export class Provider {
  #kept = {};
  answer = null;
  redirectUrl = REDIRECT_URI;

  constructor(name) {
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  state = () => "a-state-of-the-client";
  clientInformation = () => this.#kept.client;
  saveClientInformation = (client) => void (this.#kept.client = client);
  tokens = () => this.#kept.tokens;
  saveTokens = (tokens) => void (this.#kept.tokens = tokens);
  codeVerifier = () => this.#kept.verifier;
  saveCodeVerifier = (verifier) => void (this.#kept.verifier = verifier);

  async redirectToAuthorization(url) {
    const response = await fetch(url, { redirect: "manual" });
    this.answer = new URL(response.headers.get("location")).searchParams;
  }
}

// sdk: client() and transport(), a new one each time; finish(transport, answer); UnauthorizedError.
export async function letIn(sdk, provider, tools) {
  const goOn = async (transport, error) => {
    if (!(error instanceof sdk.UnauthorizedError) || provider.answer === null) throw error;
    const answer = provider.answer;
    provider.answer = null;
    await sdk.finish(transport, answer);
  };
  const connected = async () => {
    const [client, transport] = [sdk.client(), sdk.transport()];
    try {
      await client.connect(transport);
      return [client, transport];
    } catch (error) {
      await goOn(transport, error);
      return connected();
    }
  };
  let [client, transport] = await connected();
  await client.listTools();
  const echoed = await client.callTool({ name: "echo", arguments: { message: "Hello" } });
  for (const name of tools) {
    try {
      await client.callTool({ name, arguments: {} });
    } catch (error) {
      if (provider.answer === null) break;
      await goOn(transport, error);
      await client.callTool({ name, arguments: {} });
    }
  }
  await client.close();
  console.log(JSON.stringify({ echo: echoed.structuredContent.message }));
}
