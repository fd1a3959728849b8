/* The console: what is shown where, and the round that keeps it current.
   Rule: one loop reads, one function draws; whatever fails is said in words and the last known state stays. */

import { ApiError, adoptToken, dropToken, get, setToken, token, vtnNow } from "./api.js";
import { Cancel } from "./cancel.js";
import { Change } from "./change.js";
import { Data } from "./data.js";
import { h, patch } from "./dom.js";
import { eventDetail } from "./detail.js";
import { eventList, live, publishButton } from "./events.js";
import * as f from "./format.js";
import { optList, telemetryList } from "./lists.js";
import { Programmes, programmeList } from "./programmes.js";
import { Publish } from "./publish.js";
import { reportList } from "./reports.js";
import { VenDialog } from "./vendialog.js";
import { venList } from "./vens.js";

const ROUND_MS = 2000;
const TICK_MS = 1000; // ages and countdowns
const TABS = {
  events: "Events",
  vens: "VENs",
  opts: "Opts",
  telemetry: "Telemetry",
  reports: "Reports",
  programmes: "Programmes",
};
const LISTS = {
  vens: venList,
  opts: optList,
  telemetry: telemetryList,
  reports: reportList,
  programmes: programmeList,
};

const state = {
  data: new Data(),
  current: null,
  fault: null,
  refused: "",
  filters: {},
  checking: false,
  loaded: new Set(),
};
const publish = new Publish(draw, published, signOut);
const cancel = new Cancel(draw, cancelled, signOut);
const change = new Change(draw, changed, signOut);
const programmes = new Programmes(draw, () => wake(), signOut);
const venDialog = new VenDialog(draw, () => wake(), signOut);
const DIALOGS = [publish, change, programmes, venDialog, cancel];
const act = {
  programme: (each) => programmes.open(each),
  ven: (what, subject) => venDialog.open(what, subject),
  select: (id) => {
    location.hash = `#/events/${encodeURIComponent(id)}`;
  },
  publish: () => {
    state.data.loadVens().then(() => draw(), failed);
    publish.open(state.data);
  },
  cancel: (event) => cancel.open(event),
  change: (event) => {
    state.data.loadVens().then(() => draw(), failed);
    change.open(event);
  },
  older: () => {
    state.data.eventPages += 1;
    wake();
  },
  filter: (text) => {
    state.filters[route().tab] = text;
    draw();
  },
};

function route() {
  const [, tab, id] = /^#\/(\w+)(?:\/(.+))?$/.exec(location.hash) ?? [];
  return { tab: tab in TABS ? tab : "events", id: tab === "events" && id ? decodeURIComponent(id) : null };
}

/* ---- reading ---- */

let hurry = false;
let endPause = () => {};

/** Read anew at once, or right after the round that is under way. */
function wake() {
  hurry = true;
  endPause();
}

async function loop() {
  for (;;) {
    hurry = false;
    if (token() && !document.hidden && !state.checking) await round();
    if (hurry) continue;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ROUND_MS);
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function round() {
  const { tab, id } = route();
  const data = state.data;
  try {
    await data.refresh(tab, id);
    if (data !== state.data) return; // signed out meanwhile
    state.current = Date.now();
    state.fault = null;
    state.loaded.add(tab);
    chooseFirst();
  } catch (error) {
    failed(error);
  }
  draw();
}

/** Where the address names nothing and there is room for both, show the event that matters most. */
function chooseFirst() {
  const { events } = state.data;
  const first = events.find((event) => event.eventStatus === "active") ?? events.find(live) ?? events[0];
  if (!first || location.hash !== "" || innerWidth <= 900) return;
  history.replaceState(null, "", `#/events/${encodeURIComponent(first.eventID)}`);
  wake();
}

function failed(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) signOut(error);
  else state.fault = error;
}

/** Forget the token and everything read with it; an error tells why. */
function signOut(error) {
  dropToken();
  state.refused = error
    ? "The VTN refused the token (401). Type the token of the [operator] section of its settings."
    : "";
  state.data = new Data();
  state.loaded.clear();
  state.current = null;
  state.fault = null;
  draw("token");
}

async function signIn(text) {
  if (!text.trim()) return;
  setToken(text);
  state.checking = true;
  state.refused = "";
  draw();
  try {
    await get("/events?limit=1");
  } catch (error) {
    if (error.status === 401) signOut(error);
    else if (error instanceof ApiError) {
      dropToken();
      state.refused = error.message;
    } else throw error;
  } finally {
    state.checking = false;
  }
  draw();
  wake();
}

function published(event) {
  announce(`Published: ${event.eventID}`);
  state.data.events = [event, ...state.data.events];
  act.select(event.eventID);
  draw("publish");
  wake();
}

function cancelled(event) {
  announce(`Cancelled: ${event.eventID}`);
  draw("event-title");
  wake();
}

function changed(event) {
  announce(`Changed: ${event.eventID}`);
  draw("event-title");
  wake();
}

