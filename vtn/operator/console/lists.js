/* Opts and telemetry. Rule: pure views of what the VTN knows; a filter hides rows and says how many. */

import { newest } from "./data.js";
import { h } from "./dom.js";
import { age, badge, instant, live, onlineText, optText } from "./events.js";
import * as f from "./format.js";

const STALE_MS = 300_000;
const ROWS = 1000; // drawn at most; the filter narrows

export function page({ title, what, heads, rows, texts, row, filter, act, note, kind }) {
  const wanted = filter.toLowerCase();
  const fitting = wanted
    ? rows.filter((each) => texts(each).some((text) => text?.toLowerCase().includes(wanted)))
    : rows;
  return h(
    "section",
    { key: title, class: "list", "aria-labelledby": "list-title" },
    h(
      "header",
      { class: "title" },
      h(
        "h2",
        { id: "list-title" },
        title,
        " ",
        h(
          "span",
          { class: "dim" },
          fitting.length === rows.length ? rows.length : `${fitting.length} of ${rows.length}`,
        ),
      ),
      h(
        "label",
        { class: "filter" },
        h("span", { class: "unseen" }, `Filter ${title}`),
        h("input", {
          type: "search",
          placeholder: "Filter",
          on: { input: (event) => act.filter(event.target.value) },
          props: { value: filter },
        }),
      ),
    ),
    rows.length
      ? h(
          "div",
          { class: "scroll" },
          h(
            "table",
            { class: kind, "aria-label": title },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                heads.map((text) => h("th", { scope: "col" }, text)),
              ),
            ),
            h("tbody", {}, fitting.slice(0, ROWS).map(row)),
          ),
        )
      : h("p", { class: "empty" }, what),
    note && h("p", { class: "dim" }, note),
  );
}

export const cell = (name, ...content) => h("td", { "data-name": name }, ...content);

export function optList(data, filter, now, act) {
  return page({
    title: "Opts",
    what: "No VEN has sent an opt.",
    heads: ["Received", "Opt", "Reason", "Resource", "VEN", "About", "State"],
    rows: data.opts,
    texts: (opt) => [
      opt.venID,
      opt.optID,
      opt.optReason,
      opt.eventID,
      opt.marketContext,
      ...opt.targets.resourceID,
      ...opt.targets.groupID,
    ],
    filter,
    act,
    note: data.moreOpts && `The newest ${data.opts.length} are shown; the API has the others.`,
    row: (opt) =>
      h(
        "tr",
        { key: `${opt.venID} ${opt.optID}` },
        cell(
          "Received",
          instant(opt.receivedDateTime, now),
          h("div", { class: "dim" }, f.age(f.at(opt.receivedDateTime), now)),
        ),
        cell("Opt", badge(optText(opt.optType), opt.optType)),
        cell("Reason", opt.optReason),
        h(
          "th",
          { scope: "row" },
          [...opt.targets.resourceID, ...opt.targets.groupID].join(", ") || "the VEN as a whole",
          opt.deviceClass.length > 0 && h("div", { class: "dim" }, `of class ${opt.deviceClass.join(", ")}`),
        ),
        cell("VEN", opt.venID),
        cell("About", about(opt, now)),
        cell(
          "State",
          optState(
            opt,
            data.events.find((event) => event.eventID === opt.eventID),
            now,
          ),
        ),
      ),
  });
}

function about(opt, now) {
  if (opt.eventID) {
    return [
      h("a", { href: `#/events/${encodeURIComponent(opt.eventID)}` }, opt.eventID),
      h("div", { class: "dim" }, `version ${opt.modificationNumber}`),
    ];
  }
  const windows = opt.available.map((each) =>
    h("div", { key: each.dtstart }, instant(each.dtstart, now), ` for ${f.duration(each.duration)}`),
  );
  return [opt.marketContext ? f.context(opt.marketContext) : "any market context", windows];
}

function optState(opt, event, now) {
  if (opt.cancelledDateTime) return h("span", { class: "dim" }, "cancelled ", instant(opt.cancelledDateTime, now));
  if (opt.supersededDateTime) return h("span", { class: "dim" }, "superseded ", instant(opt.supersededDateTime, now));
  if (opt.state === "over") return h("span", { class: "dim" }, "over since ", instant(opt.endsDateTime, now));
  if (event && !live(event)) return h("span", { class: "dim" }, `event ${event.eventStatus}`);
  return opt.supersededFor.length ? `in force, less ${opt.supersededFor.join(", ")}` : "in force";
}

/** One row a resource: its power, what else it reports, whether it is online. */
export function telemetryList(data, filter, now, act) {
  const byResource = new Map();
  for (const row of data.telemetry.values()) {
    const key = `${row.venID}\n${row.resourceID ?? ""}`;
    if (!byResource.has(key)) byResource.set(key, []);
    byResource.get(key).push(row);
  }
  const rows = [...byResource.entries()].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  return page({
    title: "Telemetry",
    what: "No telemetry in the last day.",
    kind: "telemetry",
    heads: ["Resource", "VEN", "Power", "Other values", "Online", "Newest value"],
    rows,
    texts: ([key, values]) => [...key.split("\n"), ...values.map((row) => row.rID)],
    filter,
    act,
    row: ([key, values]) => {
      const { power, online, manual } = newest(values);
      const others = values.filter((row) => row !== power?.row && row.value !== null);
      const last = values.reduce((a, b) => (f.at(a.dtstart) >= f.at(b.dtstart) ? a : b));
      return h(
        "tr",
        { key },
        h("th", { scope: "row" }, values[0].resourceID ?? "the VEN as a whole"),
        cell("VEN", values[0].venID),
        h("td", { "data-name": "Power", class: "num" }, power ? f.kilowatts(power.watts) : "–"),
        cell(
          "Other values",
          others.map((row) =>
            h(
              "span",
              { key: `${row.reportName} ${row.rID}`, class: "value", title: `${row.reportName} ${row.rID}` },
              f.reading(row),
            ),
          ),
        ),
        cell("Online", onlineText(online), manual && badge("override", "test")),
        h(
          "td",
          { "data-name": "Newest", class: now - f.at(last.dtstart) > STALE_MS && "warn" },
          age(last.dtstart, now),
        ),
      );
    },
  });
}
