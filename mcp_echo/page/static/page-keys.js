// The keys of a trace's page.

import { showKeys } from "./dialogs.js";
import { listen, presses } from "./keys.js";

/**
 * Listen to the keys.
 *
 * @param {object} page - The page of a trace.
 */
export function listenFor(page) {
  const { store, list, view, filter } = page;
  const step = (steps) => (event) => {
    if (store.state.whole && event.key.length > 1) return;
    if (event.target.closest("[role='tabpanel'], [role='tablist']") && event.key.length > 1) return;
    event.preventDefault();
    list.walk(steps());
  };
  const tab = (index) => () => view.querySelectorAll('[role="tab"]')[index]?.click();
  const keys = {
    "/": (event) => {
      event.preventDefault();
      filter.focus();
    },
    j: step(() => 1),
    k: step(() => -1),
    ArrowDown: step(() => 1),
    ArrowUp: step(() => -1),
    PageDown: step(() => list.page),
    PageUp: step(() => -list.page),
    Home: step(() => -Infinity),
    End: step(() => Infinity),
    Enter: (event) => !presses(event) && store.state.selected !== null && page.whole(true),
    p: () => page.togglePause(),
    1: tab(0),
    2: tab(1),
    3: tab(2),
    4: tab(3),
  };
  // While two traces are compared, most keys would change what cannot be seen.
  const compared = { j: () => page.compare.walk(1), k: () => page.compare.walk(-1) };
  const does = (event) => (store.state.compare ? compared : keys)[event.key]?.(event);
  listen(
    { ...Object.fromEntries(Object.keys(keys).map((key) => [key, does])), "?": () => showKeys() },
    { Escape: (event) => page.escape(event) },
  );
}
