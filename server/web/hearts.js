/** Hearts: sent with one thumb, and those of all others, merged into one count and a few that rise. */

import { byId, setText } from "./dom.js";
import { number, text } from "./text.js";

const KIND = "heart";
/** At most so many rise at a time, however many were sent: a phone has to draw them. */
const MOST_RISING = 24;
const MOST_AT_ONCE = 6;
const RISES_MS = 2400;

/**
 * How many hearts to let rise for what has been counted since. Pure.
 * @param {number} before @param {number} now the count @param {number} own of those, sent from here and risen already
 */
export function risingFor(before, now, own) {
  return Math.max(0, Math.min(MOST_AT_ONCE, now - before - own));
}

export class Hearts {
  #live;
  #count = null; // as the server told it last
  #own = 0; // sent, and not in that count yet

  /** @param {import("./client/livedrop.js").LiveDrop} live */
  constructor(live) {
    this.#live = live;
    this.place = byId("hearts");
    this.button = byId("react");
    this.button.addEventListener("click", () => this.#send());
  }

  /** @param {Record<string, number>} counts kind -> how often */
  update(counts) {
    const count = counts[KIND] ?? 0;
    if (count === this.#count) return;
    if (this.#count !== null) this.#rise(risingFor(this.#count, count, this.#own));
    this.#own = this.#count === null ? 0 : Math.max(0, this.#own - (count - this.#count));
    this.#count = count;
    this.#paint();
  }

  #send() {
    this.#live.react(KIND);
    this.#own += 1;
    this.#rise(1);
    this.#paint();
  }

  #paint() {
    const shown = (this.#count ?? 0) + this.#own;
    setText(byId("react-count"), shown > 0 ? number(shown) : "");
    const words = shown > 0 ? `${text("viewer.react")} (${text("viewer.hearts", { count: shown })})` : "";
    this.button.setAttribute("aria-label", words || text("viewer.react"));
  }

  #rise(hearts) {
    if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const free = MOST_RISING - this.place.childElementCount;
    for (let i = 0; i < Math.min(hearts, free); i += 1) {
      const heart = this.button.querySelector("svg").cloneNode(true);
      heart.style.setProperty("--drift", `${Math.round(Math.random() * 60 - 30)}px`);
      heart.style.setProperty("--delay", `${Math.round(Math.random() * 300)}ms`);
      this.place.append(heart);
      setTimeout(() => heart.remove(), RISES_MS + 300);
    }
  }
}
