/* Market contexts: what is laid down for each, and a form that lays it down.
   Rule: what is not said allows everything; the VTN judges, and its refusal is shown at the field. */

import { call } from "./api.js";
import { Dialog } from "./dialog.js";
import { h } from "./dom.js";
import { instant } from "./events.js";
import { fields } from "./form.js";
import * as f from "./format.js";

const KINDS = ["venID", "resourceID", "groupID", "partyID", "area"];
const PATH = "/market-contexts";
const pairText = (pair) => [pair.signalName, pair.signalType].filter(Boolean).join(" ");
const split = (text) => text.split(",").map((each) => each.trim()).filter(Boolean);

/** What the form begins with: a programme, or nothing said. */
const fresh = (programme) => ({
  key: crypto.randomUUID(),
  known: programme !== null,
  marketContext: programme?.marketContext ?? "",
  name: programme?.name ?? "",
  signals: (programme?.signals ?? []).map(pairText).join(", "),
  targets: new Set(programme?.targets ?? []),
  priorities: (programme?.priorities ?? []).join(", "),
  maxDuration: programme?.maxDuration ?? "",
  minNotification: programme?.minNotification ?? "",
  responseRequired: programme?.responseRequired ?? "",
  testEventsOnly: programme?.testEventsOnly ?? false,
  opts: programme?.opts,
});

const body = (form) => ({
  marketContext: form.marketContext.trim(),
  name: form.name.trim(),
  signals: split(form.signals).map((each) => {
    const [signalName, signalType] = each.split(/\s+/);
    return signalType ? { signalName, signalType } : { signalName };
  }),
  targets: KINDS.filter((kind) => form.targets.has(kind)),
  priorities: split(form.priorities).map(Number),
  maxDuration: form.maxDuration.trim() || null,
  minNotification: form.minNotification.trim() || null,
  responseRequired: form.responseRequired || null,
  testEventsOnly: form.testEventsOnly,
  ...(form.opts && { opts: form.opts }),
});

export class Programmes extends Dialog {
  #errors = {};

  /** Open the form for a programme, or for a new one (null). */
  open(programme) {
    this.subject = fresh(programme);
    this.#errors = {};
    this.redraw("programme-title");
  }

  #send(method) {
    const form = this.subject;
    const query = `?marketContext=${encodeURIComponent(form.marketContext)}`;
    this.send(
      () => (method === "DELETE" ? call("DELETE", PATH + query) : call(method, PATH, body(form), form.key)),
      (error) => {
        form.key = crypto.randomUUID();
        this.#errors = {};
        for (const each of error.problem.errors ?? [{ field: error.problem.field, reason: error.message }]) {
          const name = (each.field ?? "").split(".")[0];
          (this.#errors[name in form ? name : ""] ??= []).push(each.reason);
        }
      },
      () => "programme-title",
    );
  }

