/**
 * What both pages need before they can speak: which show, with which token, and how the connection is put into words.
 */

import { aloud, byId, setText } from "./dom.js";
import { keep, recall, tab } from "./memory.js";
import { text } from "./text.js";
import { countdown } from "./words.js";

/** @returns {string} the show's id, the last part of the page's path */
export function showOfPage() {
  return decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
}

/** @param {"host" | "watch"} page a tab may have both pages of a show open in turn @param {string} show */
const nameOfToken = (page, show) => `livedrop.token.${page}.${show}`;

/**
 * Take the token out of the address (`#token=…`) and keep it for this tab, so that a reload works and neither a
 * shared screen nor a copied address gives it away.
 * @param {"host" | "watch"} page @param {string} show @returns {string | null}
 */
export function tokenOfPage(page, show) {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) keepToken(page, show, given);
  // Another link of the same page, opened in this tab, changes the fragment alone.
  addEventListener("hashchange", () => location.reload(), { once: true });
  return given ?? recall(tab, nameOfToken(page, show));
}

/**
 * Keep a token for the next reload: where nothing is kept (in some frames) in the address.
 * @param {"host" | "watch"} page @param {string} show @param {string} token
 */
export function keepToken(page, show, token) {
  const name = nameOfToken(page, show);
  keep(tab, name, token);
  const fragment = recall(tab, name) === token ? "" : `#token=${encodeURIComponent(token)}`;
  history.replaceState(null, "", location.pathname + location.search + fragment);
}

const LEFT = 1000; // the close code of a page that leaves by itself
const ENDED = {
  3500: "connection.link-invalid",
  3501: "connection.misunderstood",
  3504: "connection.too-many-windows",
  3507: "connection.other-show",
};

/**
 * Put the connection's state into `#connection`. Its countdown is for the eye alone: only a change of the state is
 * said aloud, where the page has a place for that.
 * @param {import("./client/livedrop.js").Connection} connection
 */
export function paintConnection(connection) {
  const element = byId("connection");
  const before = element.dataset.state;
  element.dataset.state = connection.state;
  setText(element, connectionWords(connection));
  if (before === connection.state || !byId("aloud")) return;
  if (connection.state === "ended") aloud(connectionWords(connection));
  else if (before === "live") aloud(text("connection.broke-off"));
  else if (before === "connecting" && element.dataset.wasLive && connection.state === "live")
    aloud(text("connection.live"));
  if (connection.state === "live") element.dataset.wasLive = "true";
}

function connectionWords({ state, code, reason, retry_at: retryAt }) {
  if (state === "ended") return ENDED[code] ? text(ENDED[code]) : code === LEFT ? reason : text("connection.ended");
  if (state !== "waiting") return text(`connection.${state}`);
  const left = retryAt - Date.now();
  return left > 1000 ? text("connection.lost", { time: countdown(left) }) : text("connection.reconnecting");
}

/** Let those parts appear that say something of the show: it is known now. */
export function revealShow() {
  document.body.classList.add("knows-show");
}

/**
 * A refused handshake tells a page nothing. Where the first one fails, ask whether the show exists at all.
 * @param {import("./client/livedrop.js").LiveDrop} live @param {string} show
 */
export function doubtShow(live, show) {
  const doubt = async ({ detail }) => {
    if (detail.state === "connecting") return;
    live.removeEventListener("connection", doubt);
    if (detail.state !== "waiting") return;
    const path = `/v1/shows/${encodeURIComponent(show)}`;
    const error = await live.request("GET", path).then(
      () => null,
      (refusal) => refusal,
    );
    if (error?.code === "not-found") live.disconnect(text("connection.no-show"));
  };
  live.addEventListener("connection", doubt);
}

/** Say that the page was opened without a token, or with the path alone. */
export function paintNoToken() {
  const element = byId("connection");
  element.dataset.state = "ended";
  setText(element, text("connection.no-token"));
}
