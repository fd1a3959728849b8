/* Words and numbers for people. Rule: pure; instants and durations come in as the API writes them. */

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "2-digit", month: "short" });
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
const DURATION = /^(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;

/** Milliseconds of an instant, null for null. */
export const at = (instant) => (instant === null || instant === undefined ? null : Date.parse(instant));

/** 14:05:09 in the browser's zone. */
export const clock = (ms) => CLOCK.format(ms);

/** The time, with the day in front where it is not the day of `now`. */
export function moment(ms, now) {
  if (ms === null) return "–";
  const day = DAY.format(ms);
  return day === DAY.format(now) ? clock(ms) : `${day} ${clock(ms)}`;
}

/** The name of the browser's time zone. */
export const zone = (ms) => ZONE.formatToParts(ms).find((part) => part.type === "timeZoneName").value;

/** The end of a period: calendar months first, as ISO 8601 durations add; null if open-ended (PT0S). */
export function endOf(start, duration) {
  const parts = DURATION.exec(duration);
  if (!parts) return null;
  const [years, months, days, hours, minutes, seconds] = parts.slice(2).map((text) => Number(text ?? 0));
  const length = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  if (!years && !months && !length) return null;
  const date = new Date(start);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + 12 * years + months);
  date.setUTCDate(Math.min(day, new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()));
  return date.getTime() + length * 1000;
}

/** PT1H30M as "1 h 30 min"; PT0S is open-ended. */
export function duration(text, zero = "open-ended") {
  const parts = DURATION.exec(text ?? "");
  if (!parts) return text ?? "–";
  const units = ["y", "mo", "d", "h", "min", "s"];
  const said = parts.slice(2).flatMap((number, i) => (Number(number ?? 0) ? [`${Number(number)} ${units[i]}`] : []));
  return said.length ? (parts[1] ?? "") + said.join(" ") : zero;
}

/** A number of seconds as the two largest units: "2 h 05 min", "1 min 09 s", "8 s". */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long ago; seconds are of interest for a minute, minutes for a day. */
export function age(ms, now) {
  if (ms === null) return "never";
  const passed = now - ms;
  return passed >= 60_000 && passed < 3_600_000 ? `${Math.floor(passed / 60_000)} min ago` : `${span(passed)} ago`;
}

/** A number with its digits grouped, at most `digits` behind the point. */
export const number = (value, digits = 3) => value.toLocaleString(undefined, { maximumFractionDigits: digits });

const WATTS = { W: 1, kW: 1e3, MW: 1e6, GW: 1e9 };

/** Watts of a telemetry row of power, else null. */
export const watts = (row) => (row.value === null || !(row.unit in WATTS) ? null : row.value * WATTS[row.unit]);

/** Power in kW with one digit that does not jump about. */
export const kilowatts = (value) =>
  `${(value / 1000).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 })} kW`;

/** The value of a telemetry row with its unit. */
export function reading(row) {
  if (row.value === null) {
    const parts = [];
    if (row.online !== null) parts.push(row.online ? "online" : "offline");
    if (row.manualOverride) parts.push("manual override");
    return parts.join(", ") || "–";
  }
  const power = watts(row);
  return power === null ? `${number(row.value)} ${row.unit ?? ""}`.trim() : kilowatts(power);
}

const LEVELS = ["normal", "moderate", "high", "special"];

/** One value of a signal in words. */
export function value(signal, of) {
  if (signal.signalName === "SIMPLE") return `level ${number(of)}${LEVELS[of] ? ` (${LEVELS[of]})` : ""}`;
  if (signal.signalType === "x-loadControlCapacity") return `${number(of * 100, 1)} %`;
  if (!signal.itemBase) return number(of);
  const { siScaleCode, itemUnits } = signal.itemBase;
  return `${number(of)} ${siScaleCode === "none" ? "" : siScaleCode}${itemUnits}`;
}

/** A signal's name as short as it stays clear. */
export const signalName = (signal) =>
  signal.signalName === "SIMPLE" ? "SIMPLE" : `${signal.signalName} ${signal.signalType}`;

/** The short form of a market context: what follows its last slash. */
export const context = (text) => text.replace(/\/+$/, "").split("/").pop() || text;

/** "1 VEN", "3 VENs". */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
