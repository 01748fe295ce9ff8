/** The choice between a product's variants: one radio button each, with what is left of it. */

import { make, setText } from "./dom.js";
import { isFree, optionNames, optionOf, variantWords } from "./variants.js";

let made = 0;

export class VariantPicker {
  #choose;
  #group = `variant-${(made += 1)}`;
  #parts = new Map(); // sku -> {input, words}

  /** @param {(sku: string) => void} choose called when somebody has chosen */
  constructor(choose) {
    this.#choose = choose;
    this.legend = make("legend");
    this.list = make("div", { class: "variants" });
    this.element = make("fieldset", { class: "picker", hidden: true }, this.legend, this.list);
  }

  /** @param {object[]} drops @param {object} shown one of them @param {object} state @param {number} now */
  update(drops, shown, state, now) {
    this.element.hidden = drops.length < 2;
    if (this.element.hidden) return;
    setText(this.legend, optionNames(drops));
    const written = drops.map(({ sku }) => sku).join(" ");
    if (this.list.dataset.written !== written) {
      this.list.dataset.written = written;
      this.#build(drops);
    }
    for (const drop of drops) {
      const { input, words, label } = this.#parts.get(drop.sku);
      input.checked = drop === shown;
      label.dataset.free = String(isFree(drop));
      setText(words, variantWords(drop, state, now));
    }
  }

  #build(drops) {
    const focused = this.list.contains(document.activeElement) && document.activeElement.value;
    this.#parts.clear();
    this.list.replaceChildren(...drops.map((drop) => this.#variant(drop)));
    if (focused) this.#parts.get(focused)?.input.focus();
  }

  #variant(drop) {
    const chosen = () => this.#choose(drop.sku);
    // A click, which the arrow keys make as well: pressing the one that is shown already is a choice, and no change.
    const input = make("input", { type: "radio", name: this.#group, value: drop.sku, onclick: chosen });
    const words = make("small");
    const label = make("label", { class: "variant" }, input, make("b", {}, optionOf(drop)), words);
    this.#parts.set(drop.sku, { input, words, label });
    return label;
  }
}
