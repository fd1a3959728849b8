/* The form of a draft. Rule: a pure view; what is typed goes out through `act`. */

import { KINDS, SIGNALS, UNITS, namesOf, reach } from "./draft.js";
import { h } from "./dom.js";
import * as f from "./format.js";

const LEVELS = ["0 normal", "1 moderate", "2 high", "3 special"];
const SHOWN = 200; // targets of a kind drawn at once; the filter narrows

/** The form; `act` takes set(name, value), toggle(target), review(), clear() and close(). */
export function formView(form, errors, data, act) {
  const { fault, faults, group, fieldset } = fields(errors);
  const set = (name) => (event) =>
    act.set(name, event.target.type === "checkbox" ? event.target.checked : event.target.value);
  const input = (name, attributes) =>
    h("input", {
      id: `f-${name}`,
      ...attributes,
      on: { input: set(name), change: set(name) },
      props: { value: form[name] },
    });
  const unit = (name, label) =>
    h(
      "select",
      { "aria-label": label, on: { change: set(name) }, props: { value: form[name] } },
      Object.keys(UNITS).map((each) => h("option", { key: each, value: each }, each)),
    );
  const radio = (name, value, ...label) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name, value, on: { change: set(name) }, props: { checked: form[name] === value } }),
      ...label,
    );
  const known = [...new Set(data.events.map((event) => event.marketContext))];
  return h(
    "form",
    {
      key: "form",
      novalidate: true,
      on: {
        submit: (event) => {
          event.preventDefault();
          act.review();
        },
      },
    },
    group(
      "context",
      "Market context",
      h("input", {
        id: "f-context",
        list: "contexts",
        autocomplete: "off",
        spellcheck: "false",
        ...fault("context"),
        on: { input: set("context"), change: set("context") },
        props: { value: form.context },
      }),
      h(
        "datalist",
        { id: "contexts" },
        known.map((each) => h("option", { key: each, value: each })),
      ),
    ),
    fieldset(
      "value",
      "Signal",
      h(
        "div",
        { class: "choices" },
        Object.entries(SIGNALS).map(([key, each]) => radio("signal", key, each.label)),
      ),
      form.signal === "simple"
        ? h(
            "div",
            { key: "simple", class: "choices levels" },
            LEVELS.map((text, level) => radio("level", String(level), text)),
          )
        : h(
            "div",
            { key: "capacity", class: "inline" },
            h("label", { for: "f-capacity" }, "Share of the installed maximum, 0 to 1"),
            input("capacity", { inputmode: "decimal", autocomplete: "off" }),
            h(
              "span",
              { class: "dim" },
              form.capacity.trim() !== "" &&
                Number.isFinite(Number(form.capacity)) &&
                `= ${f.number(Number(form.capacity) * 100, 1)} %`,
            ),
          ),
    ),
    fieldset("targets", "Targets", picker(form, data, act)),
    h(
      "div",
      { class: "columns" },
      fieldset(
        "start",
        "Start",
        h(
          "div",
          { class: "choices" },
          radio("when", "now", "now"),
          radio(
            "when",
            "in",
            "in ",
            h("input", {
              id: "f-minutes",
              "aria-label": "minutes until the start",
              inputmode: "numeric",
              on: {
                input: (event) => {
                  form.when = "in";
                  set("minutes")(event);
                },
              },
              props: { value: form.minutes },
            }),
            " minutes",
          ),
        ),
      ),
      group(
        "duration",
        "Duration",
        h(
          "div",
          { class: "inline" },
          h("input", {
            id: "f-duration",
            inputmode: "numeric",
            ...fault("duration"),
            on: { input: set("length"), change: set("length") },
            props: { value: form.length },
          }),
          unit("lengthUnit", "unit of the duration"),
        ),
      ),
      group(
        "startafter",
        "Spread starts over",
        h(
          "div",
          { class: "inline" },
          h("input", {
            id: "f-startafter",
            inputmode: "numeric",
            placeholder: "none",
            ...fault("startafter"),
            on: { input: set("spread"), change: set("spread") },
            props: { value: form.spread },
          }),
          unit("spreadUnit", "unit of the spread"),
        ),
      ),
      group(
        "priority",
        "Priority",
        input("priority", { inputmode: "numeric", ...fault("priority"), "aria-describedby": "priority-hint" }),
        h("small", { id: "priority-hint", class: "dim" }, "1 is the highest, 0 the lowest"),
      ),
    ),
    group("comment", "Comment", input("comment", { autocomplete: "off", ...fault("comment") })),
    h(
      "label",
      { class: "choice" },
      h("input", { id: "f-test", type: "checkbox", on: { change: set("test") }, props: { checked: form.test } }),
      "Test event: marked as such; a VEN may act on it all the same",
    ),
    faults("test"),
    h(
      "div",
      { class: "buttons" },
      h(
        "button",
        {
          type: "button",
          on: {
            click: act.clear,
          },
        },
        "Clear",
      ),
      h("button", { type: "button", on: { click: act.close } }, "Close"),
      h("button", { type: "submit", id: "review", class: "primary" }, "Check…"),
    ),
  );
}

/** Labels, fields and the faults beside them. */
export function fields(errors) {
  const fault = (name) => {
    return errors[name] ? { "aria-invalid": "true", "aria-describedby": `fault-${name}` } : {};
  };

  const faults = (name) => {
    const texts = errors[name];
    return texts && h("p", { class: "fault", id: `fault-${name}`, tabindex: "-1" }, texts.join("; "));
  };

  const group = (name, label, ...content) => {
    return h("div", { class: "field" }, h("label", { for: `f-${name}` }, label), ...content, faults(name));
  };

  const fieldset = (name, legend, ...content) => {
    return h("fieldset", { class: "field", ...fault(name) }, h("legend", {}, legend), ...content, faults(name));
  };
  return { fault, faults, group, fieldset };
}

/** The choice of targets; `form` holds `chosen` and `search`. */
export function picker(form, data, act) {
  const { chosen, search } = form;
  const wanted = search.toLowerCase();
  const lists = KINDS.map(([kind, title]) => [
    kind,
    title,
    namesOf(data, kind).filter((name) => name.toLowerCase().includes(wanted)),
  ]);
  return [
    h(
      "div",
      { class: "inline" },
      h("input", {
        type: "search",
        "aria-label": "Filter targets",
        placeholder: "Filter targets",
        on: {
          input: (event) => act.set("search", event.target.value),
          keydown: (event) => event.key === "Enter" && event.preventDefault(),
        },
        props: { value: search },
      }),
      h("span", { class: "dim", role: "status" }, reach(data, chosen)),
    ),
    h(
      "div",
      { class: "picker", tabindex: "0", role: "group", "aria-label": "Targets" },
      lists.map(
        ([kind, title, names]) =>
          names.length > 0 &&
          h(
            "section",
            { key: kind },
            h("h4", {}, title),
            h(
              "div",
              { class: "names" },
              names.slice(0, SHOWN).map((name) => {
                const key = `${kind}:${name}`;
                return h(
                  "label",
                  { key, class: "choice" },
                  h("input", {
                    type: "checkbox",
                    value: key,
                    on: { change: () => act.toggle(key) },
                    props: { checked: chosen.has(key) },
                  }),
                  name,
                );
              }),
            ),
            names.length > SHOWN && h("p", { class: "dim" }, `and ${names.length - SHOWN} more; narrow the filter`),
          ),
      ),
    ),
  ];
}
