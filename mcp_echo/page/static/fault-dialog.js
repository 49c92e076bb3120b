// Asks which fault is to be armed: a drill with one click, or one fault with all that can be said of it.

import { opened } from "./dialogs.js";
import { el, fill } from "./dom.js";
import { tabbed } from "./tabs.js";
import { LEGS, orderFrom, spelled } from "./orders.js";

const COUNTS = [
  { name: "times", words: "How often", value: 1, least: 1, most: 100 },
  { name: "after", words: "Let pass first", value: 0, least: 0, most: 1_000_000 },
  { name: "seconds", words: "Seconds armed", value: 300, least: 1, most: 3600 },
];

/**
 * Ask, and arm what is wanted.
 *
 * @param {{kinds: object[], plans: object[]}} known - What the server can do.
 * @param {{methods: string[], tools: string[]}} seen - What has come to the trace: suggestions.
 * @param {(wish: object) => Promise<void>} arm - Arms it; what it throws is shown.
 */
export function askForFault({ kinds, plans }, seen, arm) {
  const dialog = el("dialog", { class: "fault-dialog", "aria-labelledby": "arm" });
  const message = el("p", { class: "note error", role: "alert", hidden: true });
  const cancel = () => el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const tried = async (wish, button) => {
    button.disabled = true;
    try {
      await arm(wish);
      dialog.close();
    } catch (error) {
      fill(message, error.message);
      message.hidden = false;
      button.disabled = false;
    }
  };
  const views = [
    { name: "Drill", nodes: [drills(plans, tried), el("div", { class: "choices" }, cancel())] },
    { name: "One fault", nodes: [form(kinds, seen, tried, cancel())] },
  ];
  const { row, panel } = tabbed(
    "What to arm",
    views.map(({ name, nodes }) => ({ name, show: () => nodes })),
    0,
    () => (message.hidden = true),
  );
  const about = "What comes to this trace is hit, and nothing else.";
  const title = el("h2", { id: "arm" }, "Arm a fault");
  dialog.append(el("div", {}, title, el("p", { class: "soft" }, about), row, panel, message));
  opened(dialog, () => {});
}

function drills(plans, tried) {
  return el(
    "ul",
    { class: "drills" },
    plans.map(({ plan, summary }) =>
      el(
        "li",
        {},
        el("p", {}, el("b", { class: "wire" }, plan), el("span", { class: "soft" }, ` ${summary}`)),
        el(
          "button",
          { type: "button", "aria-label": `Run ${plan}`, onclick: ({ target }) => tried({ plan }, target) },
          "Run",
        ),
      ),
    ),
  );
}

function form(kinds, seen, tried, cancel) {
  const pick = el(
    "select",
    { id: "fault-kind", "aria-describedby": "fault-about", onchange: () => draw() },
    kinds.map(({ fault }) => el("option", { value: fault }, fault)),
  );
  const about = el("p", { class: "soft", id: "fault-about" });
  const options = el("div", { class: "fields" });
  const rest = restFields(seen);
  const button = el("button", { class: "primary" }, "Arm");
  let fields = [];
  const chosen = () => kinds.find(({ fault }) => fault === pick.value);
  const draw = () => {
    fields = chosen().options.map((option) => ({ option, field: fieldOf(option) }));
    fill(about, chosen().summary);
    fill(
      options,
      fields.map(({ option, field }) => labelled(spelled(option.name), field, hint(option))),
    );
  };
  draw();
  const submit = (event) => {
    event.preventDefault();
    const given = fields.map(({ option, field }) => [
      option.name,
      field.type === "checkbox" ? field.checked : field.value,
    ]);
    const others = rest.fields.map((field) => [field.name, field.value]);
    tried(orderFrom(chosen(), Object.fromEntries(given), Object.fromEntries(others)), button);
  };
  return el(
    "form",
    { onsubmit: submit },
    el("div", {}, el("label", { for: pick.id }, "Fault"), pick),
    about,
    options,
    rest.shown,
    el("div", { class: "choices" }, cancel, button),
  );
}

function restFields({ methods, tools }) {
  const method = suggesting("method", methods, "any");
  const tool = suggesting("tool", tools, "any");
  const leg = el(
    "select",
    { name: "leg" },
    el("option", { value: "" }, "none"),
    LEGS.map((each) => el("option", {}, each)),
  );
  const counts = COUNTS.map(({ name, value, least, most }) =>
    el("input", { type: "number", name, value, min: least, max: most, required: true }),
  );
  const shown = [
    el(
      "fieldset",
      { class: "fields" },
      el("legend", {}, "Which requests"),
      labelled("method", method.field, null, method.list),
      labelled("tool", tool.field, null, tool.list),
      labelled("leg of OAuth", leg),
    ),
    el(
      "fieldset",
      { class: "fields" },
      el("legend", {}, "When"),
      COUNTS.map(({ words }, index) => labelled(words, counts[index])),
    ),
  ];
  return { fields: [method.field, tool.field, leg, ...counts], shown };
}

function suggesting(name, values, placeholder) {
  const list = el(
    "datalist",
    { id: `fault-${name}-list` },
    values.map((value) => el("option", { value })),
  );
  const field = el("input", { name, placeholder, list: list.id, autocomplete: "off", spellcheck: "false" });
  return { field, list };
}

function fieldOf({ name, kind, default: usual, least, most, choices }) {
  if (kind === "choice")
    return el(
      "select",
      {},
      choices.map((each) => el("option", { value: each, selected: each === usual }, each)),
    );
  if (kind === "boolean") return el("input", { type: "checkbox", checked: usual === true });
  if (kind === "integer" || kind === "number")
    return el("input", {
      type: "number",
      value: usual,
      min: least,
      max: most,
      step: kind === "integer" ? 1 : "any",
      placeholder: "none",
    });
  // An option without a usual value that has to be there is a list or a text.
  return el("input", {
    value: usual,
    required: usual === null,
    placeholder: kind === "list" ? "X-One, X-Two" : name,
    autocomplete: "off",
    spellcheck: "false",
  });
}

function hint({ kind, least, most }) {
  if (kind === "list") return "separated by commas";
  return least === null || most === null ? null : `${least} to ${most.toLocaleString("en-US")}`;
}

function labelled(words, field, about = null, ...more) {
  const isTick = field.type === "checkbox";
  const name = words.charAt(0).toUpperCase() + words.slice(1);
  return el(
    "label",
    { class: isTick ? "ticked" : null },
    isTick
      ? [field, name]
      : [el("span", {}, name, about && el("span", { class: "soft" }, ` ${about}`)), field],
    more,
  );
}
