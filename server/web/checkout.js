/** The checkout sheet: everything that the viewer holds, paid in one order; and the order when it is there. */

import { ContactForm } from "./address.js";
import { aloud, byId, fill, setText } from "./dom.js";
import { lineOf, OrderView, sendAway } from "./order.js";
import { PaymentChoice } from "./payment.js";
import { language, text } from "./text.js";
import { countdown, sentence } from "./words.js";

const ASK_ORDER_EVERY_MS = 2000;
const URGENT_MS = 15_000;
/** When what is left of the time is said aloud too. */
const SAID_AT_MS = [30_000, 10_000];
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
  #told = null; // {total, of}: the total that the server named last, and for which lines
  #leftBefore = Infinity;

  /**
   * @param {import("./client/livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {() => void} changed called after the state has changed
   * @param {(minor: number) => Node | null} estimate an amount in the viewer's own currency
   */
  constructor(live, state, changed, estimate) {
    this.#live = live;
    this.#state = state;
    this.#changed = changed;
    this.estimate = estimate;
    this.dialog = byId("checkout");
    this.view = new OrderView(state);
    this.payment = null;
    this.contact = null;
    byId("pay-ok").addEventListener("click", () => this.#pay());
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
    this.#prepare();
    if (this.#step !== "paying" && this.#step !== "unknown") this.#go("form");
    this.#say("");
    this.payment.load(this.#state.show.currency, this.contact.country);
    if (!this.dialog.open) this.dialog.showModal();
    this.paint();
  }

  /** Make the fields when they are first needed: the page shall be there before its form is. */
  #prepare() {
    if (this.payment) return;
    this.payment = new PaymentChoice(this.#live, byId("checkout-payment"), () => this.paint());
    this.contact = new ContactForm(byId("checkout-contact"), (name) => this.#edited(name));
  }

  /** Ask again for the answer to a payment that a reload or a crash cut off; does nothing without one. */
  resume() {
    const pending = this.#live.pendingCheckout;
    if (!pending || this.#step === "paying") return;
    this.open();
    this.#ask(pending);
  }

  /** Show an order in the sheet, and what happened to it so far. @param {object} order */
  show(order) {
    this.#order = order;
    if (!this.dialog.open) this.dialog.showModal();
    this.#go("done");
    byId("order-close").focus();
    this.look(order.id);
  }

  /** Take in that an order has changed. @param {object} order */
  changed(order) {
    this.follow(order);
    if (this.dialog.open && this.#step === "done" && this.#order.id === order.id) this.look(order.id);
  }

  /** Ask for all of an order, its history too. @param {string} id */
  async look(id) {
    const answer = await this.#live
      .request("GET", `/v1/orders/${encodeURIComponent(id)}`)
      .catch(() => null);
    if (!answer) return;
    this.#state.putOrder(answer.order ?? answer);
    this.#changed();
  }

  /** Keep asking for an order until it is settled. @param {object} order */
  async follow({ id, status }) {
    if (this.#follows.has(id) || !UNSETTLED.has(status)) return;
    this.#follows.add(id);
    while (UNSETTLED.has(this.#state.orders.get(id)?.status)) {
      await new Promise((resolve) => setTimeout(resolve, ASK_ORDER_EVERY_MS));
      await this.look(id);
    }
    this.#follows.delete(id);
  }

  /** Bring the open sheet up to date. */
  paint() {
    if (!this.dialog.open) return;
    const gone = this.#step === "form" && this.#held().length === 0;
    this.dialog.dataset.step = gone ? "gone" : this.#step;
    const heading = this.#step === "done" ? "order-title" : "checkout-heading";
    this.dialog.setAttribute("aria-labelledby", heading);
    if (this.#step === "done") this.view.paint(this.#state.orders.get(this.#order.id) ?? this.#order);
    else if (gone) this.#paintGone();
    else this.#paintForm();
  }

  #held() {
    if (this.#items) return this.#items;
    return this.#state.held.filter(({ expires_at: at }) => at > this.#live.now());
  }

  #paintForm() {
    const form = this.#step === "form";
    const held = form ? this.#held() : this.#asked();
    this.#asksFor = held;
    const total = form ? this.#total(held) : (this.#live.pendingCheckout?.expected_total ?? sumOf(held));
    const amount = this.#state.price(total);
    fill(byId("checkout-lines"), held, (one) => lineOf(one, this.#state));
    setText(byId("checkout-total"), amount);
    this.#paintEstimate(total);
    this.#paintLeft(Math.min(...held.map(({ expires_at: at }) => at)) - this.#live.now());
    const card = this.payment.sandbox && this.payment.method.method === "card";
    setText(byId("pay-ok"), text(card ? "viewer.pay-test-card" : "viewer.pay-amount", { amount }));
    byId("pay-ok").disabled = !form || !this.payment.ready;
    this.contact.disabled = !form;
    this.payment.disabled = !form;
    byId("pay-again").hidden = this.#step !== "unknown";
  }

  /** Only the words are compared: the amount may be the same and the currency another one. */
  #paintEstimate(total) {
    const place = byId("checkout-estimate");
    const estimate = this.estimate(total);
    if (place.textContent !== (estimate?.textContent ?? "")) place.replaceChildren(...[estimate].filter(Boolean));
  }

  #paintLeft(left) {
    const timed = this.#step === "form" && Number.isFinite(left);
    setText(byId("checkout-left"), timed ? text("viewer.pay-left", { time: countdown(left) }) : "");
    byId("checkout-left").classList.toggle("urgent", timed && left < URGENT_MS);
    if (timed && SAID_AT_MS.some((moment) => this.#leftBefore > moment && left <= moment))
      aloud(text("viewer.say-left", { time: countdown(left) }));
    this.#leftBefore = timed ? left : Infinity;
  }

  /** There is nothing to pay any more: say why, and offer the way back alone. */
  #paintGone() {
    const lapsed = this.#asksFor.some(({ expires_at: at }) => at <= this.#live.now());
    this.#say(lapsed ? sentence({ code: "reservation-expired" }) : text("viewer.nothing-held"), "bad");
    if (!this.dialog.contains(document.activeElement)) byId("checkout-back").focus();
  }

  /** The reservations of the payment under way, whatever their clock says meanwhile. */
  #asked() {
    if (this.#items) return this.#items;
    const ids = new Set(this.#live.pendingCheckout?.reservations);
    return [...this.#state.mine.values()].filter(({ id }) => ids.has(id));
  }

  /** What is to be paid: as the server named it last, else as the lines add up. */
  #total(held) {
    return this.#told?.of === keyOf(held) ? this.#told.total : sumOf(held);
  }

  #edited(name) {
    if (name === "country") this.payment.load(this.#state.show.currency, this.contact.country);
    this.#say("");
  }

  #pay() {
    const held = this.#held();
    if (held.length === 0 || this.#step !== "form" || !this.payment.ready) return;
    const contact = this.contact.read();
    if (!contact) {
      this.#say(text("viewer.address-fix", { count: this.contact.wrong }), "bad");
      return;
    }
    const units = this.#items?.map(({ drop, quantity }) => ({ drop, quantity }));
    this.#ask({
      ...(units ? { items: units } : { reservations: held.map(({ id }) => id) }),
      payment: this.payment.payment,
      ...contact,
      locale: language,
      expected_total: this.#total(held),
    });
  }

  async #ask(body) {
    this.#go("paying");
    this.#say(text("viewer.paying-stay"));
    try {
      const order = await this.#live.checkout(body);
      this.#state.putOrder(order);
      if (order.status === "requires_action" && body.payment.return_url) sendAway(order.id);
      this.show(order);
      this.follow(order);
    } catch (error) {
      const total = error.extras?.current_total;
      if (total !== undefined) this.#told = { total, of: keyOf(this.#held()) };
      this.#go(error.unknown || this.#live.pendingCheckout ? "unknown" : "form");
      this.#say(this.#failure(error), "bad");
      // The pressed button was out of reach meanwhile and has lost the focus.
      byId(this.#step === "unknown" ? "pay-again" : "pay-ok").focus();
    }
    this.#changed();
  }

  #failure(error) {
    if (this.#step === "unknown") return text("viewer.unknown");
    const total = error.extras?.current_total;
    return total === undefined
      ? sentence(error)
      : text("viewer.total-now", { amount: this.#state.price(total) });
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

/** Which units, at which prices: a total that was named for others does not count for these. */
function keyOf(lines) {
  return JSON.stringify(
    lines.map(({ id, drop, quantity, unit_price: price }) => [id ?? drop, quantity, price]),
  );
}
