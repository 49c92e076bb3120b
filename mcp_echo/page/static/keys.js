// The keyboard, throughout. Keys that type are left to fields.

/**
 * @param {Record<string, (event: KeyboardEvent) => void>} keys - Key → what it does.
 * @param {Record<string, (event: KeyboardEvent) => void>} always - The same, in fields too.
 */
export function listen(keys, always) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const types = event.target.closest("input, select, textarea") !== null;
    const does = always[event.key] ?? (types ? undefined : keys[event.key]);
    if (does) does(event);
  });
}

/** Return whether a key would press what has the focus. */
export function presses({ target }) {
  return target.closest("button, a, summary, [role='tab']") !== null;
}
