/** One drop on the host's console: its four numbers, and the moves that its state allows. */

import { askOnce, make, picture, setText } from "./dom.js";
import { joined } from "./host-words.js";
import { StockBar } from "./stockbar.js";
import { text } from "./text.js";
import { countdown, DROP_WORDS, nameOf } from "./words.js";

/** Which buttons a drop's status shows. */
const SHOWN = {
  scheduled: ["open", "open-5", "open-10", "open-30", "restock", "close"],
  countdown: ["cancel", "open", "restock", "close"],
  open: ["pause", "wave", "restock", "close"],
  paused: ["resume", "wave", "restock", "close"],
  closed: [],
};
const COUNTDOWNS = [5, 10, 30];
/** The key of each button; the countdown's is the middle one. */
const KEYS = { open: "O", "open-10": "C", cancel: "U", pause: "P", resume: "P", restock: "R", close: "X" };
const USUAL_PIECES = 10;

export class HostDrop {
  #drop;
  #acts;
  #buttons = new Map();
  #seen = "";

  /** @param {object} drop @param {import("./host-acts.js").Acts} acts */
  constructor(drop, acts) {
    this.#drop = drop;
    this.#acts = acts;
    this.stock = new StockBar();
    this.badge = make("span", { class: "badge state" });
    this.price = make("span", { class: "price" });
    this.terms = make("span", { class: "terms" });
    this.handle = make("button", { type: "button", class: "handle", title: text("host.run-how") }, "⠿");
    this.element = this.#build(drop);
  }

