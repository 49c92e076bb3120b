// The page at `/`: what this is, the address, how clients are pointed at it, and traces.

import "./copy-field.js";
import "./new-trace.js";
import "./own-traces.js";
import "./snippet-tabs.js";
import { read, serverUrl } from "./api.js";
import { el, fill } from "./dom.js";

class LandingPage extends HTMLElement {
  async connectedCallback() {
    try {
      this.draw(await read("./"));
    } catch (error) {
      fill(
        this,
        el(
          "main",
          { class: "plain" },
          el("h1", {}, "mcp-echo"),
          el("p", { class: "note error" }, error.message),
        ),
      );
    }
  }

  draw(known) {
    const url = `${serverUrl(known.publicUrl, "./")}mcp`;
    const address = el("copy-field");
    address.text = url;
    const snippets = el("snippet-tabs", { class: "card" });
    snippets.show(known.snippets, url);
    fill(
      this,
      el("a", { class: "skip button", href: "#main" }, "Skip to the address"),
      el(
        "header",
        { class: "top" },
        el("div", {}, el("p", { class: "brand" }, "mcp-echo ", el("span", { class: "soft" }, known.version))),
      ),
      el(
        "main",
        { id: "main", class: "width", tabindex: "-1" },
        el(
          "section",
          { class: "hero", "aria-label": "What this is" },
          el("h1", {}, "See what your MCP client sends, and what it gets wrong."),
          el("p", { class: "soft lead" }, lead(known)),
          address,
        ),
        el(
          "div",
          { class: known.traces ? "columns" : "columns single" },
          el(
            "section",
            { "aria-labelledby": "connect" },
            el("h2", { id: "connect" }, "Connect a client"),
            snippets,
          ),
          known.traces && traces(known),
        ),
      ),
    );
  }
}

function lead({ traces: hasTraces, recorded }) {
  const here = "Point a client, gateway or OAuth proxy at this address; it answers in every revision of MCP.";
  if (!hasTraces) return `${here} Nothing is recorded: the server was started with --watch off.`;
  const plain = recorded
    ? "What comes here is recorded too: the server said at its start where that is shown."
    : "What comes here is not recorded: make a trace for that.";
  return `${here} ${plain}`;
}

function traces(known) {
  const make = el("new-trace", { class: "card" });
  make.show(known);
  return el(
    "div",
    { class: "traces" },
    el(
      "section",
      { "aria-labelledby": "make" },
      el("h2", { id: "make" }, "New trace"),
      el("p", { class: "soft" }, "An address of its own, with a page that shows what comes to it."),
      make,
    ),
    el(
      "section",
      { "aria-labelledby": "own" },
      el("h2", { id: "own" }, "Your traces"),
      el("p", { class: "soft" }, "Kept in this browser, and nowhere else."),
      el("own-traces", { class: "card" }),
    ),
  );
}

customElements.define("landing-page", LandingPage);