  /** The dialog, null while closed. */
  view() {
    const form = this.subject;
    if (!form) return null;
    const { fault, group, fieldset, faults } = fields(this.#errors);
    const set = (name) => (event) => {
      form[name] = event.target.value;
      this.redraw();
    };
    const input = (name, label, hint, more = {}) =>
      group(
        name,
        label,
        h("input", {
          id: `f-${name}`,
          autocomplete: "off",
          spellcheck: "false",
          placeholder: hint,
          ...fault(name),
          ...more,
          on: { input: set(name), change: set(name) },
          props: { value: form[name] },
        }),
      );
    const box = (checked, label, change) =>
      h(
        "label",
        { key: label, class: "choice" },
        h("input", { type: "checkbox", on: { change }, props: { checked } }),
        label,
      );
    const kinds = KINDS.map((kind) =>
      box(form.targets.has(kind), kind, () => {
        if (!form.targets.delete(kind)) form.targets.add(kind);
        this.redraw();
      }),
    );
    const answers = ["", "always", "never"].map((each) =>
      h("option", { key: each, value: each }, each || "always, unless said"),
    );
    return this.frame(
      { key: "programme", title: "programme-title", back: "programme-new", wide: true },
      h(
        "h2",
        { id: "programme-title", tabindex: "-1" },
        form.known ? "Programme of a market context" : "Set up a market context",
      ),
      h("p", { class: "dim" }, "What is left empty allows everything. Events that are out already stay as they are."),
      h("ul", { class: "faults", role: "alert" }, (this.#errors[""] ?? []).map((text) => h("li", {}, text))),
      this.form(
        () => this.#send(form.known ? "PUT" : "POST"),
        input("marketContext", "Market context", "the URI of the programme", { disabled: form.known }),
        input("name", "Name", ""),
        input("signals", "Signals", "SIMPLE level, ELECTRICITY_PRICE"),
        fieldset("targets", "Targets", h("div", { class: "choices" }, kinds)),
        h(
          "div",
          { class: "columns" },
          input("priorities", "Priorities", "1, 2"),
          input("maxDuration", "Longest event", "PT4H"),
          input("minNotification", "Shortest notice", "PT10M"),
        ),
        group(
          "responseRequired",
          "Answer required",
          h(
            "select",
            {
              id: "f-responseRequired",
              on: { change: set("responseRequired") },
              props: { value: form.responseRequired },
            },
            answers,
          ),
        ),
        box(form.testEventsOnly, "Test events only", (event) => {
          form.testEventsOnly = event.target.checked;
          this.redraw();
        }),
        faults("opts"),
        this.buttons(
          { back: "programme-new", keep: "Close", id: "programme-save", confirm: "Save", busy: "Saving…" },
          form.known &&
            h("button", { type: "button", class: "danger", on: { click: () => this.#send("DELETE") } }, "Forget it"),
        ),
      ),
    );
  }
}

/** The list of programmes. */
export function programmeList(data, filter, now, act) {
  const wanted = filter.toLowerCase();
  const fitting = data.programmes.filter((each) => `${each.marketContext} ${each.name}`.toLowerCase().includes(wanted));
  const heads = ["Market context", "Signals", "Targets", "Priorities", "Length and notice", "Opt schedules", "Changed"];
  const some = (list) => (list.length ? list.join(", ") : h("span", { class: "dim" }, "any"));
  const row = (each) =>
    h(
      "tr",
      { key: each.marketContext },
      h(
        "th",
        { scope: "row" },
        each.name,
        each.testEventsOnly && " (tests only)",
        h("div", { class: "dim" }, each.marketContext),
        h("button", { type: "button", class: "edit", on: { click: () => act.programme(each) } }, "Change…"),
      ),
      h("td", {}, some(each.signals.map(pairText))),
      h("td", {}, some(each.targets)),
      h("td", {}, some(each.priorities)),
      h(
        "td",
        {},
        each.maxDuration ? `up to ${f.duration(each.maxDuration)}` : "any length",
        h("div", {}, each.minNotification ? `${f.duration(each.minNotification)} ahead` : "no notice needed"),
      ),
      h(
        "td",
        {},
        some(each.opts.scheduleTypes),
        h("div", { class: "dim" }, `${each.opts.defaultState} by default, ${each.opts.precedence} wins`),
      ),
      h("td", {}, instant(each.modifiedDateTime, now), h("div", { class: "dim" }, each.actor)),
    );
  return h(
    "section",
    { key: "Programmes", class: "list", "aria-labelledby": "list-title" },
    h(
      "header",
      { class: "title" },
      h("h2", { id: "list-title" }, "Programmes ", h("span", { class: "dim" }, fitting.length)),
      h(
        "button",
        { type: "button", id: "programme-new", on: { click: () => act.programme(null) } },
        "Set up a market context…",
      ),
    ),
    fitting.length
      ? h(
          "div",
          { class: "scroll" },
          h(
            "table",
            { "aria-label": "Programmes" },
            h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
            h("tbody", {}, fitting.map(row)),
          ),
        )
      : h("p", { class: "empty" }, "No market context is set up; events of any market context can be published."),
  );
}
