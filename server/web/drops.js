/** A choice of drops as its card: picture, price, stock, and one big button whose words are always true. */

import { make, picture, setText } from "./dom.js";
import { allowance, offerOf } from "./offer.js";
import { number, text } from "./text.js";
import { StockBar } from "./stockbar.js";
import { isFree, likeliest } from "./variants.js";
import { VariantPicker } from "./picker.js";
import { countdown, DROP_WORDS, nameOf } from "./words.js";

/** Nobody reads a card within this time of its jumping to another place: what was pressed was meant for another one. */
const SETTLES_MS = 250;

/** The kinds of offers in which a viewer may say how many; see `offer.js`. */
const CHOOSING = new Set(["scheduled", "countdown", "open", "all-held", "paused", "asking"]);

/**
 * @typedef {{state: import("./show.js").ShowState, now: number, connection: string, asking: Set<string>,
 *   price: (amount: number) => (Node | string)[]}} Page what every card needs to know
 * @typedef {{take: (drop: object, quantity: number) => void, pay: () => void, release: (drop: object) => void,
 *   join: (drop: object, quantity: number) => void, leave: (drop: object) => void,
 *   buy: (drop: object, quantity: number) => void}} Acts
 */

export class DropCard {
  #drop = null;
  #acts;
  #quantity = 1;
  #takable = 1;
  #act = null;
  #wish = null; // the SKU of the variant that was chosen, got, or shown since it began: the card stays with it
  #heldOf = "";
  #movedAt = -Infinity;

  /** @param {Acts} acts */
  constructor(acts) {
    this.#acts = acts;
    this.element = this.#build();
  }

