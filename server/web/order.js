/** One order as its buyer sees it: what, how much, how far it is, and what happened to it. Pure but for `OrderView`. */

import { byId, fill, make, setText, webAddress } from "./dom.js";
import { keep, recall, tab } from "./memory.js";
import { hasText, number, text } from "./text.js";
import { countryName, dateOf, nameOf, ORDER_WORDS } from "./words.js";

const AWAY = "livedrop.away";

/** Remember that a buyer has to leave the page for an order and is sent back to it. @param {string} id */
export function sendAway(id) {
  keep(tab, AWAY, id);
}

/** @returns {string | null} the order for which the buyer had left, once */
export function cameBack() {
  const id = recall(tab, AWAY);
  keep(tab, AWAY, undefined);
  return id;
}

/** @param {string} status @returns {string} what an order's sheet is headed with */
export function headingOf(status) {
  return text(hasText(`viewer.heading.${status}`) ? `viewer.heading.${status}` : "viewer.thanks");
}

/**
 * What happened to an order in sentences, oldest first. Pure.
 * @param {object} order as `GET /v1/orders/{order}` shows it @param {(minor: number) => string} price
 * @returns {{at: number, words: string[]}[]}
 */
export function storyOf({ history = [], refunds = [], fulfilment }, price) {
  const told = history.map(({ status, at, details = {} }) => {
    const words = [ORDER_WORDS[status] ?? status];
    if (status === "fulfilled") words.push(...shipment({ ...fulfilment, ...details }));
    return { at, words };
  });
  const keys = { asked: "viewer.order-refund-asked", refused: "viewer.order-refund-refused" };
  const paid = refunds.map(({ status, amount, created_at: at }) => ({
    at,
    words: [text(keys[status] ?? "viewer.order-refunded", { amount: price(amount) })],
  }));
  return [...told, ...paid].sort((one, other) => one.at - other.at);
}

function shipment({ carrier, tracking_number: number }) {
  return [
    carrier && text("viewer.order-sent-by", { carrier: String(carrier) }),
    number && text("viewer.order-tracking", { number: String(number) }),
  ].filter(Boolean);
}

/** @param {object | undefined} address @returns {string[]} its lines, as on a parcel. Pure. */
export function addressLines(address = {}) {
  const { name, line1, line2, postal_code: code, city, region, country } = address;
  if (!line1) return []; // a country alone was given for the way to pay
  const town = [code, city].filter(Boolean).join(" ");
  return [name, line1, line2, town, [region, country && countryName(country)].filter(Boolean).join(", ")].filter(Boolean);
}

export class OrderView {
  #state;

  /** @param {import("./show.js").ShowState} state */
  constructor(state) {
    this.#state = state;
  }

  /** @param {object} order */
  paint(order) {
    const price = (minor) => this.#state.price(minor);
    setText(byId("order-title"), headingOf(order.status));
    setText(byId("order-status"), ORDER_WORDS[order.status] ?? order.status);
    setText(byId("order-id"), order.id);
    setText(byId("order-at"), text("viewer.order-at", { date: dateOf(order.created_at) }));
    byId("order").dataset.status = order.status;
    fill(byId("order-lines"), order.lines ?? [], (line) => lineOf(line, this.#state));
    setText(byId("order-total"), price(order.total));
    this.#paintAction(order);
    const story = storyOf(order, price);
    byId("order-story").hidden = story.length === 0;
    fill(byId("order-history"), story, ({ at, words }) =>
      make("li", {}, make("span", { class: "what" }, words.join(" · ")), make("time", {}, dateOf(at))),
    );
    this.#paintContact(order);
  }

  /** Who is sent back here afterwards leaves this page; anybody else keeps it, and it follows what happens there. */
  #paintAction(order) {
    const action = order.status === "requires_action" ? webAddress(order.action_url) : null;
    const link = byId("order-action");
    link.hidden = !action;
    if (!action) return;
    link.href = action;
    link.target = recall(tab, AWAY) === order.id ? "_self" : "_blank";
  }

  #paintContact({ email, shipping_address: address }) {
    const lines = addressLines(address);
    byId("order-contact").hidden = !email && lines.length === 0;
    const facts = [
      email && [text("viewer.order-receipt-to"), email],
      lines.length > 0 && [text("viewer.order-sent-to"), lines.join("\n")],
    ].filter(Boolean);
    fill(byId("order-contact"), facts, ([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value)),
    );
  }
}

/** What a line is of. @param {object} line @param {import("./show.js").ShowState} state @returns {string} */
export function lineName({ drop, title, sku }, state) {
  const known = state.drops.get(drop);
  return known ? nameOf(known) : (title ?? sku);
}

/** A line of an order or of what is about to be paid. @param {object} line @param {import("./show.js").ShowState} state */
export function lineOf(line, state) {
  const { quantity, unit_price: price } = line;
  const name = lineName(line, state);
  const what = make("span", { class: "what" }, quantity > 1 ? `${name} × ${number(quantity)}` : name);
  return make("li", {}, what, make("b", {}, state.price(price * quantity)));
}
