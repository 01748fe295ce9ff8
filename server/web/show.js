/**
 * What a page knows of a show: the snapshot, and what the messages since have changed. No network, no elements.
 */

import { money } from "./money.js";

const STOCK = ["available", "held", "sold", "quantity", "revision", "waitlist_length"];
/** A drop in one of these states is what the show is about right now. */
const ON_STAGE = new Set(["countdown", "open", "paused"]);

/** What an order has made of a reservation; no reservation's own message changes that. */
const SETTLED = new Set(["sold", "refunded"]);

/** A message's effect on the show's own status. */
const SHOW_STATUS = {
  "show.started": "live",
  "show.resumed": "live",
  "show.paused": "paused",
  "show.ended": "ended",
};
/** A message's effect on its drop's status. */
const DROP_STATUS = {
  "drop.countdown": "countdown",
  "drop.opened": "open",
  "drop.resumed": "open",
  "drop.paused": "paused",
  "drop.closed": "closed",
};

export class ShowState {
  #keepOrder;

  /** @param {(id: string) => void} keepOrder called with every order that becomes known, before anybody sees it */
  constructor(keepOrder = () => {}) {
    this.#keepOrder = keepOrder;
    this.show = null;
    this.viewers = 0;
    /** @type {Record<string, number>} kind of applause -> how often, since the show began */
    this.reactions = {};
    /** @type {object[]} pinned products */
    this.pinned = [];
    /** @type {Map<string, object>} drops by id */
    this.drops = new Map();
    /** @type {Map<string, object>} this viewer's reservations that are held, being paid, sold or refunded */
    this.mine = new Map();
    /** @type {Map<string, string>} drop id -> why this viewer got none: `lapsed` or `out-of-stock` */
    this.missed = new Map();
    /** @type {Map<string, {position: number}>} drop id -> this viewer's place in its queue, or entry into its draw */
    this.places = new Map();
    /** @type {Set<string>} drop ids of which the server said that this viewer has as many as allowed */
    this.capped = new Set();
    /** @type {Map<string, object>} this viewer's orders by id */
    this.orders = new Map();
  }

  /** Take one message of the protocol in. Messages of other types change nothing. */
  apply(message) {
    const { type } = message;
    if (type === "welcome") this.#welcome(message);
    else if (type in SHOW_STATUS) this.show = { ...this.show, ...message.show, status: SHOW_STATUS[type] };
    else if (type === "show.arranged") this.show = { ...this.show, run: message.drops };
    else if (type === "video.changed") this.show = { ...this.show, video_url: message.video_url };
    else if (type === "viewers.updated") this.viewers = message.count;
    else if (type === "reactions") this.reactions = message.counts;
    else if (type === "product.pinned") this.pinned = message.products ?? [];
    else if (type === "reservation") this.putReservation(message.reservation);
    else if (type === "waitlist") this.#putPlace(message);
    else if (type === "order.updated") this.putOrder(message.order);
    else if (type === "stock.updated") this.#putStock(message.drop_id, message);
    else if (type.startsWith("drop.")) this.#dropEvent(message);
  }

  /** Put a drop as some answer or event describes it; its stock counts only if it is not older than what is known. */
  putDrop(drop) {
    const known = this.drops.get(drop.id);
    const next = { ...drop }; // whole: what it does not have any more is gone, as the moment of a countdown called off
    if (known && drop.revision < known.revision) for (const name of STOCK) next[name] = known[name];
    this.drops.set(drop.id, next);
  }

  putReservation(reservation) {
    const { id, drop, state } = reservation;
    // The answer to a checkout may overtake what the socket says about its way there; a paid unit can only be given back.
    if (SETTLED.has(this.mine.get(id)?.state) && state !== "released") return;
    if (state === "released" || state === "expired") {
      if (state === "expired" && this.mine.has(id)) this.missed.set(drop, "lapsed");
      this.mine.delete(id);
      this.capped.delete(drop);
      return;
    }
    this.mine.set(id, reservation);
    this.missed.delete(drop);
    if (state === "held") this.places.delete(drop); // where more is to come, the place follows by itself
  }

