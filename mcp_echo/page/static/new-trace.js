// Makes a trace. Another option is one row below; what the server does not take is not shown.

import { change } from "./api.js";
import { el, fill } from "./dom.js";
import { keepOwn } from "./own-traces.js";

const HOUR = 3600;
const SPANS = [
  [HOUR, "1 hour"],
  [24 * HOUR, "1 day"],
  [7 * 24 * HOUR, "7 days"],
];

const CHALLENGES = [
  ["", "No"],
  ["oauth", "Yes, from an authorization server of its own"],
  ["token", "Yes, from an outside issuer"],
];

const OPTIONS = [
  {
    name: "label",
    words: "Label",
    field: () => el("input", { maxlength: 100, placeholder: "staging login", autocomplete: "off" }),
    value: text,
  },
  {
    name: "expect",
    words: "Headers that should arrive",
    hint: "separated by commas; each request without one is a finding",
    field: () =>
      el("input", { placeholder: "Authorization, X-Tenant", autocomplete: "off", spellcheck: "false" }),
    value: words,
  },
  {
    name: "challenge",
    words: "Asks for an access token",
    field: () =>
      el(
        "select",
        {},
        CHALLENGES.map(([value, name]) => el("option", { value }, name)),
      ),
    value: text,
  },
  {
    name: "scopes",
    words: "Scopes that the token needs",
    hint: "separated by commas; only where the trace asks for a token",
    field: () => el("input", { placeholder: "mcp:read", autocomplete: "off", spellcheck: "false" }),
    value: words,
  },
  { name: "seconds", words: "Lasts", field: spans, value: number },
  {
    name: "strict",
    words: "Strict: refuse what the specification forbids",
    field: () => el("input", { type: "checkbox" }),
    value: checked,
  },
];

const DRILL = {
  name: "drill",
  words: "Drill",
  hint: "what its first clients meet; the page tells what they do",
};

class NewTrace extends HTMLElement {
  /**
   * @param {{options: string[], seconds: number, plans: {plan: string, summary: string}[]}} known - What the server
   *   takes, how long a trace lasts, and the drills that there are.
   */
  show(known) {
    this.fields = OPTIONS.filter(({ name }) => known.options.includes(name)).map((option) => ({
      option,
      field: option.field(known),
    }));
    this.message = el("p", { class: "note error", role: "alert", hidden: true });
    this.button = el("button", { class: "primary" }, "New trace");
    const rows = this.fields.map(({ option, field }) => row(option, field));
    this.drill = el("select", { onchange: () => this.tell(known.plans) }, drills(known.plans));
    if (known.plans.length > 0) rows.splice(-1, 0, row(DRILL, this.drill));
    fill(this, el("form", { onsubmit: (event) => this.make(event) }, rows, this.message, this.button));
  }

  /** Say what the chosen drill does. */
  tell(plans) {
    const summary = plans.find(({ plan }) => plan === this.drill.value)?.summary ?? DRILL.hint;
    fill(this.querySelector(`#${this.drill.getAttribute("aria-describedby")}`), summary);
  }

  async make(event) {
    event.preventDefault();
    const wanted = {};
    for (const { option, field } of this.fields) {
      const value = option.value(field);
      if (value !== undefined) wanted[option.name] = value;
    }
    this.button.disabled = true;
    try {
      const made = await change("POST", "t", wanted);
      keepOwn(made);
      if (this.drill.value) await change("POST", `t/${made.trace}/faults`, { plan: this.drill.value });
      location.assign(`t/${made.trace}/`);
    } catch (error) {
      fill(this.message, error.message);
      this.message.hidden = false;
      this.button.disabled = false;
    }
  }
}

function drills(plans) {
  return [el("option", { value: "" }, "None"), plans.map(({ plan }) => el("option", { value: plan }, plan))];
}

function row({ name, words: label, hint }, field) {
  field.id = `new-${name}`;
  const about = hint && el("span", { class: "soft", id: `${field.id}-hint` }, hint);
  if (about) field.setAttribute("aria-describedby", about.id);
  const isTick = field.type === "checkbox";
  return el(
    "label",
    { class: isTick ? "tick" : null, for: field.id },
    isTick ? [field, label] : [label, field],
    about,
  );
}

function spans({ seconds }) {
  const every = SPANS.some(([each]) => each === seconds)
    ? SPANS
    : [[seconds, `${seconds} seconds`], ...SPANS];
  return el(
    "select",
    {},
    every.map(([each, name]) => el("option", { value: each, selected: each === seconds }, name)),
  );
}

function text(field) {
  return field.value.trim() || undefined;
}

function words(field) {
  const every = field.value.split(/[\s,]+/).filter(Boolean);
  return every.length > 0 ? every : undefined;
}

function number(field) {
  return Number(field.value);
}

function checked(field) {
  return field.checked || undefined;
}

customElements.define("new-trace", NewTrace);
