// An address or a command with the button that copies it.

import { el, fill } from "./dom.js";

/** Copy a text; return whether that worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard is only there over HTTPS and on this machine; this works elsewhere too.
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/** Return a button that copies what `text()` says then, and tells that it has. */
export function copyButton(text, words = "Copy", given = {}) {
  const button = el("button", { type: "button", ...given }, words);
  let timer = 0;
  button.addEventListener("click", async () => {
    const copied = await copy(await text());
    fill(button, copied ? "Copied" : "Not copied");
    announce(copied ? "Copied" : "It could not be copied; select it and copy it by hand");
    clearTimeout(timer);
    timer = setTimeout(() => fill(button, words), 1600);
  });
  return button;
}

/** Have screen readers say something once. */
export function announce(text) {
  let region = document.getElementById("announced");
  if (region === null) {
    region = el("div", { id: "announced", class: "unseen", role: "status" });
    document.body.append(region);
  }
  fill(region, text);
}

class CopyField extends HTMLElement {
  /** @param {string} text - What is shown and copied. */
  set text(text) {
    if (text === this.shown) return;
    this.shown = text;
    fill(
      this,
      el("code", { title: text }, text),
      copyButton(() => this.shown, "Copy", { "aria-label": `Copy ${text}` }),
    );
  }
}

customElements.define("copy-field", CopyField);
