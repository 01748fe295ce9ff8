/** A second way to the checkout, at the thumb, while the card of what is held is out of sight: its time runs there too. */

import { byId, setText } from "./dom.js";

export class PayBar {
  /** @param {() => void} open called when it is pressed */
  constructor(open) {
    this.button = byId("pay-bar");
    this.stage = byId("stage");
    [this.label, this.hint] = this.button.querySelectorAll("span");
    this.button.addEventListener("click", open);
  }

  /** @param {Iterable<import("./drops.js").DropCard>} cards */
  update(cards) {
    const held = [...cards].filter(({ element }) => element.dataset.kind === "taken");
    const hidden = held.length === 0 || held.some(({ take }) => this.#inSight(take));
    // Who has just pressed it with the keyboard goes on where it led.
    if (hidden && this.button === document.activeElement) held[0]?.take.focus();
    this.button.hidden = hidden;
    if (hidden) return;
    setText(this.label, held[0].label.textContent);
    setText(this.hint, held[0].hint.textContent);
  }

  #inSight(element) {
    const { top, bottom, left, right } = element.getBoundingClientRect();
    const stage = this.stage.getBoundingClientRect();
    // The picture sticks to the top where it stands above the cards, and covers what is scrolled below it.
    const above = stage.right > left && stage.left < right;
    return bottom > (above ? stage.bottom : 0) && top < innerHeight;
  }
}
