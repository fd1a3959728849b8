/* What an operator does to a VEN or a candidate: what will happen, in words, and a button that says so.
   Rule: nothing is sent before the second click; one key for each dialog opened. */

import { call } from "./api.js";
import { Dialog } from "./dialog.js";
import { h } from "./dom.js";

const ven = (subject, what) => `/vens/${encodeURIComponent(subject.venID)}/${what}`;
const candidate = (subject, what) => `/candidates/${encodeURIComponent(subject.fingerprint)}/${what}`;

/* what is asked, what it means, the button, the request, and the fields of its body: [name, label, needed] */
const ACTS = {
  reregister: {
    title: (each) => `Ask ${each.venID} to register again?`,
    text: "It keeps its registration and everything it knows; it takes on the poll interval and transport that hold now.",
    confirm: "Ask it",
    path: (each) => ven(each, "reregister"),
    fields: [],
  },
  deregister: {
    title: (each) => `Cancel the registration of ${each.venID}?`,
    text: "The VEN is told, and what it has reported of its reports is erased. Events, opts and telemetry stay here. It may register again.",
    confirm: "Cancel the registration",
    danger: true,
    path: (each) => ven(each, "cancel-registration"),
    fields: [],
  },
  suspend: {
    title: (each) => `Suspend ${each.venID}?`,
    text: "Its messages are refused until you resume it. It is not told why. Its registration and data are kept.",
    confirm: "Suspend it",
    danger: true,
    path: (each) => ven(each, "suspend"),
    fields: [["reason", "Reason", false]],
  },
  resume: {
    title: (each) => `Let ${each.venID} in again?`,
    text: "What was published meanwhile and still holds is handed out when it next polls.",
    confirm: "Let it in",
    path: (each) => ven(each, "resume"),
    fields: [],
  },
  approve: {
    title: (each) => `Enrol ${each.subjectCN || "this candidate"}?`,
    text: "Its next try to register succeeds, and events can be aimed at it.",
    confirm: "Enrol it",
    path: (each) => candidate(each, "approve"),
    fields: [
      ["venID", "venID", true],
      ["venName", "Name", false],
      ["resources", "Resources, separated by commas", false],
    ],
    start: (each) => ({ venID: each.subjectCN, venName: each.venName ?? "" }),
  },
  reject: {
    title: (each) => `Reject ${each.subjectCN || "this candidate"}?`,
    text: "It stays refused and no longer waits here. It can still be enrolled through the API.",
    confirm: "Reject it",
    danger: true,
    path: (each) => candidate(each, "reject"),
    fields: [],
  },
};

export class VenDialog extends Dialog {
  #what = null;
  #key = "";
  #given = {};
  #faults = [];

  open(what, subject) {
    this.#what = ACTS[what];
    this.subject = subject;
    this.#key = crypto.randomUUID();
    this.#given = this.#what.start?.(subject) ?? {};
    this.#faults = [];
    this.redraw(this.#what.fields.length ? `act-${this.#what.fields[0][0]}` : "act-confirm");
  }

  #take(name, event) {
    this.#given[name] = event.target.value;
  }

  #body() {
    const body = {};
    for (const [name] of this.#what.fields) {
      const text = (this.#given[name] ?? "").trim();
      if (name === "resources") {
        const names = text.split(",").map((each) => each.trim());
        body.resources = names.filter(Boolean).map((resourceID) => ({ resourceID }));
      } else if (text) body[name] = text;
    }
    return body;
  }

  #send() {
    const missing = this.#what.fields.find(([name, , needed]) => needed && !(this.#given[name] ?? "").trim());
    if (missing) {
      this.#faults = [`${missing[1]} is needed`];
      return this.redraw(`act-${missing[0]}`);
    }
    this.send(
      () => call("POST", this.#what.path(this.subject), this.#body(), this.#key),
      (error) => {
        this.#faults = [error.message, error.problem.reference].filter(Boolean);
        this.#key = crypto.randomUUID();
      },
      () => undefined,
    );
  }

  view() {
    if (!this.isOpen) return null;
    const what = this.#what;
    return this.frame(
      { key: "ven-act", title: "act-title" },
      h("h2", { id: "act-title" }, what.title(this.subject)),
      h("p", {}, what.text),
      h("p", { class: "dim" }, h("code", {}, this.subject.fingerprint)),
      this.form(
        () => this.#send(),
        what.fields.map(([name, label]) =>
          h(
            "div",
            { key: name, class: "field" },
            h("label", { for: `act-${name}` }, label),
            h("input", {
              id: `act-${name}`,
              autocomplete: "off",
              on: { input: (e) => this.#take(name, e), change: (e) => this.#take(name, e) },
              props: { value: this.#given[name] ?? "" },
            }),
          ),
        ),
        this.#faults.length > 0 && h("p", { class: "fault", role: "alert", id: "act-fault" }, this.#faults.join("; ")),
        this.buttons({
          keep: "Back",
          id: "act-confirm",
          confirm: what.confirm,
          busy: "Sending…",
          danger: what.danger,
        }),
      ),
    );
  }
}
