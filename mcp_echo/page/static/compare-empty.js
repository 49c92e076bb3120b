// Before there is something to compare: how the same requests are sent to both traces.

import { arrived } from "./compare-words.js";
import { copyButton } from "./copy-field.js";
import { el, fill } from "./dom.js";

class CompareEmpty extends HTMLElement {
  /** Say what has come so far. */
  count(comparison) {
    fill(this.arrived, arrived(comparison));
  }

  /**
   * @param {object} page - Has the `place` and the MCP endpoint of this trace.
   * @param {object} other - The other trace.
   */
  show({ place, url }, { trace }) {
    const there = trace && ["GATEWAY=…", command(`"$GATEWAY/t/${trace}/mcp"`)].join("\n");
    this.arrived = el("p", { class: "soft", role: "status" });
    fill(
      this,
      el(
        "p",
        {},
        "Send the same requests both ways. What the way does to them is shown as soon as the first pair has come.",
      ),
      this.arrived,
      el(
        "div",
        { class: "choice" },
        way(
          "1. Directly",
          url && command(`'${url}'`),
          url ? null : "Whoever made this trace knows its address.",
        ),
        way(
          "2. Through the gateway",
          there,
          there
            ? "GATEWAY is where your gateway is reached: its scheme and host."
            : "Whoever made the other trace knows its address.",
        ),
      ),
      el(
        "ul",
        { class: "card hints" },
        hint("Labels.", [
          "Requests with the same number in ",
          el("code", {}, "X-MCP-Echo-Probe"),
          " belong together. Those without one are matched by method and order.",
        ]),
        hint("A client.", [
          "Point the same client at the first address, and then, through the gateway, at the second: it needs no labels.",
        ]),
        hint("All at once.", [
          el("code", {}, "mcp-echo check --hop DIRECT VIA"),
          " sends labelled requests both ways, and says the same in a terminal.",
        ]),
      ),
    );
  }
}

function way(name, text, about) {
  const head = text && copyButton(() => text, "Copy", { class: "bare", "aria-label": `Copy ${name}` });
  return el(
    "section",
    { class: "card" },
    el("div", { class: "snippet-head" }, el("h2", {}, name), head),
    text && el("pre", { class: "snippet" }, text),
    about && el("p", { class: "soft" }, about),
  );
}

function command(url) {
  return [
    "curl -sS \\",
    `  ${url} \\`,
    "  -H 'X-MCP-Echo-Probe: 1' \\",
    "  -H 'Content-Type: application/json' \\",
    "  -H 'Accept: application/json, text/event-stream' \\",
    `  -d '{"jsonrpc":"2.0","id":1,"method":"ping"}'`,
  ].join("\n");
}

function hint(name, text) {
  return el("li", {}, el("b", {}, name), " ", text);
}

customElements.define("compare-empty", CompareEmpty);
