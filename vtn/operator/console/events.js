/* The list of events, and what it shares with the other views.
   Rule: pure views; what they show comes in as arguments, what they do goes out through `act`. */

import { h } from "./dom.js";
import * as f from "./format.js";

const RANK = { active: 0, near: 1, far: 2 };
const GROUPS = [
  ["In force", (event) => event.eventStatus === "active"],
  ["Coming", (event) => event.eventStatus === "near" || event.eventStatus === "far"],
  ["Past", (event) => !(event.eventStatus in RANK)],
];

export const badge = (text, kind = text) => h("span", { class: `badge ${kind}` }, text);
export const live = (event) => event.eventStatus in RANK;

export const optText = (type) => ({ optIn: "in", optOut: "out" })[type] ?? "not heard";

export function onlineText(online) {
  if (online === null) return h("span", { class: "dim" }, "–");
  return online ? h("span", { class: "dot up" }, "online") : h("span", { class: "dot down" }, "offline");
}

/** An instant in the browser's zone, with the standard's text on hover. */
export function instant(text, now) {
  return text ? h("time", { datetime: text, title: text }, f.moment(f.at(text), now)) : "–";
}

/** How long ago an instant was. */
export function age(text, now) {
  return text
    ? h("time", { datetime: text, title: text }, f.age(f.at(text), now))
    : h("span", { class: "dim" }, "never");
}

/** Where an event is in its life: "ends in 12 min 05 s". */
export function phase(event, now) {
  const start = f.at(event.dtstart);
  const end = f.endOf(start, event.duration);
  if (event.eventStatus === "cancelled") return `cancelled ${f.age(f.at(event.modifiedDateTime), now)}`;
  if (event.eventStatus === "completed") return end ? `ended ${f.age(end, now)}` : "ended";
  if (start > now) return `starts in ${f.span(start - now)}`;
  if (end === null) return `open-ended, since ${f.span(now - start)}`;
  return end > now ? `ends in ${f.span(end - now)}` : "ending";
}

/** The list, in force first, then coming (soonest first), then past (latest first). */
export function eventList(data, selected, now, act) {
  if (!data.events.length) {
    return h("div", { class: "empty" }, h("p", {}, "No event has been published."), publishButton(act));
  }
  const groups = GROUPS.map(([title, fits]) => [title, data.events.filter(fits)]).filter(([, rows]) => rows.length);
  for (const [title, rows] of groups) if (title !== "Past") rows.reverse();
  const heads = ["Status", "Start", "Signal", "Duration", "VENs", "In / out"];
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "events", "aria-label": "Events" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      groups.map(([title, rows]) =>
        h(
          "tbody",
          { key: title },
          h(
            "tr",
            { class: "group", key: "head" },
            h("th", { colspan: heads.length, scope: "rowgroup" }, title, h("span", { class: "dim" }, rows.length)),
          ),
          rows.map((event) => eventRow(event, selected, now, act)),
        ),
      ),
    ),
    data.moreEvents &&
      h("p", { class: "more" }, h("button", { type: "button", on: { click: act.older } }, "Show older events")),
  );
}

function eventRow(event, selected, now, act) {
  const chosen = event.eventID === selected;
  const signal = event.signals[0];
  const { counts } = event;
  return h(
    "tr",
    {
      key: event.eventID,
      class: `event ${event.eventStatus}${chosen ? " chosen" : ""}`,
      on: { click: () => act.select(event.eventID) },
    },
    h("td", {}, badge(event.eventStatus), event.testEvent && event.testEvent !== "false" && badge("test", "test")),
    h("td", {}, instant(event.dtstart, now), h("div", { class: "dim" }, phase(event, now))),
    h(
      "td",
      {},
      h(
        "a",
        { href: `#/events/${encodeURIComponent(event.eventID)}`, "aria-current": chosen && "true" },
        shortSignal(signal),
        event.signals.length > 1 && ` +${event.signals.length - 1}`,
      ),
      h("div", { class: "dim", title: event.marketContext }, f.context(event.marketContext)),
    ),
    h("td", { class: "num" }, f.duration(event.duration)),
    h(
      "td",
      { class: "num", title: "VENs that acknowledged this version" },
      `${counts.acknowledged}/${counts.vens}`,
    ),
    h("td", { class: "num", title: "VENs in / out" }, inOut(counts)),
  );
}

function inOut(counts) {
  return [
    h("span", { class: "in" }, counts.optedIn, h("span", { class: "unseen" }, " in")),
    " / ",
    h("span", { class: counts.optedOut ? "out" : "dim" }, counts.optedOut, h("span", { class: "unseen" }, " out")),
  ];
}

/** A signal with its values in a few words: "Capacity 75 % → 25 %", "SIMPLE level 2 (high)". */
export function shortSignal(signal) {
  const [first, ...others] = signal.intervals.slice(0, 3);
  const rest = signal.intervals.length - 1 - others.length;
  if (signal.signalName === "SIMPLE" && others.length) {
    return `SIMPLE level ${[first, ...others].map((each) => f.number(each.value)).join(" → ")}${rest ? ` → +${rest}` : ""}`;
  }
  const name = signal.signalType === "x-loadControlCapacity" ? "Capacity" : f.signalName(signal);
  const values = [first, ...others].map((each) => f.value(signal, each.value)).join(" → ");
  return `${name} ${values}${rest ? ` → +${rest}` : ""}`;
}

export function publishButton(act) {
  return h("button", { type: "button", class: "primary", id: "publish", on: { click: act.publish } }, "Publish event…");
}
