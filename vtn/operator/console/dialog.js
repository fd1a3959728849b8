/* What every dialog that changes one thing shares: open or not, one request at a time, and what a refusal does.
   Rule: it does not close while its request is under way; without a session it closes and the sign-in shows. */

import { ApiError } from "./api.js";
import { h } from "./dom.js";

export class Dialog {
  subject = null; // what the dialog is about, null while closed
  sending = false;

  /** `redraw` draws everything anew and puts the cursor on an id, `done` takes the answer, `refused` a 401. */
  constructor(redraw, done, refused) {
    this.redraw = redraw;
    this.done = done;
    this.refused = refused;
  }

  get isOpen() {
    return this.subject !== null;
  }

  close(focus) {
    if (this.sending) return;
    this.subject = null;
    this.redraw(focus);
  }

  /** Send `request`; close after it, or let `explain` say what the refusal means and put the cursor on `focus()`. */
  async send(request, explain, focus) {
    if (this.sending) return;
    this.sending = true;
    this.redraw();
    try {
      const answer = await request();
      this.subject = null;
      this.done(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      explain(error);
      if (error.status === 401) {
        this.subject = null;
        this.refused(error);
      }
    } finally {
      this.sending = false;
      this.redraw(this.isOpen ? focus() : undefined);
    }
  }

  /** The dialog around its content; Escape closes it and puts the cursor on `back`. */
  frame({ key, title, back, wide }, ...content) {
    const cancel = (event) => {
      event.preventDefault();
      this.close(back);
    };
    return h("dialog", { key, class: wide && "wide", "aria-labelledby": title, on: { cancel } }, ...content);
  }

  /** A form whose submit calls `submit` and nothing else. */
  form(submit, ...content) {
    const sent = (event) => {
      event.preventDefault();
      submit();
    };
    return h("form", { novalidate: true, on: { submit: sent } }, ...content);
  }

  /** The row of buttons: any before, one that closes, one that submits and says so while it does. */
  buttons({ back, keep, id, confirm, busy, danger }, ...before) {
    return h(
      "div",
      { class: "buttons" },
      ...before,
      h("button", { type: "button", on: { click: () => this.close(back) } }, keep),
      h(
        "button",
        { type: "submit", id, class: danger ? "danger filled" : "primary", disabled: this.sending },
        this.sending ? busy : confirm,
      ),
    );
  }
}
