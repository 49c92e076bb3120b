// Tabs, as the ARIA Authoring Practices have them: arrows walk, Home and End jump.

import { el, fill } from "./dom.js";

let made = 0;

/**
 * Make a row of tabs and the panel below it.
 *
 * @param {string} label - What they are tabs of.
 * @param {{name: string, show: () => Node[]}[]} tabs - Names, and what each shows.
 * @param {number} [first] - Which one is open.
 * @param {(index: number) => void} [opened] - Told when another one is.
 */
export function tabbed(label, tabs, first = 0, opened = () => {}) {
  const id = `tabs-${(made += 1)}`;
  const panel = el("div", { role: "tabpanel", id: `${id}-panel`, tabindex: "0" });
  const buttons = tabs.map(({ name }, index) =>
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-${index}`,
        "aria-controls": panel.id,
        onclick: () => open(index),
      },
      name,
    ),
  );
  const row = el("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: walk }, buttons);
  let current = 0;

  function open(index, focus = false) {
    current = index;
    buttons.forEach((button, place) => {
      button.setAttribute("aria-selected", String(place === index));
      button.tabIndex = place === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[index].id);
    fill(panel, tabs[index].show());
    if (focus) buttons[index].focus();
    // The row scrolls sideways on a narrow screen; the page must not.
    if (row.scrollWidth > row.clientWidth) row.scrollLeft = buttons[index].offsetLeft - row.clientWidth / 3;
    opened(index);
  }

  function walk(event) {
    const last = buttons.length - 1;
    const steps = {
      ArrowRight: current === last ? 0 : current + 1,
      ArrowLeft: current === 0 ? last : current - 1,
      Home: 0,
      End: last,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    open(steps[event.key], true);
  }

  open(Math.min(first, buttons.length - 1));
  return { row, panel, open };
}
