/**
 * What a drop is to one viewer at one moment: the words on its button, and what pressing it does. Pure.
 *
 * @typedef {{kind: string, label: string, hint: string, act: "take" | "pay" | "join" | "buy" | null}} Offer
 *   `kind` is for styling and tests; `act` is null where the button is not to be pressed
 */

import { number, text } from "./text.js";
import { countdown, dateOf, isFar } from "./words.js";

/** @returns {Offer} */
function offer(kind, label, hint = "", act = null) {
  return { kind, label, hint, act };
}

/**
 * @param {object} drop @param {import("./show.js").ShowState} state @param {number} now the server's time, Unix ms
 * @param {{asking: boolean, connection: string}} page
 * @returns {Offer}
 */
export function offerOf(drop, state, now, page) {
  const held = state.own(drop.id, "held");
  if (held.length > 0) return heldOffer(drop, held, state, now);
  if (state.own(drop.id, "paying").length > 0)
    return offer("paying", text("viewer.paying"), text("viewer.paying-hint"));
  if (page.asking)
    return offer(
      "asking",
      text("viewer.asking"),
      page.connection === "live" ? "" : text("viewer.asking-later"),
    );
  return notHeldOffer(drop, state, now, page);
}

/** @returns {number} how many more this viewer may take, by the limits of the drop and of the whole show alone */
export function allowance(drop, state) {
  if (state.capped.has(drop.id)) return 0;
  const inShow = state.show?.limit_per_viewer ?? Infinity;
  const left = Math.min(drop.limit_per_viewer - taken(state, drop.id), inShow - taken(state));
  return Math.max(0, left);
}

/** The units that count against a limit: of one drop, or of all. */
function taken(state, drop) {
  let units = 0;
  for (const one of state.mine.values()) if (drop === undefined || one.drop === drop) units += one.quantity;
  return units;
}

function heldOffer(drop, held, state, now) {
  const all = state.held.filter(({ expires_at: at }) => at > now);
  const first = all.find((one) => one.drop === drop.id);
  if (!first) return offer("lapsing", text("viewer.time-up"), text("viewer.time-up-hint"));
  const total = all.reduce((sum, { unit_price: price, quantity }) => sum + price * quantity, 0);
  const label = all.length > held.length ? "viewer.pay-all" : "viewer.pay";
  // Our idea of the server's clock is not exact: never promise more than the whole time.
  const left = Math.min(first.expires_at - now, drop.hold_seconds * 1000);
  const hint = text("viewer.pay-within", { time: countdown(left) });
  return offer("taken", text(label, { amount: state.price(total) }), hint, "pay");
}

function notHeldOffer(drop, state, now, page) {
  if (state.show?.status === "ended") return closedOffer(drop, state, "show-ended");
  if (drop.status === "closed") return closedOffer(drop, state, "closed");
  if (drop.status === "scheduled") return scheduledOffer(drop, now);
  if (drop.status === "countdown") {
    const left = drop.opens_at - now;
    return left > 0
      ? offer("countdown", text("viewer.opens-in", { time: countdown(left) }), limitWords(drop))
      : offer("countdown", text("viewer.opening"));
  }
  return soldOutOffer(drop, state, page) ?? haltedOffer(drop, state, page) ?? onSaleOffer(drop, state, page);
}

function scheduledOffer(drop, now) {
  const left = (drop.opens_at ?? 0) - now;
  if (left <= 0) return offer("scheduled", text("viewer.opens-soon"), limitWords(drop));
  const time = isFar(left) ? dateOf(drop.opens_at) : countdown(left);
  return offer("scheduled", text("viewer.opens-in", { time }), limitWords(drop));
}

/** The reasons for which an open or paused drop has nothing for this viewer. */
function soldOutOffer(drop, state, page) {
  const bought = state.own(drop.id, "sold").reduce((sum, { quantity }) => sum + quantity, 0);
  if (allowance(drop, state) === 0)
    return bought > 0
      ? offer("bought", text("viewer.yours"), text("viewer.yours-limit", { count: bought }))
      : offer("limit", text("viewer.limit"), limitWords(drop));
  if (drop.mode === "draw") return null;
  const place = state.places.get(drop.id);
  if (place) return waitingOffer(drop, place);
  if (drop.available > 0) return null;
  // The line is open while the show is under way, halted or not.
  const joinable = drop.waitlist && state.show?.status !== "scheduled" && page.connection !== "ended";
  if (drop.held > 0 && joinable)
    return offer("all-held", text("viewer.all-held"), text("viewer.all-held-join"), "join");
  if (drop.held > 0) return offer("all-held", text("viewer.all-held"), text("viewer.all-held-wait"));
  if (bought > 0) return offer("bought", text("viewer.yours"), text("viewer.yours-last", { count: bought }));
  return missedOffer(drop, state) ?? offer("sold-out", text("viewer.sold-out"));
}

function waitingOffer(drop, { position }) {
  const length = Math.max(drop.waitlist_length ?? 0, position);
  const hint = length > 1 ? text("viewer.in-line-of", { count: length }) : text("viewer.in-line-hint");
  return offer("waiting", text("viewer.in-line", { position: number(position) }), hint);
}

/** The reasons for which nothing can be had just now. */
function haltedOffer(drop, state, page) {
  const soon = text("viewer.paused-hint");
  if (drop.status === "paused") return offer("paused", text("viewer.paused"), soon);
  if (state.show?.status === "paused") return offer("paused", text("viewer.show-paused"), soon);
  if (state.show?.status === "scheduled") return offer("scheduled", text("viewer.show-not-started"));
  if (page.connection === "ended")
    return offer("offline", text("viewer.not-connected"), text("viewer.not-connected-hint"));
  return null;
}

function onSaleOffer(drop, state, page) {
  if (drop.mode === "draw") return drawOffer(drop, state);
  if (drop.mode === "first_paid")
    return offer("open", text("viewer.buy-now"), text("viewer.buy-now-hint"), "buy");
  const again = state.own(drop.id, "sold").length > 0;
  const limit = again ? text("viewer.more-for-you", { count: allowance(drop, state) }) : limitWords(drop);
  const calm = state.missed.get(drop.id) === "lapsed" ? text("viewer.missed-lapsed") : limit;
  const hint = page.connection === "live" ? calm : text("viewer.asks-later");
  return offer("open", text(again ? "viewer.take-another" : "viewer.take"), hint, "take");
}

function drawOffer(drop, state) {
  const available = number(drop.available);
  const entries = text("viewer.draw-entries", { count: drop.waitlist_length, available });
  return state.places.has(drop.id)
    ? offer("waiting", text("viewer.in-draw"), entries)
    : offer("open", text("viewer.enter-draw"), entries, "join");
}

function closedOffer(drop, state, why) {
  if (state.own(drop.id, "sold").length > 0)
    return offer("bought", text("viewer.yours"), text(`viewer.${why}-hint`));
  if (drop.mode === "draw" && state.places.has(drop.id))
    return offer("missed", text("viewer.not-drawn"), text("viewer.not-drawn-hint"));
  return missedOffer(drop, state) ?? offer("closed", text(`viewer.${why}`));
}

function missedOffer(drop, state) {
  const why = state.missed.get(drop.id);
  if (!why) return null;
  const hint = text(why === "lapsed" ? "viewer.missed-lapsed" : "viewer.missed-faster");
  return offer("missed", text("viewer.missed"), hint);
}

function limitWords(drop) {
  return drop.limit_per_viewer === 1
    ? text("viewer.one-each")
    : text("viewer.some-each", { count: drop.limit_per_viewer });
}