  /** @param {object} drop @param {import("./show.js").ShowState} state @param {number} now the server's time */
  update(drop, state, now) {
    const { status, revision, waitlist_length: waiting } = drop;
    const seen = `${status} ${revision} ${waiting} ${state.show.status} ${drop.opens_at > now ? now : ""}`;
    if (seen === this.#seen) return; // of a long run most stand as they stood
    this.#seen = seen;
    this.#drop = drop;
    this.element.dataset.status = drop.status;
    this.badge.dataset.status = drop.status === "open" && drop.available === 0 ? "sold-out" : drop.status;
    setText(this.badge, badgeWords(drop, now));
    setText(this.price, state.price(drop.unit_price));
    setText(this.terms, termsWords(drop));
    this.stock.update(drop);
    const shown = SHOWN[drop.status] ?? [];
    const live = state.show.status === "live";
    for (const [move, button] of this.#buttons) {
      button.hidden = !shown.includes(move) || (move === "wave" && !hasWave(drop));
      if (!button.hasAttribute("aria-busy")) button.disabled = move.startsWith("open") && !live;
    }
    this.restocking.hidden = !shown.includes("restock");
    this.opening.hidden = !shown.includes("open-5");
    this.starting.hidden = !shown.includes("open");
    this.moves.hidden = shown.length === 0;
  }

  /** Say which place it has. @param {number} place from 1 @param {number} count */
  numbered(place, count) {
    this.handle.setAttribute("aria-label", text("host.move", { title: nameOf(this.#drop), place, count }));
  }

  /** @returns {string} its name and its state, to be said aloud */
  get words() {
    return text("host.selected", { title: nameOf(this.#drop), state: this.badge.textContent });
  }

  /** Press the first of these buttons that can be pressed now; say whether there was one. @param {...string} moves */
  press(...moves) {
    const found = moves.map((move) => this.#buttons.get(move)).find((one) => !one.hidden && !one.disabled);
    found?.click();
    return Boolean(found);
  }

  /** Let the host type how many pieces to add. */
  askPieces() {
    if (this.restocking.hidden) return;
    this.more.focus();
    this.more.select();
  }

  #build(drop) {
    const line = make("p", { class: "line" }, this.price, this.terms);
    const facts = make("div", { class: "facts" }, make("h3", {}, nameOf(drop)), line);
    const head = make(
      "div",
      { class: "head" },
      this.handle,
      picture(drop.image, drop.title),
      facts,
      this.badge,
    );
    this.opening = make(
      "span",
      { class: "group" },
      make("span", { class: "words", "aria-hidden": "true" }, text("host.open-in")),
      ...COUNTDOWNS.map((seconds) => this.#opener(seconds)),
    );
    this.starting = make(
      "span",
      { class: "group" },
      this.#button("cancel", text("host.undo"), { look: "warn" }),
      this.#button("open", text("host.open-now"), { look: "primary" }),
      this.opening,
    );
    this.moves = make(
      "div",
      { class: "moves" },
      this.starting,
      this.#button("pause", text("host.drop-pause")),
      this.#button("resume", text("host.drop-resume"), { look: "primary" }),
      this.#button("wave", text("host.wave")),
      make("span", { class: "group last" }, this.#restocker(), this.#closer()),
    );
    const label = { "data-drop": drop.id, "aria-label": nameOf(drop) };
    return make("article", { class: "drop card", ...label }, head, this.stock.element, this.moves);
  }

  #button(move, words, { body = {}, look = "" } = {}) {
    const button = make("button", { type: "button", class: look, "data-do": move }, words);
    const key = KEYS[move];
    if (key) {
      button.setAttribute("aria-keyshortcuts", key.toLowerCase());
      button.append(" ", make("kbd", { "aria-hidden": "true" }, key));
    }
    if (move === "restock") button.type = "submit";
    else if (move !== "close") button.addEventListener("click", () => this.#press(move, button, body));
    this.#buttons.set(move, button);
    return button;
  }

  #opener(seconds) {
    const button = this.#button(`open-${seconds}`, "", { body: { countdown_ms: seconds * 1000 } });
    // The eye has "in" beside all three; the ear is told the whole of each.
    button.prepend(
      make("span", { "aria-hidden": "true" }, text("host.seconds", { count: seconds })),
      make("span", { class: "unseen" }, text("host.open-in-seconds", { count: seconds })),
    );
    return button;
  }

  #restocker() {
    const label = { "aria-label": text("host.restock-pieces"), inputmode: "numeric" };
    this.more = make("input", { type: "number", min: 1, max: 1000000, value: USUAL_PIECES, ...label });
    const button = this.#button("restock", text("host.restock"));
    this.restocking = make("form", { class: "restock", novalidate: true }, this.more, button);
    this.restocking.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.more.reportValidity()) return;
      this.#press("restock", button, { quantity: this.more.valueAsNumber });
      if (document.activeElement === this.more) this.more.blur(); // the keys are the drop's again
    });
    return this.restocking;
  }

  #closer() {
    const button = this.#button("close", text("host.close"), { look: "danger" });
    askOnce(button, text("host.close-sure"), () => this.#press("close", button, {}));
    return button;
  }

  async #press(move, button, body) {
    await this.#acts.pressed(button, () => this.#acts.moveDrop(this.#drop, move.split("-")[0], body));
    this.#seen = ""; // whether the button can be pressed again is to be said anew
  }
}

function hasWave({ waves }) {
  return Boolean(waves?.some(({ released_at: released }) => released === undefined));
}

function termsWords(drop) {
  const words = [drop.sku, text("host.per-viewer", { count: drop.limit_per_viewer })];
  if (drop.status === "scheduled") words.unshift(text("unit.pieces", { count: drop.quantity }));
  words.push(text("host.to-pay", { count: drop.hold_seconds }));
  const waiting = { count: drop.waitlist_length };
  if (drop.mode === "draw")
    words.push(drop.status === "closed" ? text("host.drawn") : text("host.in-draw", waiting));
  else if (drop.waitlist_length > 0) words.push(text("host.in-line", waiting));
  if (drop.mode === "first_paid") words.push(text("host.first-paid"));
  return joined(words);
}

function badgeWords(drop, now) {
  const opens = drop.opens_at - now;
  if (drop.status === "countdown" || (drop.status === "scheduled" && opens > 0))
    return text("host.opens-in", { time: countdown(opens) });
  if (drop.status === "scheduled") return text("host.prepared");
  if (drop.status === "open" && drop.available === 0)
    return text(drop.held > 0 ? "host.all-held" : "host.sold-out");
  return DROP_WORDS[drop.status] ?? drop.status;
}
