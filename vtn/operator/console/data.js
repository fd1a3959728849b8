/* What the console knows of the VTN, and which questions keep it current.
   Rule: one round asks only for what can have changed and is shown; what is settled is asked for once. */

import { get, list, vtnNow } from "./api.js";
import { at, watts } from "./format.js";

const EVENTS_A_PAGE = 100;
const VENS_EVERY = 5; // rounds, where nobody looks at them
const OPTS = 200;
const REACH_MS = [120_000, 3_600_000, 86_400_000]; // first search for telemetry: these far back, until there is some
const OVERLAP_MS = 30_000; // later values may belong before the newest one
const TELEMETRY_PAGES = 10;

export class Data {
  events = [];
  moreEvents = false;
  eventPages = 1;
  details = new Map();
  vens = [];
  candidates = [];
  reportRequests = [];
  moreReportRequests = false;
  opts = [];
  moreOpts = false;
  telemetry = new Map();
  programmes = [];
  #round = 0;
  #newest = null;

  /** Ask once; raises ApiError. */
  async refresh(tab, selected) {
    const events = await list(`/events?limit=${EVENTS_A_PAGE}`, "events", this.eventPages);
    this.events = events.rows;
    this.moreEvents = events.more;
    const asked = selected ? [this.#detail(selected)] : [];
    if (tab === "vens" || this.#round % VENS_EVERY === 0) asked.push(this.loadVens());
    if (tab === "programmes") asked.push(this.#loadProgrammes());
    if (tab === "reports") asked.push(this.#loadReportRequests());
    if (tab === "opts") asked.push(this.#loadOpts());
    if (tab === "telemetry") asked.push(this.#loadTelemetry());
    await Promise.all(asked);
    this.#round += 1;
  }

  async loadVens() {
    this.vens = (await list("/vens?limit=1000", "vens", 5)).rows;
    this.candidates = (await list("/candidates?state=waiting&limit=100", "candidates", 1)).rows;
  }

  async #detail(id) {
    try {
      const detail = await get(`/events/${encodeURIComponent(id)}`);
      this.details.set(id, detail);
      for (const ven of detail.vens) for (const each of ven.resources) this.#keep(each.telemetry);
    } catch (error) {
      if (error.status !== 404) throw error;
      this.details.set(id, null);
    }
  }

  async #loadProgrammes() {
    this.programmes = (await list("/market-contexts?limit=1000", "programmes", 5)).rows;
  }

  async #loadReportRequests() {
    const found = await list("/report-requests?limit=1000", "requests", 1);
    this.reportRequests = found.rows;
    this.moreReportRequests = found.more;
  }

  async #loadOpts() {
    const found = await list(`/opts?limit=${OPTS}`, "opts", 1);
    this.opts = found.rows;
    this.moreOpts = found.more;
  }

  async #loadTelemetry() {
    const reaches = this.#newest === null ? REACH_MS.map((back) => vtnNow() - back) : [this.#newest - OVERLAP_MS];
    for (const start of reaches) {
      const from = new Date(start).toISOString();
      const found = await list(`/reports?limit=1000&start=${encodeURIComponent(from)}`, "reports", TELEMETRY_PAGES);
      this.#keep(found.rows);
      for (const row of found.rows) this.#newest = Math.max(this.#newest ?? 0, at(row.dtstart));
      if (found.rows.length) return;
    }
  }

  #keep(rows) {
    for (const row of rows) {
      const key = [row.venID, row.resourceID, row.reportName, row.rID].join("\n");
      const held = this.telemetry.get(key);
      if (!held || at(held.dtstart) <= at(row.dtstart)) this.telemetry.set(key, row);
    }
  }
}

/** What an event's detail amounts to: VENs that acknowledged, resources in, out and unheard, their power. */
export function totals(detail) {
  const vens = detail.vens.filter((ven) => ven.withdrawnModificationNumber === null);
  const sum = {
    vens: vens.length,
    acknowledged: 0,
    in: 0,
    out: 0,
    open: 0,
    online: 0,
    known: 0,
    power: 0,
    metered: 0,
  };
  for (const ven of vens) {
    if (ven.state === "acknowledged") sum.acknowledged += 1;
    for (const each of ven.resources.length ? ven.resources : [ven]) {
      sum[{ optIn: "in", optOut: "out" }[each.optType] ?? "open"] += 1;
      const { power, online } = newest(each.telemetry ?? []);
      if (online !== null) sum.known += 1;
      if (online) sum.online += 1;
      if (power) sum.metered += 1;
      sum.power += power ? power.watts : 0;
    }
  }
  return sum;
}

/** The newest power {watts, at} and online state among telemetry rows of one resource, null where unknown. */
export function newest(rows) {
  let power = null;
  let status = null;
  for (const row of rows) {
    const drawn = watts(row);
    if (drawn !== null && (!power || at(row.dtstart) > power.at)) power = { watts: drawn, at: at(row.dtstart), row };
    if (row.online !== null && (!status || at(row.dtstart) > at(status.dtstart))) status = row;
  }
  return { power, online: status?.online ?? null, manual: status?.manualOverride ?? null };
}
