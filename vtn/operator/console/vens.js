/* VENs and candidates: who is registered, who is there, who asks to be let in, and what an operator does about it.
   Rule: pure views; what they do goes out through `act.ven(what, subject)`. */

import { h } from "./dom.js";
import { age, badge, instant } from "./events.js";
import * as f from "./format.js";
import { cell, page } from "./lists.js";

const EXPIRES_SOON_MS = 30 * 86_400_000; // time to hand out another certificate
const PRESENCE = { online: "up", push: "up", late: "wait", offline: "down" };

/** VENs with their registrations; above them, who waits to be approved. */
export function venList(data, filter, now, act) {
  return [
    data.candidates.length > 0 && candidateList(data.candidates, now, act),
    page({
      title: "VENs",
      what: "No VEN is enrolled.",
      heads: ["VEN", "Registration", "Last seen", "Transport", "Resources", "Certificate", "Actions"],
      rows: data.vens,
      texts: (ven) => [
        ven.venID,
        ven.venName,
        ven.fingerprint,
        ven.presence,
        ...ven.party,
        ...ven.area,
        ...ven.resources.flatMap((each) => [each.resourceID, ...each.groupIDs, ...each.party, ...each.area]),
      ],
      filter,
      act,
      row: (ven) => venRow(ven, now, act),
    }),
  ].filter(Boolean);
}

function venRow(ven, now, act) {
  return h(
    "tr",
    { key: ven.venID },
    h("th", { scope: "row" }, ven.venID, ven.venName && h("div", { class: "dim" }, ven.venName)),
    cell("Registration", registration(ven, now)),
    h(
      "td",
      { "data-name": "Last seen", class: (ven.presence === "late" || ven.presence === "offline") && "warn" },
      ven.presence in PRESENCE && h("div", {}, h("span", { class: `dot ${PRESENCE[ven.presence]}` }, ven.presence)),
      age(ven.lastSeenDateTime, now),
    ),
    cell(
      "Transport",
      ven.transportName ? `${ven.transportName} ${ven.httpPullModel === false ? "push" : "pull"}` : "–",
      h("div", { class: "dim" }, ven.reportOnly ? "reports only" : ven.profileName),
      ven.registered && h("div", { class: "dim" }, pollText(ven)),
    ),
    cell("Resources", resources(ven)),
    cell("Certificate", certificate(ven, now)),
    cell("Actions", actions(ven, act)),
  );
}

function registration(ven, now) {
  if (ven.suspendedDateTime) {
    return [
      badge("suspended", "cancelled"),
      h("div", { class: "dim" }, instant(ven.suspendedDateTime, now)),
      ven.suspendedReason && h("div", { class: "dim" }, ven.suspendedReason),
    ];
  }
  if (ven.cancelByDateTime) {
    return [
      badge("being cancelled", "near"),
      h("div", { class: "dim" }, "at the latest ", instant(ven.cancelByDateTime, now)),
    ];
  }
  if (ven.registered) {
    return [badge("registered", "optIn"), h("div", { class: "dim" }, instant(ven.registeredDateTime, now))];
  }
  const ended = { ven: "the VEN cancelled", operator: "cancelled here", noAnswer: "cancelled here, no answer" };
  return [
    badge("enrolled only", "far"),
    ven.endedDateTime && h("div", { class: "dim" }, `${ended[ven.endedBy]} `, instant(ven.endedDateTime, now)),
  ];
}

function pollText(ven) {
  const wanted = `${f.number(ven.pollFreqSeconds)} s`;
  if (ven.toldPollFreqSeconds === null || ven.toldPollFreqSeconds === ven.pollFreqSeconds) return `every ${wanted}`;
  return `every ${f.number(ven.toldPollFreqSeconds)} s, ${wanted} once it registers again`;
}

