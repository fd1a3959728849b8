/* A draft of an event: what the form holds, what is missing in it, and the request it becomes.
   Rule: pure but for the key; the VTN judges the rest, and its refusals are given to the fields they are about. */

import { count } from "./format.js";

export const SIGNALS = {
  simple: { label: "SIMPLE level", signalName: "SIMPLE", signalType: "level" },
  capacity: { label: "x-loadControlCapacity", signalName: "LOAD_CONTROL", signalType: "x-loadControlCapacity" },
};
export const UNITS = { s: "S", min: "M", h: "H" };
export const KINDS = [
  ["groupID", "Groups"],
  ["venID", "VENs"],
  ["resourceID", "Resources"],
  ["partyID", "Parties"],
  ["area", "Areas"],
];
const LISTS = { partyID: "party", area: "area" }; // how a VEN and its resources name what they belong to
const FIELDS = [
  [/^marketContext/, "context"],
  [/^targets/, "targets"],
  [/^dtstart/, "start"],
  [/^duration/, "duration"],
  [/^startafter/, "startafter"],
  [/^priority/, "priority"],
  [/^vtnComment/, "comment"],
  [/^testEvent/, "test"],
  [/^(signals|signalType|signalName|payloadFloat|itemBase|intervals)/, "value"],
];

/** A new draft with its Idempotency-Key. */
export const fresh = () => ({
  key: crypto.randomUUID(),
  context: "",
  signal: "simple",
  level: "1",
  capacity: "",
  when: "now",
  minutes: "10",
  length: "60",
  lengthUnit: "min",
  spread: "",
  spreadUnit: "min",
  priority: "0",
  comment: "",
  test: false,
  chosen: new Set(),
  search: "",
});

/** The element of the form that a field of the API belongs to; "" for the form as a whole. */
const elementOf = (field) => FIELDS.find(([pattern]) => pattern.test(field ?? ""))?.[1] ?? "";

/** The error texts of a refusal, by form element. */
export function refusals(error) {
  const { field, errors, detail, responseCode, reference } = error.problem;
  const found = {};
  for (const each of errors ?? [{ field, reason: detail ?? error.message }]) {
    (found[elementOf(each.field)] ??= []).push(each.reason + (responseCode ? ` [response code ${responseCode}]` : ""));
  }
  if (reference) (found[""] ??= []).push(`The VTN refused the event; nothing was published. Reference ${reference}.`);
  return found;
}

/** What is missing, by form element; empty if there is something to send. */
export function check(form) {
  const errors = {};
  const needed = (name, text, reason) => text.trim() === "" && (errors[name] = [reason]);
  const counted = (name, text, least) =>
    !(Number.isInteger(Number(text)) && text.trim() !== "" && Number(text) >= least) &&
    (errors[name] = [`a whole number from ${least} up is needed`]);
  needed("context", form.context, "the market context says which programme the event belongs to");
  if (!form.chosen.size) errors.targets = ["choose at least one group, VEN or resource"];
  if (form.signal === "capacity" && (form.capacity.trim() === "" || !Number.isFinite(Number(form.capacity))))
    errors.value = ["a number is needed"];
  if (form.when === "in") counted("start", form.minutes, 1);
  counted("duration", form.length, 1);
  if (form.spread.trim()) counted("startafter", form.spread, 0);
  counted("priority", form.priority, 0);
  return errors;
}

/** The element to look at first after errors. */
export function focusOf(errors) {
  const first = Object.keys(errors).find((name) => name);
  return first ? `fault-${first}` : "publish-title";
}

export function namesOf(data, kind) {
  const resources = data.vens.flatMap((ven) => ven.resources);
  const names = {
    venID: () => data.vens.map((ven) => ven.venID),
    resourceID: () => resources.map((each) => each.resourceID),
    groupID: () => resources.flatMap((each) => each.groupIDs),
    partyID: () => belongings(data, "partyID"),
    area: () => belongings(data, "area"),
  }[kind]();
  return [...new Set(names)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}

const belongings = (data, kind) =>
  data.vens.flatMap((ven) => [ven, ...ven.resources]).flatMap((each) => each[LISTS[kind]] ?? []);

const belongs = (each, chosen) =>
  Object.entries(LISTS).some(([kind, list]) => (each[list] ?? []).some((name) => chosen.has(`${kind}:${name}`)));

/** How many VENs and resources the chosen targets come to. */
export function reach(data, chosen) {
  if (!chosen.size) return "nothing chosen";
  const vens = new Set();
  let resources = 0;
  for (const ven of data.vens) {
    const whole = chosen.has(`venID:${ven.venID}`) || belongs(ven, chosen);
    const hit = ven.resources.filter(
      (each) =>
        whole ||
        belongs(each, chosen) ||
        chosen.has(`resourceID:${each.resourceID}`) ||
        each.groupIDs.some((group) => chosen.has(`groupID:${group}`)),
    );
    if (whole || hit.length) vens.add(ven.venID);
    resources += hit.length;
  }
  return `${count(resources, "resource")} of ${count(vens.size, "VEN")}`;
}

/** The request of a filled form. */
export function body(form, now) {
  const signal = SIGNALS[form.signal];
  const length = (number, unit) => `PT${Number(number)}${UNITS[unit]}`;
  const names = (kind) =>
    [...form.chosen].filter((key) => key.startsWith(`${kind}:`)).map((key) => key.slice(kind.length + 1));
  const made = {
    marketContext: form.context.trim(),
    duration: length(form.length, form.lengthUnit),
    signals: [
      {
        signalName: signal.signalName,
        signalType: signal.signalType,
        intervals: [{ value: Number(form.signal === "simple" ? form.level : form.capacity) }],
      },
    ],
    targets: Object.fromEntries(KINDS.map(([kind]) => [kind, names(kind)])),
    priority: Number(form.priority),
    testEvent: form.test,
  };
  if (form.when === "in")
    made.dtstart = new Date(Math.ceil(now / 1000) * 1000 + Number(form.minutes) * 60_000)
      .toISOString()
      .replace(".000Z", "Z");
  if (form.spread.trim() && Number(form.spread)) made.startafter = length(form.spread, form.spreadUnit);
  if (form.comment.trim()) made.vtnComment = form.comment.trim();
  return made;
}
