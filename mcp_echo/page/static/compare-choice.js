// Which trace to compare with: one that was made in this browser, one whose address is known, or a new one.

import { change } from "./api.js";
import { otherTrace } from "./comparing.js";
import { el, fill } from "./dom.js";
import { comparing, traceIn } from "./fragment.js";
import { keepOwn, madeAt, ownTraces } from "./own-traces.js";

class CompareChoice extends HTMLElement {
  /** @param {object} place - What the page knows of its own trace, with its key that only reads as `share`. */
  show(place) {
    const own = ownTraces().filter(({ trace, share }) => trace !== place.trace && share !== place.share);
    this.message = el("p", { class: "note error", role: "alert", hidden: true });
    fill(
      this,
      el(
        "div",
        { class: "choice" },
        own.length > 0 && el("section", { class: "card", "aria-labelledby": "own-choice" }, list(own)),
        el("section", { class: "card" }, this.pasted()),
        place.trace && el("section", { class: "card" }, this.another(place)),
      ),
      this.message,
    );
  }

  pasted() {
    const field = el("input", {
      id: "other",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "…/v/…/",
    });
    const about = "The address of its page, or the one that only reads, from this server.";
    return el(
      "form",
      { onsubmit: (event) => this.take(event, field.value) },
      el("h2", {}, el("label", { for: "other" }, "Paste its address")),
      el("p", { class: "soft", id: "other-about" }, about),
      el("div", { class: "together" }, describe(field, "other-about"), el("button", {}, "Compare")),
    );
  }

  another(place) {
    const about = "It has an address of its own. Point the gateway's requests there, then look here again.";
    return [
      el("h2", {}, "Make the trace for the way through the gateway"),
      el("p", { class: "soft" }, about),
      el("button", { type: "button", class: "primary", onclick: () => this.make(place) }, "New trace"),
    ];
  }

  async take(event, text) {
    event.preventDefault();
    const asked = traceIn(text);
    if (asked === null) this.say("That names no trace: its address has /t/ or /v/ and 32 characters in it.");
    else await this.tried(async () => (await otherTrace(asked)).share);
  }

  async make({ label }) {
    await this.tried(async () => {
      const made = await change("POST", "../../t", {
        label: `${label || "trace"}, through the gateway`.slice(0, 100),
      });
      return keepOwn(made).share;
    });
  }

  async tried(find) {
    try {
      location.hash = comparing(await find());
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    fill(this.message, text);
    this.message.hidden = false;
  }
}

function describe(field, about) {
  field.setAttribute("aria-describedby", about);
  return field;
}

function list(own) {
  return [
    el("h2", { id: "own-choice" }, "Your traces"),
    el("p", { class: "soft" }, "Made in this browser, and known to it alone."),
    el(
      "ul",
      {},
      own.map(({ trace, share, label, made }) =>
        el(
          "li",
          {},
          el("a", { href: comparing(share ?? trace) }, label || "without a label"),
          el("time", { class: "soft", datetime: made }, madeAt(made)),
        ),
      ),
    ),
  ];
}

customElements.define("compare-choice", CompareChoice);
