/* Cancelling an event: which one, why, and a button that says so. Rule: one key for each dialog opened. */

import { post, vtnNow } from "./api.js";
import { Dialog } from "./dialog.js";
import { h } from "./dom.js";
import { phase } from "./events.js";
import * as f from "./format.js";

export class Cancel extends Dialog {
  #key = "";
  #reason = "";
  #faults = [];

  open(event) {
    this.subject = event;
    this.#key = crypto.randomUUID();
    this.#reason = "";
    this.#faults = [];
    this.redraw("reason");
  }

  #send() {
    if (!this.#reason.trim()) {
      this.#faults = ["say why: it is kept with the event and sent to the VENs"];
      return this.redraw("reason");
    }
    const path = `/events/${encodeURIComponent(this.subject.eventID)}/cancel`;
    this.send(
      () => post(path, { reason: this.#reason.trim() }, this.#key),
      (error) => {
        const { responseCode, reference } = error.problem;
        this.#faults = [error.message, responseCode && `response code ${responseCode}`, reference].filter(Boolean);
      },
      () => "reason",
    );
  }

  view() {
    const event = this.subject;
    if (!event) return null;
    const fault = this.#faults.length > 0;
    return this.frame(
      { key: "cancel", title: "cancel-title", back: "cancel" },
      h("h2", { id: "cancel-title" }, "Cancel this event?"),
      h(
        "p",
        {},
        h(
          "strong",
          {},
          `${f.signalName(event.signals[0])} ${f.value(event.signals[0], event.signals[0].intervals[0].value)}`,
        ),
        `, ${phase(event, vtnNow())}`,
      ),
      h("p", { class: "dim" }, h("code", {}, event.eventID)),
      h("p", {}, "Every VEN is told, and loads go back to normal. A cancelled event cannot be brought back."),
      this.form(
        () => this.#send(),
        h(
          "div",
          { class: "field" },
          h("label", { for: "reason" }, "Reason"),
          h("input", {
            id: "reason",
            autocomplete: "off",
            maxlength: 4000,
            "aria-invalid": fault && "true",
            "aria-describedby": fault && "fault-reason",
            on: {
              input: (e) => {
                this.#reason = e.target.value;
              },
            },
            props: { value: this.#reason },
          }),
          fault && h("p", { class: "fault", id: "fault-reason" }, this.#faults.join("; ")),
        ),
        this.buttons({
          back: "cancel",
          keep: "Keep the event",
          id: "cancel-confirm",
          confirm: "Cancel the event",
          busy: "Cancelling…",
          danger: true,
        }),
      ),
    );
  }
}