  /** Bring the card up to date. @param {object[]} drops the variants of one product @param {Page} page */
  update(drops, page) {
    const { state, now, connection } = page;
    const drop = this.#shown(drops, state);
    const offer = offerOf(drop, state, now, { asking: page.asking.has(drop.id), connection });
    this.#act = offer.act;
    this.#paintHead(drop, drops.length > 1, page);
    this.picker.update(drops, drop, state, now);
    this.element.dataset.kind = offer.kind;
    setText(this.label, offer.label);
    setText(this.hint, offer.hint);
    // Not `disabled`: who waits for the opening with the keyboard must not lose the button under the finger.
    this.take.setAttribute("aria-disabled", String(offer.act === null));
    this.take.style.setProperty("--left", this.#timeLeft(state, now));
    this.stock.update(drop);
    this.#updateQuantity(state, offer);
    this.#paintOwn(drop, state, offer);
  }

  /** Note that the card now stands elsewhere. */
  moved() {
    this.#movedAt = performance.now();
  }

  #shown(drops, state) {
    const holds = drops.filter(({ id }) => state.own(id, "held").length > 0);
    const heldOf = holds.map(({ sku }) => sku).join(" ");
    const news = holds.find(({ sku }) => !this.#heldOf.split(" ").includes(sku));
    this.#heldOf = heldOf;
    if (news) this.#wish = news.sku;
    const wished = drops.find(({ sku }) => sku === this.#wish);
    const drop = wished ?? likeliest(drops, state);
    // A variant that is only planned is nobody's choice yet: should another one begin, the card must not hide that.
    if (drop.status !== "scheduled") this.#wish = drop.sku;
    if (this.#drop?.id !== drop.id) this.#quantity = 1;
    if (this.#drop && this.#drop.id !== drop.id && !wished) this.moved();
    this.#drop = drop;
    return drop;
  }

  #paintHead(drop, several, page) {
    const name = several ? drop.title : nameOf(drop);
    this.element.dataset.drop = drop.id;
    this.element.dataset.status = drop.status;
    this.element.dataset.free = String(isFree(drop));
    this.element.setAttribute("aria-label", name);
    setText(this.title, name);
    const price = `${drop.unit_price} ${page.priceKey}`;
    if (this.price.dataset.written !== price) {
      this.price.dataset.written = price;
      this.price.replaceChildren(...page.price(drop.unit_price));
    }
    setText(this.state, stateWords(drop, page));
    const shows = `${drop.image ?? ""} ${drop.title}`;
    if (this.frame.dataset.shows === shows) return;
    const frame = picture(drop.image, drop.title);
    frame.dataset.shows = shows;
    this.frame.replaceWith(frame);
    this.frame = frame;
  }

  /** What can be done with what is already the viewer's. */
  #paintOwn(drop, state, offer) {
    const held = state.own(drop.id, "held").reduce((sum, { quantity }) => sum + quantity, 0);
    setText(this.release, text(held > 1 ? "viewer.give-them-back" : "viewer.give-back"));
    this.more.hidden = held === 0 || drop.status !== "open" || this.#takable === 0;
    this.release.hidden = held === 0;
    this.leave.hidden = offer.kind !== "waiting";
    setText(this.leave, text(drop.mode === "draw" ? "viewer.leave-draw" : "viewer.leave-line"));
    const nothing = held === 0 && this.leave.hidden;
    if (nothing && this.own.contains(document.activeElement)) this.take.focus();
    this.own.hidden = nothing;
  }

  #build() {
    this.stock = new StockBar();
    this.picker = new VariantPicker((sku) => this.#choose(sku));
    this.title = make("h3");
    this.price = make("p", { class: "price" });
    this.state = make("p", { class: "state" });
    this.frame = picture(undefined, "");
    const line = make("div", { class: "line" }, this.price, this.state);
    const facts = make("div", { class: "facts" }, this.title, line);
    return make(
      "article",
      { class: "drop card" },
      make("div", { class: "head" }, this.frame, facts),
      this.picker.element,
      this.stock.element,
      make("div", { class: "buy" }, this.#buildStepper(), this.#buildTake()),
      this.#buildOwn(),
    );
  }

  #buildTake() {
    this.label = make("span", { class: "label" });
    this.hint = make("span", { class: "hint" });
    const pressed = () => this.#pressed();
    this.take = make("button", { class: "take", type: "button", onclick: pressed }, this.label, this.hint);
    return this.take;
  }

  #buildStepper() {
    this.output = make("output", { "aria-label": text("viewer.quantity") }, "1");
    const step = (by, sign, words) =>
      make(
        "button",
        { type: "button", class: "step", "aria-label": words, onclick: () => this.#step(by) },
        sign,
      );
    this.fewer = step(-1, "−", text("viewer.fewer"));
    this.further = step(1, "+", text("viewer.more"));
    this.stepper = make(
      "div",
      { class: "stepper", role: "group", "aria-label": text("viewer.how-many") },
      this.fewer,
      this.output,
      this.further,
    );
    return this.stepper;
  }

  #buildOwn() {
    const quiet = (name, act, words = "") =>
      make("button", { class: `${name} quiet`, type: "button", onclick: act }, words);
    this.more = quiet("more", () => this.#acts.take(this.#drop, 1), text("viewer.take-another"));
    this.release = quiet("release", () => this.#acts.release(this.#drop));
    this.leave = quiet("leave", () => this.#acts.leave(this.#drop));
    this.own = make("div", { class: "own" }, this.more, this.release, this.leave);
    return this.own;
  }

  #pressed() {
    if (performance.now() - this.#movedAt < SETTLES_MS) return;
    if (this.#act === "take") this.#acts.take(this.#drop, this.#quantity);
    if (this.#act === "join") this.#acts.join(this.#drop, this.#quantity);
    if (this.#act === "buy") this.#acts.buy(this.#drop, this.#quantity);
    if (this.#act === "pay") this.#acts.pay();
  }

  #choose(sku) {
    this.#wish = sku;
    this.#acts.changed();
  }

  #step(by) {
    this.#quantity += by;
    this.#showQuantity();
  }

  #updateQuantity(state, offer) {
    const left = allowance(this.#drop, state);
    const waits = this.#drop.status !== "open" || offer.act === "join";
    this.#takable = waits ? left : Math.min(left, this.#drop.available);
    // It stays where others take and give back: the button beside it must not move under the finger.
    this.stepper.hidden = left <= 1 || !CHOOSING.has(offer.kind);
    this.#quantity = Math.max(1, Math.min(this.#quantity, this.#takable));
    this.#showQuantity();
  }

  #showQuantity() {
    setText(this.output, number(this.#quantity));
    this.fewer.disabled = this.#quantity <= 1;
    this.further.disabled = this.#quantity >= this.#takable;
  }

  /** The share of the hold's time that is left, for the bar behind the label. */
  #timeLeft(state, now) {
    const held = state.own(this.#drop.id, "held");
    if (held.length === 0) return "0";
    const left = Math.min(...held.map(({ expires_at: at }) => at)) - now;
    return Math.max(0, Math.min(1, left / (this.#drop.hold_seconds * 1000))).toFixed(3);
  }
}

function stateWords(drop, { now, state }) {
  const closing = drop.closes_at - now;
  if (drop.status === "open" && state.show.status === "paused") return DROP_WORDS.paused;
  if (drop.status === "open" && closing > 0) return text("viewer.closes-in", { time: countdown(closing) });
  if (drop.status === "open" && drop.available === 0)
    return text(drop.held > 0 ? "viewer.none-free" : "viewer.sold-out");
  return DROP_WORDS[drop.status] ?? drop.status;
}
