/** One drop on the host's console: its four numbers, and the moves that its state allows. */

import { askOnce, make, picture, setText } from "./dom.js";
import { StockBar } from "./stockbar.js";
import { countdown, DROP_WORDS, nameOf } from "./words.js";

/** Which buttons a drop's status shows. */
const SHOWN = {
  scheduled: ["open", "open-5", "open-10", "open-30", "restock", "close"],
  countdown: ["open", "restock", "close"],
  open: ["pause", "restock", "close"],
  paused: ["resume", "restock", "close"],
  closed: [],
};
const COUNTDOWNS = [5, 10, 30];

export class HostDrop {
  #drop;
  #acts;
  #buttons = new Map();

  /**
   * @param {object} drop
   * @param {{move: (drop: object, move: string, body?: object) => Promise<any>,
   *   pressed: (button: HTMLButtonElement, run: () => Promise<any>) => void}} acts
   */
  constructor(drop, acts) {
    this.#drop = drop;
    this.#acts = acts;
    this.stock = new StockBar();
    this.badge = make("span", { class: "badge state" });
    this.price = make("span", { class: "price" });
    this.terms = make("span", { class: "terms" });
    this.more = make("input", {
      type: "number",
      inputmode: "numeric",
      min: 1,
      max: 1000000,
      value: 10,
      "aria-label": "Pieces to add",
    });
    this.element = this.#build(drop);
  }

  /** @param {object} drop @param {import("./show.js").ShowState} state @param {number} now the server's time */
  update(drop, state, now) {
    this.#drop = drop;
    this.element.dataset.status = drop.status;
    this.badge.dataset.status = drop.status === "open" && drop.available === 0 ? "sold-out" : drop.status;
    setText(this.badge, badgeWords(drop, now));
    setText(this.price, state.price(drop.unit_price));
    setText(this.terms, termsWords(drop));
    this.stock.update(drop);
    const shown = SHOWN[drop.status] ?? [];
    for (const [move, button] of this.#buttons) {
      button.hidden = !shown.includes(move);
      const opens = move.startsWith("open");
      if (!button.hasAttribute("aria-busy")) button.disabled = opens && state.show.status !== "live";
    }
    this.restocking.hidden = !shown.includes("restock");
    this.opening.hidden = !shown.includes("open-5");
    this.starting.hidden = !shown.includes("open");
    this.moves.hidden = shown.length === 0;
  }

  #build(drop) {
    const facts = make(
      "div",
      { class: "facts" },
      make("h3", {}, nameOf(drop)),
      make("p", { class: "line" }, this.price, this.terms),
    );
    const head = make("div", { class: "head" }, picture(drop.image, drop.title), facts, this.badge);
    this.opening = make(
      "span",
      { class: "group" },
      make("span", { class: "words" }, "in"),
      ...COUNTDOWNS.map((seconds) => this.#opener(seconds)),
    );
    this.restocking = make(
      "form",
      { class: "restock", novalidate: true },
      this.more,
      this.#button("restock", "Restock"),
    );
    this.restocking.addEventListener("submit", (event) => event.preventDefault());
    this.starting = make(
      "span",
      { class: "group" },
      this.#button("open", "Open now", {}, "primary"),
      this.opening,
    );
    this.moves = make(
      "div",
      { class: "moves" },
      this.starting,
      this.#button("pause", "Pause"),
      this.#button("resume", "Resume", {}, "primary"),
      make("span", { class: "group last" }, this.restocking, this.#closer()),
    );
    return make(
      "article",
      { class: "drop card", "data-drop": drop.id, "aria-label": nameOf(drop) },
      head,
      this.stock.element,
      this.moves,
    );
  }

  #button(move, words, body = {}, look = "") {
    const button = make(
      "button",
      { type: move === "restock" ? "submit" : "button", class: look, "data-do": move },
      words,
    );
    button.addEventListener("click", () => this.#press(move, button, body));
    this.#buttons.set(move, button);
    return button;
  }

  #opener(seconds) {
    const move = `open-${seconds}`;
    const button = this.#button(move, `${seconds} s`, { countdown_ms: seconds * 1000 });
    button.setAttribute("aria-label", `Open in ${seconds} seconds`);
    return button;
  }

  #closer() {
    const button = make("button", { type: "button", class: "danger", "data-do": "close" }, "Close");
    askOnce(button, "Sure?", () => this.#press("close", button, {}));
    this.#buttons.set("close", button);
    return button;
  }

  #press(move, button, body) {
    if (move === "restock" && !this.more.reportValidity()) return;
    const content = move === "restock" ? { quantity: this.more.valueAsNumber } : body;
    const verb = move.split("-")[0];
    this.#acts.pressed(button, () => this.#acts.move(this.#drop, verb, content));
  }
}

function termsWords(drop) {
  const words = [drop.sku, `${drop.limit_per_viewer} per viewer`, `${drop.hold_seconds} s to pay`];
  if (drop.mode === "draw") words.push(drop.status === "closed" ? "drawn" : `${drop.waitlist_length} in the draw`);
  else if (drop.waitlist_length > 0) words.push(`${drop.waitlist_length} in line`);
  if (drop.mode === "first_paid") words.push("who pays first");
  return words.join(" · ");
}

function badgeWords(drop, now) {
  if (drop.status === "countdown") return `Opens in ${countdown(drop.opens_at - now)}`;
  if (drop.status === "scheduled")
    return drop.opens_at > now ? `Opens in ${countdown(drop.opens_at - now)}` : "Prepared";
  if (drop.status === "open" && drop.available === 0) return drop.held > 0 ? "All on hold" : "Sold out";
  return DROP_WORDS[drop.status] ?? drop.status;
}
