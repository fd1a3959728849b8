/* Report requests: what VENs were asked for, whether it comes, and what is late. Rule: pure views, late ones first. */

import { h } from "./dom.js";
import { age, badge, instant } from "./events.js";
import * as f from "./format.js";
import { cell, page } from "./lists.js";

const KINDS = { overdue: "optOut", refused: "optOut", delivering: "optIn", confirmed: "near", requested: "near" };

/** One row a request; those that are over only while they are among the newest. */
export function reportList(data, filter, now, act) {
  const late = (row) => (row.state === "overdue" ? 0 : 1);
  return page({
    title: "Reports",
    what: "No VEN has been asked for a report.",
    heads: ["State", "Report", "VEN", "Every", "Newest data", "Expected", "Reason"],
    rows: [...data.reportRequests].sort((a, b) => late(a) - late(b)),
    texts: (row) => [row.venID, row.reportName, row.reportSpecifierID, row.reportRequestID, row.state],
    filter,
    act,
    note: data.moreReportRequests && `The newest ${data.reportRequests.length} are shown; the API has the others.`,
    row: (row) =>
      h(
        "tr",
        { key: row.reportRequestID },
        cell("State", badge(row.state, KINDS[row.state] ?? "far")),
        h(
          "th",
          { scope: "row", title: row.reportRequestID },
          row.reportName,
          h("div", { class: "dim" }, `${row.reportSpecifierID}, ${f.count(row.points.length, "point")}`),
        ),
        cell("VEN", row.venID, h("div", { class: "dim" }, row.actor ? `asked by ${row.actor}` : "asked by policy")),
        cell("Every", f.duration(row.reportBackDuration, "once")),
        cell("Newest data", age(row.lastDataDateTime, now), h("div", { class: "dim" }, f.count(row.reports, "report"))),
        h(
          "td",
          { "data-name": "Expected", class: row.state === "overdue" && "warn" },
          row.expectedDateTime ? instant(row.expectedDateTime, now) : "–",
        ),
        cell("Reason", row.reason ?? "–"),
      ),
  });
}
