/**
 * The checkout sheet: everything that the viewer holds, paid in one order; and the order when it is there.
 * The sandbox's two cards stand in for a shop's own payment page.
 */

import { byId, make, setText, webAddress } from "./dom.js";
import { countdown, nameOf, ORDER_HEADINGS, ORDER_WORDS, sentence } from "./words.js";

const OK_CARD = { method: "card", token: "tok_ok" };
const DECLINED_CARD = { method: "card", token: "tok_declined" };
const ASKING_CARD = { method: "card", token: "tok_requires_action" };
const ASK_ORDER_EVERY_MS = 2000;
const URGENT_MS = 15_000;
const UNSETTLED = new Set(["confirming", "requires_action"]);

export class CheckoutSheet {
  #live;
  #state;
  #changed;
  #step = "form"; // form | paying | unknown | done; a form without anything to pay shows as "gone"
  #order = null;
  #follows = new Set();
  #asksFor = []; // the reservations that the form has shown last
  #items = null; // what is bought without being held first: drop and quantity

  /**
   * @param {import("./livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {() => void} changed called after the state has changed
   */
  constructor(live, state, changed) {
    this.#live = live;
    this.#state = state;
    this.#changed = changed;
    this.dialog = byId("checkout");
    byId("pay-ok").addEventListener("click", () => this.#pay(OK_CARD));
    byId("pay-declined").addEventListener("click", () => this.#pay(DECLINED_CARD));
    byId("pay-asking").addEventListener("click", () => this.#pay(ASKING_CARD));
    byId("pay-again").addEventListener("click", () => this.#ask(live.pendingCheckout));
    for (const button of this.dialog.querySelectorAll(".close"))
      button.addEventListener("click", () => this.dialog.close());
    // A press beside the sheet lands on the dialog element itself.
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.dialog.close());
  }

  /** Show the sheet for units of a drop that holds nothing: who pays first gets them. */
  buy({ id: drop, sku, title, unit_price }, quantity) {
    this.open([{ drop, sku, title, quantity, unit_price, expires_at: Infinity }]);
  }

  /** Show the sheet for what is held now, or for these units. */
  open(items = null) {
    if (this.#step === "form" || this.#step === "done") this.#items = items;
    if (this.#step !== "paying" && this.#step !== "unknown") this.#go("form");
    this.#say("");
    if (!this.dialog.open) this.dialog.showModal();
    this.paint();
  }

  /** Ask again for the answer to a payment that a reload or a crash cut off; does nothing without one. */
  resume() {
    const pending = this.#live.pendingCheckout;
    if (!pending || this.#step === "paying") return;
    this.open();
    this.#ask(pending);
  }

  /** Show an order in the sheet. @param {object} order */
  show(order) {
    this.#order = order;
    if (!this.dialog.open) this.dialog.showModal();
    this.#go("done");
    byId("order-close").focus();
  }

  /** Keep asking for an order until it is settled. @param {object} order */
  async follow({ id, status }) {
    if (this.#follows.has(id) || !UNSETTLED.has(status)) return;
    this.#follows.add(id);
    while (UNSETTLED.has(this.#state.orders.get(id)?.status)) {
      await new Promise((resolve) => setTimeout(resolve, ASK_ORDER_EVERY_MS));
      const answer = await this.#live
        .request("GET", `/v1/orders/${encodeURIComponent(id)}`)
        .catch(() => null);
      if (answer) this.#state.putOrder(answer.order ?? answer);
      this.#changed();
    }
    this.#follows.delete(id);
  }

  /** Bring the open sheet up to date. */
  paint() {
    if (!this.dialog.open) return;
    const gone = this.#step === "form" && this.#held().length === 0;
    this.dialog.dataset.step = gone ? "gone" : this.#step;
    if (this.#step === "done") this.#paintOrder();
    else if (gone) this.#paintGone();
    else this.#paintForm();
  }

  #held() {
    if (this.#items) return this.#items;
    return this.#state.held.filter(({ expires_at: at }) => at > this.#live.now());
  }

  #paintForm() {
    const held = this.#step === "form" ? this.#held() : this.#asked();
    this.#asksFor = held;
    const total =
      this.#step === "form" ? sumOf(held) : (this.#live.pendingCheckout?.expected_total ?? sumOf(held));
    fill(byId("checkout-lines"), held, (one) => this.#line(one));
    setText(byId("checkout-total"), this.#state.price(total));
    const left = Math.min(...held.map(({ expires_at: at }) => at)) - this.#live.now();
    const timed = this.#step === "form" && Number.isFinite(left);
    setText(byId("checkout-left"), timed ? `Pay within ${countdown(left)}` : "");
    byId("checkout-left").classList.toggle("urgent", left < URGENT_MS);
    setText(byId("pay-ok-amount"), this.#state.price(total));
    for (const id of ["pay-ok", "pay-declined", "pay-asking", "email"]) byId(id).disabled = this.#step !== "form";
    byId("pay-again").hidden = this.#step !== "unknown";
  }

  /** There is nothing to pay any more: say why, and offer the way back alone. */
  #paintGone() {
    const lapsed = this.#asksFor.some(({ expires_at: at }) => at <= this.#live.now());
    const words = lapsed
      ? sentence({ code: "reservation-expired" })
      : "Nothing is on hold for you any more. Nothing was charged.";
    this.#say(words, "bad");
    if (!this.dialog.contains(document.activeElement)) byId("checkout-back").focus();
  }

  /** The reservations of the payment under way, whatever their clock says meanwhile. */
  #asked() {
    if (this.#items) return this.#items;
    const ids = new Set(this.#live.pendingCheckout?.reservations);
    return [...this.#state.mine.values()].filter(({ id }) => ids.has(id));
  }

  #line({ drop, title: named, sku, quantity, unit_price: price }) {
    const known = this.#state.drops.get(drop);
    const title = known ? nameOf(known) : (named ?? sku);
    return make(
      "li",
      {},
      make("span", { class: "what" }, quantity > 1 ? `${title} × ${quantity}` : title),
      make("b", {}, this.#state.price(price * quantity)),
    );
  }

  #pay(payment) {
    const held = this.#held();
    const email = byId("email");
    if (held.length === 0 || this.#step !== "form") return;
    if (!email.reportValidity()) return;
    const units = this.#items?.map(({ drop, quantity }) => ({ drop, quantity }));
    this.#ask({
      ...(units ? { items: units } : { reservations: held.map(({ id }) => id) }),
      payment,
      ...(email.value && { email: email.value }),
      expected_total: sumOf(held),
    });
  }

  async #ask(body) {
    this.#go("paying");
    this.#say("Paying… keep this page open.");
    try {
      const order = await this.#live.checkout(body);
      this.#state.putOrder(order);
      this.show(order);
      this.follow(order);
    } catch (error) {
      this.#go(error.unknown || this.#live.pendingCheckout ? "unknown" : "form");
      this.#say(this.#failure(error), "bad");
      // The pressed button was out of reach meanwhile and has lost the focus.
      byId(this.#step === "unknown" ? "pay-again" : "pay-ok").focus();
    }
    this.#changed();
  }

  #failure(error) {
    if (this.#step === "unknown")
      return "We do not know yet whether your payment went through. Asking again never charges twice.";
    const total = error.extras?.current_total;
    return total === undefined
      ? sentence(error)
      : `The total is now ${this.#state.price(total)}. Please pay again if that is fine.`;
  }

  #paintOrder() {
    const order = this.#state.orders.get(this.#order.id) ?? this.#order;
    setText(byId("order-title"), ORDER_HEADINGS[order.status] ?? "Thank you!");
    setText(byId("order-status"), ORDER_WORDS[order.status] ?? order.status);
    setText(byId("order-id"), order.id);
    byId("order").dataset.status = order.status;
    fill(byId("order-lines"), order.lines ?? [], (line) => this.#line(line));
    setText(byId("order-total"), this.#state.price(order.total));
    const action = order.status === "requires_action" ? webAddress(order.action_url) : null;
    byId("order-action").hidden = !action;
    if (action) byId("order-action").href = action;
  }

  #go(step) {
    this.#step = step;
    this.paint();
  }

  #say(words, tone = "info") {
    const place = byId("checkout-message");
    place.dataset.tone = tone;
    setText(place, words);
  }
}

function sumOf(reservations) {
  return reservations.reduce((sum, { unit_price: price, quantity }) => sum + price * quantity, 0);
}

/** Make the children of a list anew, but only when what they stand for has changed. */
function fill(list, items, makeOne) {
  const written = JSON.stringify(items);
  if (list.dataset.written === written) return;
  list.dataset.written = written;
  list.replaceChildren(...items.map(makeOne));
}
