/* Everything about one event: figures, signals, who has it and who acts on it, how it was published.
   Rule: a pure view; what it does goes out through `act`. */

import { newest, totals } from "./data.js";
import { h } from "./dom.js";
import { badge, instant, live, onlineText, optText, phase, shortSignal } from "./events.js";
import * as f from "./format.js";

/** Intervals of a signal with their times: [{start, end, value, uid}]; the last end is null if open-ended. */
function segments(event, signal) {
  let start = f.at(event.dtstart);
  return signal.intervals.map((interval) => {
    const end = f.endOf(start, interval.duration);
    const segment = { start, end, value: interval.value, uid: interval.uid, duration: interval.duration };
    start = end;
    return segment;
  });
}

/** Everything about one event. */
export function eventDetail(detail, now, act) {
  const sum = totals(detail);
  const tested = detail.testEvent && detail.testEvent !== "false";
  return h(
    "article",
    { key: detail.eventID, "aria-labelledby": "event-title" },
    h(
      "header",
      { class: "title" },
      h(
        "div",
        {},
        h(
          "h2",
          { id: "event-title", tabindex: "-1" },
          shortSignal(detail.signals[0]),
          " ",
          badge(detail.eventStatus),
          tested && badge("test", "test"),
        ),
        h("p", { class: "dim" }, detail.marketContext),
      ),
      live(detail) &&
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "button", id: "change", on: { click: () => act.change(detail) } }, "Change…"),
          h(
            "button",
            { type: "button", class: "danger", id: "cancel", on: { click: () => act.cancel(detail) } },
            "Cancel event…",
          ),
        ),
    ),
    detail.vtnComment && h("p", { class: "comment" }, detail.vtnComment),
    figures(detail, sum, now),
    detail.signals.map((signal) => signalView(detail, signal, now)),
    detail.vens.map((ven) => venView(ven, now)),
    facts(detail, now),
    versions(detail, now),
  );
}

function figures(detail, sum, now) {
  const total = sum.in + sum.out + sum.open;
  const figure = (name, value, note, kind) =>
    h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, note)));
  return h(
    "dl",
    { class: "figures" },
    figure(
      "Event",
      phase(detail, now),
      detail.startafter && detail.startafter !== "PT0S" && `start spread over ${f.duration(detail.startafter)}`,
      "wide",
    ),
    figure(
      "Acknowledged",
      `${sum.acknowledged} of ${sum.vens}`,
      sum.vens === 1 ? "VEN" : "VENs",
      sum.acknowledged < sum.vens && "warn",
    ),
    figure(
      "Resources",
      [
        h("span", { class: "in" }, `${sum.in} in`),
        sum.out > 0 && [" · ", h("span", { class: "out" }, `${sum.out} out`)],
      ],
      sum.open ? `${sum.open} not heard from` : `of ${total}`,
    ),
    figure(
      "Power now",
      sum.metered ? f.kilowatts(sum.power) : "–",
      sum.metered ? `${f.count(sum.metered, "meter")}` : "no meter value",
    ),
    figure(
      "Online",
      sum.known ? `${sum.online} of ${sum.known}` : "–",
      sum.known ? "resources" : "not reported",
      sum.online < sum.known && "warn",
    ),
  );
}

function signalView(event, signal, now) {
  const parts = segments(event, signal);
  const current = live(event)
    ? parts.find((each) => each.start <= now && (each.end === null || now < each.end))
    : undefined;
  return h(
    "section",
    { key: signal.signalID },
    h("h3", {}, f.signalName(signal), current && h("span", { class: "now" }, ` now ${f.value(signal, current.value)}`)),
    parts.length > 1 && chart(signal, parts, now),
    h(
      "div",
      { class: "scroll low" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Interval", "From", "To", "Duration", "Value"].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h(
          "tbody",
          {},
          parts
            .slice(0, 500)
            .map((each) =>
              h(
                "tr",
                { key: each.uid, class: each === current && "current" },
                h("td", {}, each.uid),
                h("td", {}, f.moment(each.start, now)),
                h("td", {}, each.end === null ? "open-ended" : f.moment(each.end, now)),
                h("td", {}, f.duration(each.duration)),
                h(
                  "td",
                  {},
                  f.value(signal, each.value),
                  each === current && h("span", { class: "unseen" }, " in force"),
                ),
              ),
            ),
        ),
      ),
    ),
  );
}

