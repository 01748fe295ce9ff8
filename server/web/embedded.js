/**
 * What the viewer's page tells the page that embeds it (docs/embedding.md). It speaks to its direct parent alone, and
 * only after that has said hello: the browser vouches for the origin in that message, and lets a page in at all only if
 * the server's setting names it. Nothing secret is ever sent, and of what comes in only a fresh token is taken.
 */

import { keepToken, showOfPage } from "./page.js";

const MOST_WAITING = 50; // messages until somebody says hello; older ones are forgotten
/** Our names -> what players of other makers call the same. */
const ALIASES = {
  "livedrop:ready": "READY",
  "livedrop:reservation": "ADD_TO_CART",
  "livedrop:release": "REMOVE_FROM_CART",
  "livedrop:checkout": "CHECKOUT",
  "livedrop:order": "PURCHASE",
};
const SHOW_STATUS = {
  "show.started": "live",
  "show.resumed": "live",
  "show.paused": "paused",
  "show.ended": "ended",
};
const NO_OR_BAD_TOKEN = 3500;
const OWED = new Set(["held", "paying"]);

/**
 * Tell the embedding page what happens from now on; does nothing in a page that stands by itself.
 * @param {import("./client/livedrop.js").LiveDrop} live @param {HTMLDialogElement} checkout the sheet
 */
export function relay(live, checkout) {
  if (!("embedded" in document.documentElement.dataset) || parent === window) return;
  const line = new Line((token) => renew(live, token));
  const told = new Told();
  live.addEventListener("message", ({ detail }) => told.of(detail).forEach((each) => line.say(...each)));
  live.addEventListener("connection", ({ detail }) => {
    if (detail.code === NO_OR_BAD_TOKEN) line.say("livedrop:unauthenticated", {});
  });
  new MutationObserver(() => {
    if (checkout.open && told.items.length > 0) line.say("livedrop:checkout", { items: told.items });
  }).observe(checkout, { attributeFilter: ["open"] });
}

/** The line to the embedding page. */
class Line {
  #home = null; // its origin, once it has said hello
  #waiting = [];

  /** @param {(token: string) => void} renew called with a fresh token */
  constructor(renew) {
    addEventListener("message", ({ source, origin, data }) => {
      if (source !== parent || origin === "null") return;
      if (data?.type === "livedrop:hello") this.#meet(origin);
      else if (data?.type === "livedrop:token" && origin === this.#home && typeof data.token === "string")
        renew(data.token);
    });
  }

  /** @param {string} type @param {object} detail */
  say(type, detail) {
    const message = { type, alias: ALIASES[type] ?? null, detail };
    if (this.#home !== null) parent.postMessage(message, this.#home);
    else this.#waiting = [...this.#waiting, message].slice(-MOST_WAITING);
  }

  #meet(origin) {
    this.#home = origin;
    for (const message of this.#waiting.splice(0)) parent.postMessage(message, origin);
  }
}

/** Puts the protocol's messages into what a shop wants to hear: each thing once, in few fields. */
class Told {
  #held = new Map(); // reservation -> what of it was told
  #paid = new Set(); // orders

  /** @returns {object[]} what is held and not paid */
  get items() {
    return [...this.#held.values()];
  }

  /** @param {object} message @returns {[string, object][]} what to tell, and its detail */
  of(message) {
    const { type } = message;
    if (type === "welcome") return this.#welcomed(message);
    if (type === "reservation" || type === "waitlist.promoted") return this.#reservation(message.reservation);
    if (type === "bundle") return message.reservations.flatMap((one) => this.#reservation(one));
    if (type === "waitlist") return [["livedrop:waitlist", { drop: message.drop, position: message.position }]];
    if (type === "order.updated") return this.order(message.order);
    if (type in SHOW_STATUS) return [["livedrop:show", { status: SHOW_STATUS[type] }]];
    return [];
  }

  /** A paid order is told once, whichever way it became known. */
  order({ id, status, total, currency, lines = [] }) {
    if (status !== "paid" || this.#paid.has(id)) return [];
    this.#paid.add(id);
    const items = lines.map(({ drop, sku, quantity, unit_price }) => ({ drop, sku, quantity, unit_price }));
    for (const { reservation } of lines) this.#held.delete(reservation);
    return [["livedrop:order", { id, total, currency, items }]];
  }

  #welcomed({ snapshot, reservations }) {
    const there = snapshot?.reservations ?? reservations ?? [];
    const named = new Set(there.map(({ id }) => id));
    const gone = this.items.filter(({ reservation }) => !named.has(reservation));
    const { id, title, status, currency } = snapshot?.show ?? {};
    return [
      ...(snapshot ? [["livedrop:ready", { show: id, title, status, currency }]] : []),
      ...gone.flatMap((item) => this.#gone(item.reservation)),
      ...there.flatMap((one) => this.#reservation(one)),
    ];
  }

  #reservation({ id, drop, sku, quantity, state, unit_price, currency, expires_at }) {
    if (!OWED.has(state)) return state === "sold" ? (this.#held.delete(id), []) : this.#gone(id);
    if (this.#held.has(id)) return [];
    const item = { reservation: id, drop, sku, quantity, unit_price, currency, expires_at };
    this.#held.set(id, item);
    return [["livedrop:reservation", item]];
  }

  #gone(id) {
    const item = this.#held.get(id);
    this.#held.delete(id);
    return item ? [["livedrop:release", item]] : [];
  }
}

function renew(live, token) {
  keepToken("watch", showOfPage(), token);
  live.renew(token);
  if (live.connection.state === "ended") live.connect();
}
