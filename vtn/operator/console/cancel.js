/* Cancelling an event: which one, why, and a button that says so. Rule: one key for each dialog opened. */

import { ApiError, post, vtnNow } from "./api.js";
import { h } from "./dom.js";
import { phase } from "./events.js";
import * as f from "./format.js";

export class Cancel {
  #event = null;
  #key = "";
  #reason = "";
  #faults = [];
  #sending = false;
  #redraw;
  #done;
  #refused;

  constructor(redraw, done, refused) {
    this.#redraw = redraw;
    this.#done = done;
    this.#refused = refused;
  }

  get isOpen() {
    return this.#event !== null;
  }

  open(event) {
    this.#event = event;
    this.#key = crypto.randomUUID();
    this.#reason = "";
    this.#faults = [];
    this.#redraw("reason");
  }

  #close() {
    if (this.#sending) return;
    this.#event = null;
    this.#redraw("cancel");
  }

  async #send() {
    if (this.#sending) return;
    if (!this.#reason.trim()) {
      this.#faults = ["say why: it is kept with the event and sent to the VENs"];
      return this.#redraw("reason");
    }
    this.#sending = true;
    this.#redraw();
    try {
      const event = await post(
        `/events/${encodeURIComponent(this.#event.eventID)}/cancel`,
        { reason: this.#reason.trim() },
        this.#key,
      );
      this.#event = null;
      this.#done(event);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { responseCode, reference } = error.problem;
      this.#faults = [error.message, responseCode && `response code ${responseCode}`, reference].filter(Boolean);
      if (error.status === 401) {
        this.#event = null;
        this.#refused(error);
      }
    } finally {
      this.#sending = false;
      this.#redraw(this.#event ? "reason" : undefined);
    }
  }

  view() {
    const event = this.#event;
    if (!event) return null;
    const fault = this.#faults.length > 0;
    return h(
      "dialog",
      {
        key: "cancel",
        "aria-labelledby": "cancel-title",
        on: {
          cancel: (e) => {
            e.preventDefault();
            this.#close();
          },
        },
      },
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
      h(
        "form",
        {
          novalidate: true,
          on: {
            submit: (e) => {
              e.preventDefault();
              this.#send();
            },
          },
        },
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
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "button", on: { click: () => this.#close() } }, "Keep the event"),
          h(
            "button",
            { type: "submit", id: "cancel-confirm", class: "danger filled", disabled: this.#sending },
            this.#sending ? "Cancelling…" : "Cancel the event",
          ),
        ),
      ),
    );
  }
}