/** The signal as steps over time, with a line at now. */
function chart(signal, parts, now) {
  const from = parts[0].start;
  const to = parts.at(-1).end ?? Math.max(now, parts.at(-1).start) + 3_600_000;
  const x = (ms) => ((1000 * (ms - from)) / (to - from)).toFixed(1);
  const most = Math.max(signal.signalName === "SIMPLE" ? 3 : 0, ...parts.map((each) => Math.abs(each.value))) || 1;
  const said = parts
    .map((each) => `${f.clock(each.start)} ${f.value(signal, each.value)}`)
    .slice(0, 20)
    .join(", ");
  return h(
    "svg",
    {
      class: "chart",
      viewBox: "0 0 1000 60",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Values over time: ${said}`,
    },
    parts.map((each) => {
      const height = Math.max(2, (56 * Math.abs(each.value)) / most);
      const width = Math.max(1, x(each.end ?? to) - x(each.start) - 1.5);
      return h("rect", {
        key: each.uid,
        x: x(each.start),
        y: (60 - height).toFixed(1),
        width,
        height: height.toFixed(1),
      });
    }),
    now >= from && now <= to && h("line", { key: "now", x1: x(now), x2: x(now), y1: 0, y2: 60 }),
  );
}

function venView(ven, now) {
  const code =
    ven.responseCode === null
      ? null
      : `response ${ven.responseCode}${ven.responseDescription ? ` ${ven.responseDescription}` : ""}`;
  return h(
    "section",
    { key: ven.venID, class: "ven" },
    h(
      "h3",
      {},
      ven.venID,
      badge(ven.state),
      ven.withdrawnModificationNumber !== null &&
        badge(`left out by version ${ven.withdrawnModificationNumber}`, "cancelled"),
      code && h("span", { class: ven.responseCode === 200 ? "note" : "note out" }, code),
      ven.optType && badge(optText(ven.optType), ven.optType),
      h(
        "span",
        { class: "note" },
        ven.deliveredDateTime
          ? ["delivered ", instant(ven.deliveredDateTime, now), ven.deliveries > 1 && ` (${ven.deliveries} times)`]
          : "not yet delivered",
        ven.answeredDateTime && [", answered ", instant(ven.answeredDateTime, now)],
        ven.answeredModificationNumber !== null && ` to version ${ven.answeredModificationNumber}`,
      ),
    ),
    ven.optReason && h("p", { class: "dim" }, `Reason: ${ven.optReason}`),
    ven.resources.length
      ? resourceTable(ven.resources, now)
      : h(
          "p",
          { class: "dim" },
          "The VEN as a whole; it has named no resources.",
          absence(ven.unavailable, now),
        ),
  );
}

/** An opt schedule that has somebody out during the event. */
function absence(unavailable, now) {
  if (!unavailable) return null;
  const until = unavailable.until ? [" until ", instant(unavailable.until, now)] : " for good";
  return h(
    "div",
    { class: "warn absent", title: unavailable.optID },
    `would not take part (${unavailable.optReason}): out from `,
    instant(unavailable.start, now),
    until,
  );
}

function resourceTable(resources, now) {
  return h(
    "table",
    { class: "resources" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Resource", "Opt", "Reason", "Power", "Age", "Online"].map((text) =>
          h("th", { scope: "col", class: (text === "Power" || text === "Age") && "num" }, text),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      resources.map((each) => {
        const { power, online, manual } = newest(each.telemetry);
        return h(
          "tr",
          { key: each.resourceID },
          h("th", { scope: "row" }, each.resourceID),
          h("td", {}, badge(optText(each.optType), each.optType ?? "unheard")),
          h(
            "td",
            {},
            each.optReason ?? (each.unavailable ? null : h("span", { class: "dim" }, "–")),
            absence(each.unavailable, now),
          ),
          h("td", { class: "num" }, power ? f.kilowatts(power.watts) : "–"),
          h("td", { class: "num dim" }, power ? h("time", { title: power.row.dtstart }, f.span(now - power.at)) : "–"),
          h("td", {}, onlineText(online), manual && badge("override", "test")),
        );
      }),
    ),
  );
}

function facts(detail, now) {
  const end = f.endOf(f.at(detail.dtstart), detail.duration);
  const given = (text) => text && text !== "PT0S";
  const targets = [
    ...detail.targets.groupID.map((name) => `group ${name}`),
    ...detail.targets.venID.map((name) => `VEN ${name}`),
    ...detail.targets.resourceID.map((name) => `resource ${name}`),
    ...detail.targets.partyID.map((name) => `party ${name}`),
    ...detail.targets.area.map((name) => `area ${name}`),
  ];
  const rows = [
    ["eventID", h("code", {}, detail.eventID)],
    ["Start", instant(detail.dtstart, now)],
    ["End", end === null ? "open-ended" : f.moment(end, now)],
    ["Duration", f.duration(detail.duration)],
    given(detail.startafter) && ["Start spread over", f.duration(detail.startafter)],
    given(detail.notification) && ["Notification", f.duration(detail.notification)],
    given(detail.rampUp) && ["Ramp up", f.duration(detail.rampUp)],
    given(detail.recovery) && ["Recovery", f.duration(detail.recovery)],
    ["Priority", detail.priority === 0 ? "0 (lowest)" : detail.priority],
    ["Answer required", detail.responseRequired],
    ["Targets", targets.join(", ")],
    detail.testEvent && detail.testEvent !== "false" && ["Test event", detail.testEvent],
    detail.modificationReason && ["Reason of change", detail.modificationReason],
  ].filter(Boolean);
  return h(
    "section",
    { key: "facts" },
    h("h3", {}, "As published"),
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}

/** What a version changed, in words. */
function differences(before, after, now) {
  if (!before) return "modified";
  const said = [];
  const told = (name, was, is) => was !== is && said.push(`${name} ${was} → ${is}`);
  told("start", f.moment(f.at(before.dtstart), now), f.moment(f.at(after.dtstart), now));
  told("duration", f.duration(before.duration), f.duration(after.duration));
  told("priority", before.priority, after.priority);
  const signals = (version) => version.signals.map(shortSignal).join(", ");
  told("signals", signals(before), signals(after));
  const targets = (version) => Object.values(version.targets).flat().join(", ");
  told("targets", targets(before), targets(after));
  told("comment", before.vtnComment ?? "none", after.vtnComment ?? "none");
  return said.length ? said.map((text) => h("div", {}, text)) : "modified";
}

function versions(detail, now) {
  return h(
    "section",
    { key: "versions" },
    h("h3", {}, "Versions"),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Version", "Made", "By", "Change", "Reason"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        [...detail.versions]
          .reverse()
          .map((each) =>
            h(
              "tr",
              { key: each.modificationNumber },
              h("td", {}, each.modificationNumber),
              h("td", {}, instant(each.at, now)),
              h("td", {}, each.actor),
              h(
                "td",
                {},
                each.eventStatus === "cancelled"
                  ? "cancelled"
                  : each.modificationNumber === 0
                    ? "published"
                    : differences(detail.versions[each.modificationNumber - 1], each, now),
              ),
              h("td", {}, each.modificationReason ?? h("span", { class: "dim" }, "–")),
            ),
          ),
      ),
    ),
  );
}
