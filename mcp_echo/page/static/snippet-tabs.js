// How each client is pointed at an address.

import { copyButton } from "./copy-field.js";
import { el, fill } from "./dom.js";
import { tabbed } from "./tabs.js";

const KEPT = "mcp-echo-client";

class SnippetTabs extends HTMLElement {
  /**
   * @param {{client: string, where: string, text: string}[]} snippets - With `{url}` for the address.
   * @param {string} url - The address.
   */
  show(snippets, url) {
    const tabs = snippets.map((snippet) => ({ name: snippet.client, show: () => one(snippet, url) }));
    const before = snippets.findIndex(({ client }) => client === localStorage.getItem(KEPT));
    const { row, panel } = tabbed("Clients", tabs, Math.max(0, before), (index) =>
      localStorage.setItem(KEPT, snippets[index].client),
    );
    fill(this, row, panel);
  }
}

/** Return one snippet, and the button that copies it. */
export function one({ client, where, text }, url) {
  const whole = text.replaceAll("{url}", url);
  const button = copyButton(() => whole, "Copy", { class: "bare", "aria-label": `Copy for ${client}` });
  return [el("div", { class: "snippet-head" }, where, button), el("pre", { class: "snippet" }, whole)];
}

customElements.define("snippet-tabs", SnippetTabs);
