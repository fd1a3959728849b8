/* Publishing an event: a form, then a summary to be confirmed on purpose, then one POST with the form's key.
   Rule: what was confirmed is what is sent, byte for byte; the VTN judges, and its refusal is shown at the field. */

import { ApiError, post, vtnNow } from "./api.js";
import { h } from "./dom.js";
import { KINDS, body, check, focusOf, fresh, reach, refusals } from "./draft.js";
import { formView } from "./form.js";
import * as f from "./format.js";

const singular = (title) => title.replace(/ies$/, "ys").slice(0, -1).toLowerCase().replace("ven", "VEN");

export class Publish {
  #form = fresh();
  #errors = {};
  #body = null;
  #sure = false;

  /** `redraw` draws everything anew, `done` takes the published event, `refused` a 401. */
  constructor(redraw, done, refused) {
    this.step = "closed";
    this.#redraw = redraw;
    this.#done = done;
    this.#refused = refused;
  }

  #redraw;
  #done;
  #refused;

  /** Open the form; what was typed before and not published is still there. */
  open(data) {
    this.step = "form";
    this.#form.context ||= data.events[0]?.marketContext ?? "";
    this.#redraw("publish-title");
  }

  #close() {
    if (this.step === "sending") return;
    this.step = "closed";
    this.#redraw("publish");
  }

  #set(name, value) {
    this.#form[name] = value;
    this.#redraw();
  }

  /** Check that there is something to send, and build it. */
  #review() {
    const errors = check(this.#form);
    this.#errors = errors;
    if (Object.keys(errors).length) return this.#redraw(focusOf(errors));
    this.#body = body(this.#form, vtnNow());
    this.#sure = false;
    this.step = "review";
    this.#redraw("publish-title");
  }

  async #send() {
    if (this.step !== "review" || !this.#sure) return;
    this.step = "sending";
    this.#redraw();
    try {
      const event = await post("/events", this.#body, this.#form.key);
      this.#form = fresh();
      this.#errors = {};
      this.step = "closed";
      this.#done(event);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#fail(error);
    }
  }

  #fail(error) {
    const unknown = error.status === 0 || error.status >= 500;
    this.step = unknown ? "review" : "form";
    if (error.status === 401) {
      this.step = "closed";
      return this.#refused(error);
    }
    if (unknown)
      this.#errors = {
        "": [`${error.message} Whether the event was published is not known; to send the same again is safe.`],
      };
    else if (error.problem.field === "Idempotency-Key")
      this.#errors = {
        "": [
          "An earlier attempt of this form was published: look at the list. Clear the form to publish another event.",
        ],
      };
    else this.#errors = refusals(error);
    this.#redraw(unknown ? "publish-title" : focusOf(this.#errors));
  }

  /** The dialog, null while closed. */
  view(data) {
    if (this.step === "closed") return null;
    const form = this.step === "form";
    return h(
      "dialog",
      {
        key: "publish",
        class: "wide",
        "aria-labelledby": "publish-title",
        on: {
          cancel: (event) => {
            event.preventDefault();
            this.#close();
          },
        },
      },
      h("h2", { id: "publish-title", tabindex: "-1" }, form ? "Publish an event" : "Check, then publish"),
      h(
        "ul",
        { class: "faults", role: "alert" },
        (this.#errors[""] ?? []).map((text) => h("li", {}, text)),
      ),
      form ? formView(this.#form, this.#errors, data, this.#actions(data)) : this.#reviewView(data),
    );
  }

  #actions(data) {
    return {
      set: (name, value) => this.#set(name, value),
      toggle: (target) => {
        if (!this.#form.chosen.delete(target)) this.#form.chosen.add(target);
        this.#redraw();
      },
      review: () => this.#review(),
      clear: () => {
        this.#form = fresh();
        this.#errors = {};
        this.open(data);
      },
      close: () => this.#close(),
    };
  }

  #reviewView(data) {
    const sending = this.step === "sending";
    const sent = this.#body;
    const start = sent.dtstart ? Date.parse(sent.dtstart) : null;
    const late = start !== null && start < vtnNow();
    const [signal] = sent.signals;
    const rows = [
      ["Signal", `${signal.signalName} ${signal.signalType}`],
      ["Value", f.value(signal, signal.intervals[0].value)],
      ["Market context", sent.marketContext],
      [
        "Targets",
        KINDS.flatMap(([kind, title]) =>
          sent.targets[kind].map((name) => `${singular(title)} ${name}`),
        ).join(", "),
      ],
      ["Reaches", reach(data, this.#form.chosen)],
      [
        "Start",
        start === null
          ? "now, as soon as it is published"
          : `${f.moment(start, vtnNow())} ${f.zone(start)}, ${late ? "which has passed" : `in ${f.span(start - vtnNow())}`}`,
      ],
      ["Duration", f.duration(sent.duration)],
      ["Starts spread over", f.duration(sent.startafter ?? "PT0S", "nothing: all at once")],
      ["Priority", sent.priority === 0 ? "0 (lowest)" : sent.priority],
      ["Comment", sent.vtnComment ?? "–"],
      ["Test event", sent.testEvent ? "yes" : "no"],
    ];
    return h(
      "form",
      {
        key: "review",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.#send();
          },
        },
      },
      h(
        "dl",
        { class: "facts summary" },
        rows.map(([name, text]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, text))),
      ),
      late &&
        h("p", { class: "fault" }, "The start has passed while this was being checked. Go back and set it again."),
      h(
        "label",
        { class: "choice sure" },
        h("input", {
          id: "sure",
          type: "checkbox",
          disabled: sending,
          on: {
            change: (event) => {
              this.#sure = event.target.checked;
              this.#redraw();
            },
          },
          props: { checked: this.#sure },
        }),
        "I have checked this. Real loads may be limited.",
      ),
      h(
        "div",
        { class: "buttons" },
        h(
          "button",
          {
            type: "button",
            disabled: sending,
            on: {
              click: () => {
                this.step = "form";
                this.#redraw("publish-title");
              },
            },
          },
          "Back",
        ),
        h(
          "button",
          { type: "submit", id: "confirm", class: "primary", disabled: sending || late || !this.#sure },
          sending ? "Publishing…" : "Publish event",
        ),
      ),
    );
  }
}
