/* A change of an event: what may still change, what the form holds, and the request it becomes.
   Rule: pure but for the key; the past is not offered (R20), and the VTN judges the rest. */

import { at, endOf } from "./format.js";

const LEAD_S = 15; // a new running value begins so much later, so that it is not past when it arrives
const UNITS = { h: 3600, min: 60, s: 1 };
const FIELDS = [
  [/^(duration)/, "length"],
  [/^(dtstart)/, "start"],
  [/^targets/, "targets"],
  [/^priority/, "priority"],
  [/^vtnComment/, "comment"],
  [/^modificationReason/, "reason"],
  [/^(signals|signalName|signalType|payloadFloat|intervals|itemBase)/, "values"],
];

const seconds = (from, duration) => (endOf(from, duration) === null ? 0 : (endOf(from, duration) - from) / 1000);

/** The intervals of a signal in seconds after the event's start; the last `end` is null if open-ended. */
export function rows(detail, signal, now) {
  const start = at(detail.dtstart);
  const elapsed = (now - start) / 1000;
  let from = 0;
  return signal.intervals.map((interval, index) => {
    const length = seconds(start + from * 1000, interval.duration);
    const open = length === 0 && index === signal.intervals.length - 1;
    const end = open ? null : from + length;
    const state = end !== null && end <= elapsed + LEAD_S ? "past" : from <= elapsed ? "running" : "coming";
    const row = { from, end, value: interval.value, state, name: `${signal.signalID} ${interval.uid}` };
    from = end;
    return row;
  });
}

/** What the form begins with. */
export function fresh(detail, now) {
  const start = at(detail.dtstart);
  const length = seconds(start, detail.duration);
  const unit = Object.keys(UNITS).find((each) => length % UNITS[each] === 0);
  const values = {};
  for (const signal of detail.signals)
    for (const row of rows(detail, signal, now)) values[row.name] = String(row.value);
  return {
    key: crypto.randomUUID(),
    active: start <= now,
    values,
    length: length ? String(length / UNITS[unit]) : "",
    lengthUnit: unit,
    later: "",
    priority: String(detail.priority),
    comment: detail.vtnComment ?? "",
    reason: "",
    search: "",
    chosen: new Set(Object.entries(detail.targets).flatMap(([kind, names]) => names.map((name) => `${kind}:${name}`))),
  };
}

/** What is missing or no number, by form element. */
export function check(form) {
  const errors = {};
  const whole = (text, least) => /^\d+$/.test(text.trim()) && Number(text) >= least;
  if (Object.values(form.values).some((text) => text.trim() === "" || !Number.isFinite(Number(text))))
    errors.values = ["every value is a number"];
  if (form.length.trim() && !whole(form.length, 1)) errors.length = ["a whole number, or empty for open-ended"];
  if (form.later.trim() && !/^-?\d+$/.test(form.later.trim())) errors.start = ["a whole number of minutes"];
  if (!whole(form.priority, 0)) errors.priority = ["a whole number from 0 up is needed"];
  if (!form.chosen.size) errors.targets = ["choose at least one target"];
  if (!form.reason.trim()) errors.reason = ["say why: it is kept with the event and sent to the VENs"];
  return errors;
}

/** The intervals of a signal as they shall be; they add up to `total` seconds, 0 for open-ended. */
function intervals(detail, signal, form, now, total) {
  const elapsed = Math.ceil((now - at(detail.dtstart)) / 1000) + LEAD_S;
  const cut = [];
  for (const row of rows(detail, signal, now)) {
    const value = Number(form.values[row.name]);
    const split = row.state === "running" && value !== row.value && elapsed > row.from;
    if (split) cut.push({ from: row.from, value: row.value });
    cut.push({ from: split ? elapsed : row.from, value });
  }
  const kept = cut.filter((each) => !total || each.from < total);
  return kept.map((each, index) => {
    const end = kept[index + 1]?.from ?? (total || each.from);
    return { value: each.value, duration: `PT${end - each.from}S` };
  });
}

const unit = (of) => of && Object.fromEntries(Object.entries(of).filter(([, value]) => value !== null));

/** The request of a filled form: the whole event as it shall be. */
export function body(form, detail, now) {
  const total = form.length.trim() ? Number(form.length) * UNITS[form.lengthUnit] : 0;
  const unchanged = total === seconds(at(detail.dtstart), detail.duration);
  const names = (kind) =>
    [...form.chosen].filter((key) => key.startsWith(`${kind}:`)).map((key) => key.slice(kind.length + 1));
  const { baseline } = detail;
  return {
    modificationNumber: detail.modificationNumber,
    modificationReason: form.reason.trim(),
    marketContext: detail.marketContext,
    duration: unchanged ? detail.duration : `PT${total}S`,
    dtstart: form.later.trim()
      ? new Date(at(detail.dtstart) + Number(form.later) * 60_000).toISOString().replace(".000Z", "Z")
      : detail.dtstart,
    signals: detail.signals.map((signal) => ({
      signalName: signal.signalName,
      signalType: signal.signalType,
      deviceClass: signal.deviceClass,
      itemBase: unit(signal.itemBase),
      intervals: intervals(detail, signal, form, now, total),
    })),
    baseline: baseline && {
      baselineName: baseline.baselineName,
      dtstart: baseline.dtstart,
      duration: baseline.duration,
      resourceID: baseline.resourceID,
      itemBase: unit(baseline.itemBase),
      intervals: baseline.intervals.map(({ value, duration }) => ({ value, duration })),
    },
    targets: Object.fromEntries(Object.keys(detail.targets).map((kind) => [kind, names(kind)])),
    priority: Number(form.priority),
    startafter: detail.startafter,
    notification: detail.notification,
    rampUp: detail.rampUp,
    recovery: detail.recovery,
    responseRequired: detail.responseRequired,
    testEvent: detail.testEvent,
    vtnComment: form.comment.trim() || null,
  };
}

/** The error texts of a refusal, by form element. */
export function refusals(error) {
  const { field, errors, detail, responseCode, reference } = error.problem;
  const found = {};
  for (const each of errors ?? [{ field, reason: detail ?? error.message }]) {
    const name = FIELDS.find(([pattern]) => pattern.test(each.field ?? ""))?.[1] ?? "";
    (found[name] ??= []).push(each.reason + (responseCode ? ` [response code ${responseCode}]` : ""));
  }
  if (reference) (found[""] ??= []).push(`The VTN refused; nothing was changed. Reference ${reference}.`);
  return found;
}