function announce(text) {
  document.getElementById("announce").textContent = text;
}

/* ---- drawing ---- */

/** Draw everything; `focus` is the id of the element to go to. */
function draw(focus) {
  const now = vtnNow();
  const signedIn = token() !== null && !state.checking;
  patch(document.getElementById("app"), signedIn ? page(now) : [door()]);
  const dialogs = signedIn ? DIALOGS.map((dialog) => dialog.view(state.data)) : [];
  patch(document.getElementById("dialogs"), dialogs.filter(Boolean));
  for (const dialog of document.querySelectorAll("dialog")) if (!dialog.open) dialog.showModal();
  if (typeof focus === "string") document.getElementById(focus)?.focus();
  const active = state.data.events.filter((event) => event.eventStatus === "active").length;
  document.title = signedIn && active ? `${active} active – VTN console` : "VTN console";
}

function door() {
  return h(
    "main",
    { key: "door", class: "door" },
    h("h1", {}, "VTN console"),
    h(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            const field = event.target.elements.token;
            signIn(field.value);
            field.value = "";
          },
        },
      },
      h(
        "div",
        { class: "field" },
        h("label", { for: "token" }, "Operator token"),
        h("input", {
          id: "token",
          name: "token",
          type: "password",
          autocomplete: "off",
          autofocus: true,
          spellcheck: "false",
          "aria-describedby": "door-note",
        }),
      ),
      h("p", { class: "fault", role: "alert", id: "refused" }, state.refused),
      h(
        "button",
        { type: "submit", id: "enter", class: "primary", disabled: state.checking },
        state.checking ? "Checking…" : "Open the console",
      ),
    ),
    h("p", { id: "door-note", class: "dim" }, "It is kept in this browser tab only, until the tab is closed."),
  );
}

function page(now) {
  const { tab, id } = route();
  return [
    h(
      "header",
      { key: "bar", class: "bar" },
      h("h1", {}, "VTN", h("span", {}, " console")),
      h(
        "nav",
        { "aria-label": "Sections" },
        Object.entries(TABS).map(([name, title]) =>
          h("a", { key: name, href: `#/${name}`, "aria-current": name === tab && "page" }, title, tally(name)),
        ),
      ),
      h("span", { class: "space" }),
      contact(),
      h("time", { class: "clock", title: new Date(now).toISOString() }, `${f.clock(now)} ${f.zone(now)}`),
      publishButton(act),
      h("button", { type: "button", id: "leave", on: { click: () => signOut() } }, "Sign out"),
    ),
    state.fault && h("p", { key: "fault", class: "banner", role: "alert" }, trouble()),
    h(
      "main",
      { key: `main-${tab}`, class: tab === "events" ? `split${id ? " opened" : ""}` : "" },
      content(tab, id, now),
    ),
  ].filter(Boolean);
}

function tally(name) {
  const active = state.data.events.filter((event) => event.eventStatus === "active").length;
  if (name === "events" && active)
    return h("span", { class: "tally" }, active, h("span", { class: "unseen" }, " active"));
  return null;
}

function contact() {
  if (state.fault) return h("span", { class: "dot down" }, "no contact");
  return state.current === null ? h("span", { class: "dot wait" }, "reading") : h("span", { class: "dot up" }, "live");
}

function trouble() {
  const { problem, message } = state.fault;
  const since =
    state.current === null ? "Nothing has been read yet." : `Shown is the state of ${f.clock(state.current)}.`;
  return `${message} ${since} Trying again.${problem.reference ? ` Reference ${problem.reference}.` : ""}`;
}

function content(tab, id, now) {
  const { data } = state;
  if (state.current === null || !state.loaded.has(tab))
    return h("p", { class: "empty" }, state.fault ? "" : "Reading…");
  if (tab !== "events") return LISTS[tab](data, state.filters[tab] ?? "", now, act);
  return [
    h("section", { key: "list", class: "list", "aria-label": "Events" }, eventList(data, id, now, act)),
    h(
      "section",
      { key: "detail", class: "detail", "aria-label": "Selected event" },
      id && h("p", { class: "back" }, h("a", { href: "#/events" }, "← all events")),
      selected(id, now),
    ),
  ];
}

function selected(id, now) {
  if (!id)
    return h("p", { class: "empty" }, "Select an event to see who has it, who acts on it, and what the meters say.");
  const detail = state.data.details.get(id);
  if (detail === null) return h("p", { class: "empty" }, `No event has the eventID ${id}.`);
  return detail ? eventDetail(detail, now, act) : h("p", { class: "empty" }, "Reading…");
}

/* ---- start ---- */

adoptToken();
addEventListener("hashchange", () => {
  adoptToken();
  const chosen = document.querySelector(".detail");
  if (chosen) chosen.scrollTop = 0;
  draw();
  wake();
});
document.addEventListener("visibilitychange", () => wake());
setInterval(() => {
  if (!document.hidden) draw();
}, TICK_MS);
draw();
loop();
