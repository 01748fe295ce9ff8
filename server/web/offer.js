/**
 * What a drop is to one viewer at one moment: the words on its button, and what pressing it does. Pure.
 *
 * @typedef {{kind: string, label: string, hint: string, act: "take" | "pay" | "join" | "buy" | null}} Offer
 *   `kind` is for styling and tests; `act` is null where the button is not to be pressed
 */

import { countdown } from "./words.js";

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
    return offer("paying", "Paying…", "your payment is being worked on");
  if (page.asking)
    return offer(
      "asking",
      "Asking…",
      page.connection === "live" ? "" : "goes on as soon as you are connected again",
    );
  return notHeldOffer(drop, state, now, page);
}

/** @returns {number} how many more this viewer may take, by the limit alone */
export function allowance(drop, state) {
  if (state.capped.has(drop.id)) return 0;
  const taken = state.own(drop.id, "held", "paying", "sold").reduce((sum, { quantity }) => sum + quantity, 0);
  return Math.max(0, drop.limit_per_viewer - taken);
}

function heldOffer(drop, held, state, now) {
  const all = state.held.filter(({ expires_at: at }) => at > now);
  const first = all.find((one) => one.drop === drop.id);
  if (!first) return offer("lapsing", "Time is up", "it goes back to the others");
  const total = all.reduce((sum, { unit_price: price, quantity }) => sum + price * quantity, 0);
  const what = all.length > held.length ? "Pay all" : "Pay";
  // Our idea of the server's clock is not exact: never promise more than the whole time.
  const left = Math.min(first.expires_at - now, drop.hold_seconds * 1000);
  return offer("taken", `${what} · ${state.price(total)}`, `taken – pay within ${countdown(left)}`, "pay");
}

function notHeldOffer(drop, state, now, page) {
  if (state.show?.status === "ended") return closedOffer(drop, state, "The show has ended");
  if (drop.status === "closed") return closedOffer(drop, state, "Closed");
  if (drop.status === "scheduled") return scheduledOffer(drop, now);
  if (drop.status === "countdown") {
    const left = drop.opens_at - now;
    return left > 0
      ? offer("countdown", `Opens in ${countdown(left)}`, limitWords(drop))
      : offer("countdown", "Opening…");
  }
  return soldOutOffer(drop, state) ?? haltedOffer(drop, state, page) ?? onSaleOffer(drop, state, page);
}

function scheduledOffer(drop, now) {
  const left = (drop.opens_at ?? 0) - now;
  return left > 0
    ? offer("scheduled", `Opens in ${countdown(left)}`, limitWords(drop))
    : offer("scheduled", "Opens soon", limitWords(drop));
}

/** The reasons for which an open or paused drop has nothing for this viewer. */
function soldOutOffer(drop, state) {
  const bought = state.own(drop.id, "sold").reduce((sum, { quantity }) => sum + quantity, 0);
  if (bought > 0 && allowance(drop, state) === 0)
    return offer("bought", "It is yours", `${bought} bought – the limit per person`);
  if (allowance(drop, state) === 0) return offer("limit", "Limit reached", limitWords(drop));
  if (drop.mode === "draw") return null;
  const place = state.places.get(drop.id);
  if (place) return offer("waiting", `You are number ${place.position} in line`, "what comes back is yours in turn");
  if (drop.available > 0) return null;
  if (drop.held > 0 && drop.waitlist) return offer("all-held", "All on hold", "join the line for what comes back", "join");
  if (drop.held > 0) return offer("all-held", "All on hold", "what is not paid comes back");
  return missedOffer(drop, state) ?? offer("sold-out", "Sold out");
}

/** The reasons for which nothing can be had just now. */
function haltedOffer(drop, state, page) {
  if (drop.status === "paused") return offer("paused", "Paused", "goes on in a moment");
  if (state.show?.status === "paused") return offer("paused", "The show is paused", "goes on in a moment");
  if (state.show?.status === "scheduled") return offer("scheduled", "The show has not started");
  if (page.connection === "ended")
    return offer("offline", "Not connected", "reload the page, or ask for a new link");
  return null;
}

function onSaleOffer(drop, state, page) {
  if (drop.mode === "draw") return drawOffer(drop, state);
  const again = state.own(drop.id, "sold").length > 0;
  const limit = again ? `${allowance(drop, state)} more for you` : limitWords(drop);
  const hint = page.connection === "live" ? limit : "asks as soon as you are connected again";
  if (drop.mode === "first_paid") return offer("open", "Buy now", "yours once it is paid: nothing is held", "buy");
  return offer("open", again ? "Take another" : "Take it", hint, "take");
}

function drawOffer(drop, state) {
  const entries = drop.waitlist_length === 1 ? "1 entry" : `${drop.waitlist_length} entries`;
  return state.places.has(drop.id)
    ? offer("waiting", "You are in the draw", `${entries} for ${drop.available}`)
    : offer("open", "Enter the draw", `${entries} for ${drop.available}`, "join");
}

function closedOffer(drop, state, label) {
  if (state.own(drop.id, "sold").length > 0) return offer("bought", "It is yours", label.toLowerCase());
  if (drop.mode === "draw" && state.places.has(drop.id)) return offer("missed", "Not drawn", "others were drawn");
  return missedOffer(drop, state) ?? offer("closed", label);
}

function missedOffer(drop, state) {
  const why = state.missed.get(drop.id);
  if (!why) return null;
  return offer(
    "missed",
    "Missed",
    why === "lapsed" ? "your time to pay ran out" : "it sold out before your turn",
  );
}

function limitWords(drop) {
  return drop.limit_per_viewer === 1 ? "one per person" : `up to ${drop.limit_per_viewer} per person`;
}
