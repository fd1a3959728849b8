/* Changing an event: a form of what may still change, and one PUT that names the version it is about.
   Rule: what others changed meanwhile is not overwritten; the VTN refuses (409), and that is said. */

import { put, vtnNow } from "./api.js";
import { body, check, fresh, refusals, rows } from "./changed.js";
import { Dialog } from "./dialog.js";
import { h } from "./dom.js";
import { badge, phase, shortSignal } from "./events.js";
import { fields, picker } from "./form.js";
import * as f from "./format.js";

const SHOWN = 100; // intervals of a signal drawn

export class Change extends Dialog {
  #form = null;
  #errors = {};

  open(detail) {
    this.subject = detail;
    this.#form = fresh(detail, vtnNow());
    this.#errors = {};
    this.redraw("change-title");
  }

  #set(name, value) {
    this.#form[name] = value;
    this.redraw();
  }

  #send() {
    this.#errors = check(this.#form);
    const first = () => Object.keys(this.#errors).find((name) => name);
    if (first()) return this.redraw(`fault-${first()}`);
    const path = `/events/${encodeURIComponent(this.subject.eventID)}`;
    this.send(
      () => put(path, body(this.#form, this.subject, vtnNow()), this.#form.key),
      (error) => {
        this.#errors = refusals(error);
        if (error.status !== 0 && error.status < 500) this.#form.key = crypto.randomUUID();
      },
      () => (first() ? `fault-${first()}` : "change-title"),
    );
  }

  /** The dialog, null while closed. */
  view(data) {
    const detail = this.subject;
    if (!detail) return null;
    return this.frame(
      { key: "change", title: "change-title", back: "change", wide: true },
      h("h2", { id: "change-title", tabindex: "-1" }, "Change this event"),
      h("p", {}, h("strong", {}, shortSignal(detail.signals[0])), `, ${phase(detail, vtnNow())}`),
      h("p", { class: "dim" }, h("code", {}, detail.eventID), ` version ${detail.modificationNumber}`),
      h(
        "ul",
        { class: "faults", role: "alert" },
        (this.#errors[""] ?? []).map((text) => h("li", {}, text)),
      ),
      this.#formView(data),
    );
  }

  #formView(data) {
    const { fault, faults, group, fieldset } = fields(this.#errors);
    const form = this.#form;
    const set = (name) => (event) => this.#set(name, event.target.value);
    const input = (name, attributes = {}) =>
      h("input", {
        id: `f-${name}`,
        autocomplete: "off",
        ...fault(name),
        ...attributes,
        on: { input: set(name), change: set(name) },
        props: { value: form[name] },
      });
    const act = {
      set: (name, value) => this.#set(name, value),
      toggle: (target) => {
        if (!form.chosen.delete(target)) form.chosen.add(target);
        this.redraw();
      },
    };
    return this.form(
      () => this.#send(),
      fieldset("values", "Values", this.subject.signals.map((signal) => this.#values(signal))),
      h(
        "div",
        { class: "columns" },
        group(
          "length",
          "Duration",
          h(
            "div",
            { class: "inline" },
            input("length", { inputmode: "numeric", placeholder: "open-ended" }),
            h(
              "select",
              {
                "aria-label": "unit of the duration",
                on: { change: set("lengthUnit") },
                props: { value: form.lengthUnit },
              },
              ["s", "min", "h"].map((each) => h("option", { key: each, value: each }, each)),
            ),
          ),
        ),
        !form.active &&
          group(
            "later",
            "Start later by",
            h("div", { class: "inline" }, input("later", { placeholder: "0" }), " minutes"),
            faults("start"),
          ),
        group("priority", "Priority", input("priority", { inputmode: "numeric" })),
      ),
      fieldset("targets", "Targets", picker(form, data, act)),
      group("comment", "Comment", input("comment")),
      group("reason", "Reason of the change", input("reason", { maxlength: 4000 })),
      this.buttons({
        back: "change",
        keep: "Leave it as it is",
        id: "change-confirm",
        confirm: "Change the event",
        busy: "Changing…",
      }),
    );
  }

  #values(signal) {
    const start = f.at(this.subject.dtstart);
    const now = vtnNow();
    const typed = (name) => (event) => {
      this.#form.values[name] = event.target.value;
      this.redraw();
    };
    const row = (each) =>
      h(
        "tr",
        { key: each.name, class: each.state === "running" && "current" },
        h("td", {}, f.moment(start + each.from * 1000, now)),
        h("td", {}, each.end === null ? "open-ended" : f.moment(start + each.end * 1000, now)),
        h(
          "td",
          {},
          h("input", {
            "aria-label": `value from ${f.clock(start + each.from * 1000)}`,
            class: "value",
            inputmode: "decimal",
            autocomplete: "off",
            disabled: each.state === "past",
            on: { input: typed(each.name), change: typed(each.name) },
            props: { value: this.#form.values[each.name] ?? "" },
          }),
        ),
        h(
          "td",
          { class: "dim" },
          each.state === "past" && "past, stays",
          each.state === "running" && [badge("active"), " a new value applies from now on"],
        ),
      );
    const all = rows(this.subject, signal, now);
    return h(
      "div",
      { key: signal.signalID, class: "scroll low" },
      h(
        "table",
        { "aria-label": f.signalName(signal) },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["From", "To", f.signalName(signal), ""].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h("tbody", {}, all.slice(0, SHOWN).map(row)),
      ),
      all.length > SHOWN &&
        h("p", { class: "dim" }, `and ${all.length - SHOWN} more intervals, which stay as they are`),
    );
  }
}
