/** A drop as its card on the viewer's page: picture, price, stock, and one big button whose label is always true. */

import { make, picture, setText } from "./dom.js";
import { allowance, offerOf } from "./offer.js";
import { StockBar } from "./stockbar.js";
import { countdown, DROP_WORDS, nameOf } from "./words.js";

/**
 * @typedef {{state: import("./show.js").ShowState, now: number, connection: string,
 *   asking: Set<string>}} Page what every card needs to know
 * @typedef {{take: (drop: object, quantity: number) => void, pay: () => void, release: (drop: object) => void,
 *   join: (drop: object, quantity: number) => void, leave: (drop: object) => void,
 *   buy: (drop: object, quantity: number) => void}} Acts
 */

export class DropCard {
  #drop;
  #acts;
  #quantity = 1;
  #takable = 1;
  #act = null;

  /** @param {object} drop @param {Acts} acts */
  constructor(drop, acts) {
    this.#drop = drop;
    this.#acts = acts;
    this.stock = new StockBar();
    this.price = make("p", { class: "price" });
    this.state = make("p", { class: "state" });
    this.label = make("span", { class: "label" });
    this.hint = make("span", { class: "hint" });
    this.take = make(
      "button",
      { class: "take", type: "button", onclick: () => this.#pressed() },
      this.label,
      this.hint,
    );
    this.more = make(
      "button",
      { class: "more quiet", type: "button", onclick: () => acts.take(this.#drop, 1) },
      "Take another",
    );
    this.release = make("button", {
      class: "release quiet",
      type: "button",
      onclick: () => acts.release(this.#drop),
    });
    this.leave = make("button", {
      class: "leave quiet",
      type: "button",
      onclick: () => acts.leave(this.#drop),
    });
    this.own = make("div", { class: "own" }, this.more, this.release, this.leave);
    this.element = this.#build(drop);
  }

  /** Bring the card up to date. @param {object} drop @param {Page} page */
  update(drop, page) {
    this.#drop = drop;
    const { state, now, connection } = page;
    const offer = offerOf(drop, state, now, { asking: page.asking.has(drop.id), connection });
    this.#act = offer.act;
    this.element.dataset.status = drop.status;
    this.element.dataset.kind = offer.kind;
    setText(this.price, state.price(drop.unit_price));
    setText(this.state, stateWords(drop, now));
    setText(this.label, offer.label);
    setText(this.hint, offer.hint);
    // Not `disabled`: who waits for the opening with the keyboard must not lose the button under the finger.
    this.take.setAttribute("aria-disabled", String(offer.act === null));
    this.take.style.setProperty("--left", String(this.#timeLeft(state, now)));
    this.stock.update(drop);
    this.#updateQuantity(state, offer);
    const held = state.own(drop.id, "held").reduce((sum, { quantity }) => sum + quantity, 0);
    setText(this.release, held > 1 ? "Give them back" : "Give it back");
    this.more.hidden = held === 0 || drop.status !== "open" || this.#takable === 0;
    this.release.hidden = held === 0;
    this.leave.hidden = offer.kind !== "waiting";
    setText(this.leave, drop.mode === "draw" ? "Leave the draw" : "Leave the line");
    const nothing = held === 0 && this.leave.hidden;
    if (nothing && this.own.contains(document.activeElement)) this.take.focus();
    this.own.hidden = nothing;
  }

  #build(drop) {
    this.output = make("output", { "aria-label": "Quantity" }, "1");
    const step = (by, sign, words) =>
      make(
        "button",
        { type: "button", class: "step", "aria-label": words, onclick: () => this.#step(by) },
        sign,
      );
    this.fewer = step(-1, "−", "One fewer");
    this.further = step(1, "+", "One more");
    this.stepper = make(
      "div",
      { class: "stepper", role: "group", "aria-label": "How many" },
      this.fewer,
      this.output,
      this.further,
    );
    const title = make("h3", {}, nameOf(drop));
    const facts = make(
      "div",
      { class: "facts" },
      title,
      make("div", { class: "line" }, this.price, this.state),
    );
    const head = make("div", { class: "head" }, picture(drop.image, drop.title), facts);
    const buy = make("div", { class: "buy" }, this.stepper, this.take);
    return make(
      "article",
      { class: "drop card", "data-drop": drop.id, "aria-label": nameOf(drop) },
      head,
      this.stock.element,
      buy,
      this.own,
    );
  }

  #pressed() {
    if (this.#act === "take") this.#acts.take(this.#drop, this.#quantity);
    if (this.#act === "join") this.#acts.join(this.#drop, this.#quantity);
    if (this.#act === "buy") this.#acts.buy(this.#drop, this.#quantity);
    if (this.#act === "pay") this.#acts.pay();
  }

  #step(by) {
    this.#quantity += by;
    this.#showQuantity();
  }

  #updateQuantity(state, offer) {
    const left = allowance(this.#drop, state);
    this.#takable = this.#drop.status === "open" ? Math.min(left, this.#drop.available) : left;
    this.stepper.hidden = this.#takable <= 1 || !["open", "countdown"].includes(offer.kind);
    this.#quantity = Math.max(1, Math.min(this.#quantity, this.#takable));
    this.#showQuantity();
  }

  #showQuantity() {
    setText(this.output, String(this.#quantity));
    this.fewer.disabled = this.#quantity <= 1;
    this.further.disabled = this.#quantity >= this.#takable;
  }

  /** The share of the hold's time that is left, for the bar behind the label. */
  #timeLeft(state, now) {
    const held = state.own(this.#drop.id, "held");
    if (held.length === 0) return 0;
    const left = Math.min(...held.map(({ expires_at: at }) => at)) - now;
    return Math.max(0, Math.min(1, left / (this.#drop.hold_seconds * 1000))).toFixed(3);
  }
}

function stateWords(drop, now) {
  const closing = drop.closes_at - now;
  if (drop.status === "open" && closing > 0) return `Open – closes in ${countdown(closing)}`;
  if (drop.status === "open" && drop.available === 0) return drop.held > 0 ? "None free right now" : "Sold out";
  return DROP_WORDS[drop.status] ?? drop.status;
}
