// What is asked before something is done, and the keys.

import { el } from "./dom.js";

/** Ask; return whether the answer is yes. */
export function confirmed(question, about, yes) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-labelledby": "question" });
    const answer = (value) => () => dialog.close(value);
    dialog.append(
      el(
        "div",
        {},
        el("h2", { id: "question" }, question),
        el("p", { class: "soft" }, about),
        el(
          "div",
          { class: "choices" },
          el("button", { type: "button", autofocus: true, onclick: answer("") }, "Cancel"),
          el("button", { type: "button", class: "danger", onclick: answer("yes") }, yes),
        ),
      ),
    );
    opened(dialog, () => resolve(dialog.returnValue === "yes"));
  });
}

const KEYS = [
  ["/", "filter"],
  ["j or ↓", "older exchange"],
  ["k or ↑", "newer exchange"],
  ["Enter", "the exchange side by side"],
  ["1 to 4", "request, answer, timing, curl"],
  ["p", "pause, or go on"],
  ["Esc", "back; in the filter: show everything"],
  ["?", "these keys"],
];

/** Show the keys. */
export function showKeys() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.map(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]);
  const dialog = el("dialog", { "aria-labelledby": "keys" });
  dialog.append(
    el(
      "div",
      {},
      el("h2", { id: "keys" }, "Keys"),
      el("dl", { class: "keys" }, rows),
      el(
        "div",
        { class: "choices" },
        el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close"),
      ),
    ),
  );
  opened(dialog, () => {});
}

/** Open a dialog, and give the focus back when it is closed. */
export function opened(dialog, closed) {
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus();
    closed();
  });
  dialog.showModal();
}
