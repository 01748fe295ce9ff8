/**
 * What both pages need before they can speak: which show, with which token, and how the connection is put into words.
 */

import { countdown } from "./words.js";
import { byId, setText } from "./dom.js";

/** @returns {string} the show's id, the last part of the page's path */
export function showOfPage() {
  return decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
}

/**
 * Take the token out of the address (`#token=…`) and keep it for this tab, so that a reload works and neither a
 * shared screen nor a copied address gives it away.
 * @param {"host" | "watch"} page a tab may have both pages of a show open in turn @param {string} show
 * @returns {string | null}
 */
export function tokenOfPage(page, show) {
  const name = `livedrop.token.${page}.${show}`;
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(name, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  // Another link of the same page, opened in this tab, changes the fragment alone.
  addEventListener("hashchange", () => location.reload(), { once: true });
  return sessionStorage.getItem(name);
}

const LEFT = 1000; // the close code of a page that leaves by itself
const ENDED = {
  3500: "This link is no longer valid. Ask for a new one.",
  3501: "This page and the server do not understand each other. Reload the page.",
  3504: "This show is open in too many windows. Close some and reload.",
  3507: "This link is not for this show.",
};

/** Put the connection's state into `#connection`. @param {import("./livedrop.js").Connection} connection */
export function paintConnection(connection) {
  const element = byId("connection");
  element.dataset.state = connection.state;
  setText(element, connectionWords(connection));
}

function connectionWords({ state, code, reason, retry_at: retryAt }) {
  if (state === "live") return "Connected";
  if (state === "ended") return ENDED[code] ?? (code === LEFT ? reason : "Disconnected. Reload the page to come back.");
  if (state === "connecting") return "Connecting…";
  const left = retryAt - Date.now();
  return left > 1000 ? `Connection lost – back in ${countdown(left)}` : "Reconnecting…";
}

/** Let those parts appear that say something of the show: it is known now. */
export function revealShow() {
  document.body.classList.add("knows-show");
}

/**
 * A refused handshake tells a page nothing. Where the first one fails, ask whether the show exists at all.
 * @param {import("./livedrop.js").LiveDrop} live @param {string} show
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
    if (error?.code === "not-found") live.disconnect("There is no such show. Please check the link.");
  };
  live.addEventListener("connection", doubt);
}

/** Say that the page was opened without a token, or with the path alone. */
export function paintNoToken() {
  const element = byId("connection");
  element.dataset.state = "ended";
  setText(element, "This page needs the whole link, with its token.");
}