function certificate(ven, now) {
  const ends = f.at(ven.certificateNotAfterDateTime);
  return [
    h("code", {}, ven.fingerprint),
    ends !== null &&
      h("div", { class: ends - now < EXPIRES_SOON_MS ? "warn" : "dim" }, "until ", f.moment(ends, now)),
    ven.oldFingerprint && [
      h("code", { class: "dim" }, ven.oldFingerprint),
      h(
        "div",
        { class: "dim" },
        "the old one, until ",
        instant(ven.oldUntilDateTime, now),
        ", last used ",
        age(ven.oldLastSeenDateTime, now),
      ),
    ],
  ];
}

function actions(ven, act) {
  const button = (what, text, danger) =>
    h(
      "button",
      {
        key: what,
        type: "button",
        class: danger && "danger",
        "data-act": what,
        "aria-label": `${text} ${ven.venID}`,
        on: { click: () => act.ven(what, ven) },
      },
      text,
    );
  const free = ven.registered && !ven.cancelByDateTime;
  return h(
    "div",
    { class: "acts" },
    ven.suspendedDateTime
      ? button("resume", "Resume…")
      : [
          free && button("reregister", "Re-register…"),
          free && button("deregister", "Cancel registration…", true),
          button("suspend", "Suspend…", true),
        ],
  );
}

function resources(ven) {
  if (!ven.resources.length) return h("span", { class: "dim" }, "none named");
  const groups = [...new Set(ven.resources.flatMap((each) => each.groupIDs))].sort();
  return h(
    "details",
    {},
    h(
      "summary",
      {},
      f.count(ven.resources.length, "resource"),
      groups.length > 0 && h("span", { class: "dim" }, ` in ${groups.join(", ")}`),
    ),
    h(
      "ul",
      { class: "chips" },
      ven.resources.map((each) =>
        h("li", { key: each.resourceID, title: resourceText(each) }, each.resourceID),
      ),
    ),
  );
}

function resourceText(each) {
  const parts = [`from ${each.source}`, `groups: ${each.groupIDs.join(", ") || "none"}`];
  for (const [name, values] of [["parties", each.party], ["areas", each.area], ["device classes", each.deviceClass]])
    if (values.length) parts.push(`${name}: ${values.join(", ")}`);
  return parts.join("; ");
}

function decide(what, text, candidate, act) {
  return h(
    "button",
    {
      type: "button",
      class: what === "approve" ? "primary" : "danger",
      "data-act": what,
      "aria-label": `${text} ${candidate.subjectCN || candidate.fingerprint}`,
      on: { click: () => act.ven(what, candidate) },
    },
    text,
  );
}

function candidateList(candidates, now, act) {
  const heads = ["Certificate of", "Calls itself", "Fingerprint", "First seen", "Last seen", "Actions"];
  return h(
    "section",
    { key: "candidates", class: "list", "aria-labelledby": "candidates-title" },
    h(
      "header",
      { class: "title" },
      h("h2", { id: "candidates-title" }, "Waiting for approval ", h("span", { class: "dim" }, candidates.length)),
    ),
    h("p", { class: "dim" }, "Compare the fingerprint with what the VEN's operator tells you before you approve."),
    h(
      "div",
      { class: "scroll low" },
      h(
        "table",
        { class: "candidates", "aria-label": "Candidates" },
        h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
        h(
          "tbody",
          {},
          candidates.map((each) =>
            h(
              "tr",
              { key: each.fingerprint },
              h(
                "th",
                { scope: "row" },
                each.subjectCN || "no name",
                each.issuerCN && h("div", { class: "dim" }, `issued by ${each.issuerCN}`),
              ),
              cell("Calls itself", each.venName ?? h("span", { class: "dim" }, "–")),
              cell("Fingerprint", h("code", {}, each.fingerprint)),
              cell("First seen", instant(each.firstSeenDateTime, now)),
              cell("Last seen", age(each.lastSeenDateTime, now)),
              cell(
                "Actions",
                h("div", { class: "acts" }, decide("approve", "Approve…", each, act), decide("reject", "Reject…", each, act)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
