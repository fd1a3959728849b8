/* The operator API and its token. Rule: every call carries the token; an error answer becomes an ApiError. */

const KEY = "oadr-console-token";
const ROOT = "/api/v1";
const TIMEOUT_MS = 10_000;

/** An answer of 400 and up, or none at all (status 0); `problem` is the problem+json body (RFC 9457). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** Take the token out of the address (#token=...), which is cleaned at once, so that it is not shown or kept. */
export function adoptToken() {
  const given = /(?:^#|&)token=([^&]*)/.exec(location.hash);
  if (!given) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    setToken(decodeURIComponent(given[1]));
  } catch {
    setToken(given[1]);
  }
}

export const token = () => sessionStorage.getItem(KEY);
export const setToken = (text) => sessionStorage.setItem(KEY, text.trim());
export const dropToken = () => sessionStorage.removeItem(KEY);

/** How far the VTN's clock is ahead of the browser's, in ms, by the Date header (whole seconds). */
export let clockAhead = 0;
export const vtnNow = () => Date.now() + clockAhead;

function compareClocks(answer, asked) {
  const said = Date.parse(answer.headers.get("Date") ?? "");
  if (Number.isNaN(said)) return;
  const ahead = said + 500 - (asked + Date.now()) / 2;
  clockAhead = Math.abs(ahead) < 1500 ? 0 : ahead; // less cannot be told from rounding
}

export async function call(method, path, body, key) {
  if (/[^\x21-\x7e]/.test(token() ?? "")) throw new ApiError(401, { detail: "No token has such characters." });
  const headers = { Authorization: `Bearer ${token() ?? ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const asked = Date.now();
  let answer;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, { detail: "The VTN does not answer." });
  }
  compareClocks(answer, asked);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, data);
  return data;
}

export const get = (path) => call("GET", path);
export const post = (path, body, key) => call("POST", path, body, key);
export const put = (path, body, key) => call("PUT", path, body, key);

/** All pages of a list, at most `most`; `more` tells that there are others. */
export async function list(path, name, most) {
  const found = [];
  let cursor = "";
  for (let page = 0; page < most; page += 1) {
    const answer = await get(`${path}${cursor}`);
    found.push(...answer[name]);
    if (answer.next === null) return { rows: found, more: false };
    cursor = `&cursor=${encodeURIComponent(answer.next)}`;
  }
  return { rows: found, more: true };
}
