/** The honest stock bar: what can be taken, what others hold and may lose again, what is sold. */

import { make, setText } from "./dom.js";

const PARTS = ["available", "held", "sold"];
const WORDS = { available: "available", held: "on hold", sold: "sold" };

export class StockBar {
  #bars = {};
  #numbers = {};

  constructor() {
    const bar = make("div", { class: "bar", role: "img" });
    const legend = make("p", { class: "legend" });
    for (const part of PARTS) {
      this.#bars[part] = make("span", { class: part });
      this.#numbers[part] = make("b", { [`data-${part}`]: "" });
      bar.append(this.#bars[part]);
      legend.append(make("span", { class: part }, this.#numbers[part], ` ${WORDS[part]}`));
    }
    this.#numbers.quantity = make("b", { "data-quantity": "" });
    legend.append(make("span", { class: "quantity" }, "of ", this.#numbers.quantity));
    this.bar = bar;
    this.element = make("div", { class: "stock" }, bar, legend);
  }

  /** @param {{available: number, held: number, sold: number, quantity: number}} drop */
  update(drop) {
    for (const part of PARTS) {
      this.#bars[part].style.flexGrow = String(drop[part]);
      this.#bars[part].hidden = drop[part] === 0; // else its gap would remain
    }
    for (const part of [...PARTS, "quantity"]) {
      this.#numbers[part].setAttribute(`data-${part}`, String(drop[part]));
      setText(this.#numbers[part], drop[part].toLocaleString());
    }
    this.bar.setAttribute(
      "aria-label",
      `${drop.available} available, ${drop.held} on hold, ${drop.sold} sold, of ${drop.quantity}`,
    );
  }
}
