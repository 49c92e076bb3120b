// What is shown before the first request: where to point a client, and what usually goes wrong when none comes.

import "./copy-field.js";
import { el, fill } from "./dom.js";
import { one } from "./snippet-tabs.js";

const THREE = ["Claude Code", "VS Code", "Python"];

class WaitingState extends HTMLElement {
  /**
   * @param {object} place - What the page knows of the trace.
   * @param {string|null} url - The MCP endpoint; null for who may only read.
   */
  show(place, url) {
    if (this.drawn) return;
    this.drawn = true;
    if (url === null) return;
    const address = el("copy-field");
    address.text = url;
    const snippets = place.snippets.filter(({ client }) => THREE.includes(client));
    fill(
      this,
      address,
      el(
        "div",
        { class: "three" },
        snippets.map((snippet) =>
          el("section", { class: "card" }, el("h2", {}, snippet.client), one(snippet, url)),
        ),
      ),
      el(
        "section",
        { class: "nothing" },
        el("h2", {}, "When nothing comes"),
        el(
          "ul",
          {},
          reasons(new URL(url)).map(([name, text]) => el("li", {}, el("b", {}, name), " ", text)),
        ),
      ),
    );
  }
}

function reasons({ protocol, hostname, port, pathname }) {
  const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return [
    [
      "Port.",
      `The client needs ${port || (protocol === "https:" ? "443" : "80")}, and a container has to publish it.`,
    ],
    [
      "Host name.",
      isLoopback
        ? `In a container or on another machine, ${hostname} is that one: use a name that leads here, and allow it with MCP_ECHO_ALLOWED_HOSTS.`
        : `The client has to resolve ${hostname}. A name that is not allowed gets 421: see MCP_ECHO_ALLOWED_HOSTS.`,
    ],
    [
      "TLS.",
      protocol === "https:"
        ? "The client has to trust the certificate; it says https, not http."
        : "This is http: a client that insists on https fails before it sends anything.",
    ],
    ["Path.", `All of ${pathname.replace(/[\w-]{32}/, "…")} is needed, with mcp at its end.`],
  ];
}

customElements.define("waiting-state", WaitingState);