  /** Put an order; the reservations that it paid count as sold from now on. */
  putOrder(order) {
    this.#keepOrder(order.id);
    this.orders.set(order.id, { ...this.orders.get(order.id), ...order });
    if (order.status === "cancelled") {
      for (const { reservation } of order.lines ?? []) this.mine.delete(reservation);
      return;
    }
    for (const { reservation: id, drop, sku, quantity, unit_price: price } of order.lines ?? []) {
      // Paid back, it is not theirs any more, and still counts against the limit.
      const state = order.status === "refunded" ? "refunded" : "sold";
      const bought = { id, drop, sku, quantity, unit_price: price, currency: order.currency, state };
      this.mine.set(id, { ...this.mine.get(id), ...bought });
    }
  }

  /** @param {string} drop @param {...string} states @returns {object[]} own reservations of that drop in these states */
  own(drop, ...states) {
    return [...this.mine.values()].filter((one) => one.drop === drop && states.includes(one.state));
  }

  /** @returns {object[]} everything that this viewer holds and has not paid, the most urgent first */
  get held() {
    const held = [...this.mine.values()].filter(({ state }) => state === "held");
    return held.sort((one, other) => one.expires_at - other.expires_at);
  }

  /** @param {number} minor @returns {string} an amount in the show's currency, as its locale writes it */
  price(minor) {
    return money(minor, this.show.currency, this.show.locale);
  }

  /** @returns {object[]} drops as a viewer wants them: on stage, then coming, then over; the newest of each first */
  get ordered() {
    const rank = ({ status }) => (ON_STAGE.has(status) ? 0 : status === "closed" ? 2 : 1);
    const compare = (one, other) =>
      rank(one) - rank(other) || other.created_at - one.created_at || (one.id < other.id ? 1 : -1);
    return [...this.drops.values()].sort(compare);
  }

  /** @returns {string | undefined} the picture of what the show is about: the drop on stage, else what is pinned */
  get featured() {
    const onStage = this.ordered.filter(({ status }) => ON_STAGE.has(status));
    const pictures = [...onStage.map(({ image }) => image), ...this.pinned.map(({ images }) => images?.[0])];
    return pictures.find(Boolean);
  }

  #welcome({ snapshot, reservations, waitlist, server_time_at: now }) {
    this.#replaceMine(snapshot?.reservations ?? reservations ?? [], now);
    this.places.clear();
    for (const place of snapshot?.waitlist ?? waitlist ?? []) this.#putPlace(place);
    if (!snapshot) return;
    this.show = snapshot.show;
    this.viewers = snapshot.viewers ?? 0;
    this.pinned = snapshot.pinned ?? [];
    this.drops = new Map((snapshot.drops ?? []).map((drop) => [drop.id, drop]));
  }

  /** Those of orders stay, remembered from them; of the others the server's list is the whole truth. */
  #replaceMine(reservations, now) {
    const named = new Set(reservations.map(({ id }) => id));
    for (const [id, { drop, state, expires_at: expiresAt }] of this.mine) {
      if (SETTLED.has(state) || named.has(id)) continue;
      if (expiresAt <= now) this.missed.set(drop, "lapsed");
      this.mine.delete(id);
    }
    for (const reservation of reservations) this.putReservation(reservation);
  }

  #dropEvent({ type, at, drop, drop_id: id = drop?.id, stock, opens_at: opensAt, wave }) {
    if (drop) this.putDrop(drop);
    const known = this.drops.get(id);
    if (!known) return;
    if (type in DROP_STATUS) known.status = DROP_STATUS[type];
    if (opensAt !== undefined) known.opens_at = opensAt;
    if (wave !== undefined && known.waves?.[wave - 1]) known.waves[wave - 1].released_at = at;
    if (stock) this.#putStock(id, stock);
  }

  /** Put a place in a queue as the server tells it; 0 is none. */
  #putPlace({ drop, position, quantity }) {
    if (position > 0) this.places.set(drop, { position, quantity });
    else this.places.delete(drop);
  }

  #putStock(id, stock) {
    const known = this.drops.get(id);
    if (!known || stock.revision < known.revision) return;
    for (const name of STOCK) if (stock[name] !== undefined) known[name] = stock[name];
  }
}
