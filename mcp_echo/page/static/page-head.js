// The top of a trace's page: whose it is, its address, and what can be done with it.

import "./copy-field.js";
import { change, serverUrl } from "./api.js";
import { copyButton } from "./copy-field.js";
import { confirmed } from "./dialogs.js";
import { el, fill } from "./dom.js";
import { forgetOwn } from "./own-traces.js";

const FORMS = [
  ["md", "Markdown, to paste into an issue"],
  ["json", "JSON, everything"],
  ["har", "HAR, for network tools"],
  ["sarif", "SARIF, for code scanning"],
  ["junit", "JUnit, for CI"],
];

class PageHead extends HTMLElement {
  /** @param {() => string} fragment - The end of an address that is passed on. */
  fragment = () => "";

  /** @param {() => void} arm - Asks for a fault. */
  arm = () => {};

  /**
   * @param {object} place - What the page knows of the trace.
   * @param {string|null} url - The MCP endpoint; null for who may only read.
   */
  show(place, url) {
    const address = url !== null && el("copy-field");
    if (address) address.text = url;
    const brand = el(
      "p",
      { class: "brand" },
      el("a", { href: "../../" }, "mcp-echo"),
      el("span", { class: "soft" }, " / ", place.label || "trace"),
    );
    const tag = url === null && el("span", { class: "soft read-only" }, "read only");
    fill(
      this,
      el(
        "div",
        {},
        brand,
        tag,
        address,
        el(
          "nav",
          { "aria-label": "Trace" },
          evidence(),
          this.armButton(place),
          el("a", { class: "button", href: "#compare" }, "Compare"),
          this.share(place),
          place.mayDelete && this.delete(place),
        ),
      ),
    );
  }

  /** Return the button that arms a fault, which is there once the server is known to take orders. */
  armButton({ trace }) {
    this.faultButton = trace
      ? el("button", { type: "button", hidden: true, onclick: () => this.arm() }, "Arm a fault")
      : null;
    return this.faultButton;
  }

  set takesFaults(takes) {
    if (this.faultButton) this.faultButton.hidden = !takes;
  }

  share({ publicUrl, sharePath }) {
    if (!sharePath) return null;
    return copyButton(() => `${serverUrl(publicUrl, "../../")}${sharePath}${this.fragment()}`, "Share", {
      title: "Copy an address that only reads",
    });
  }

  delete(place) {
    return el("button", { type: "button", class: "danger", onclick: () => this.end(place) }, "Delete");
  }

  async end({ trace, label }) {
    const yes = await confirmed(
      `Delete ${label ? `“${label}”` : "this trace"}?`,
      "Its records go, and its address answers 404 from then on. This cannot be taken back.",
      "Delete",
    );
    if (!yes) return;
    try {
      await change("DELETE", "./");
      forgetOwn(trace);
      location.assign("../../");
    } catch (error) {
      this.append(el("p", { class: "note error", role: "alert" }, error.message));
    }
  }
}

function evidence() {
  const links = FORMS.map(([ending, what]) =>
    el(
      "a",
      { href: `evidence.${ending}`, download: `evidence.${ending === "junit" ? "junit.xml" : ending}` },
      el("b", {}, `.${ending}`),
      el("span", { class: "soft" }, what),
    ),
  );
  const menu = el(
    "details",
    { class: "menu" },
    el("summary", { class: "button" }, "Evidence"),
    el("div", { class: "card" }, links),
  );
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.firstElementChild.focus();
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  return menu;
}

customElements.define("page-head", PageHead);
