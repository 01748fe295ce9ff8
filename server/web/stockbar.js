/** The honest stock bar: what can be taken, what others hold and may lose again, what is sold. */

import { make, setText } from "./dom.js";
import { number, text } from "./text.js";

const PARTS = ["available", "held", "sold"];
const NUMBER = "\u0000"; // stands for the number in a sentence, until it is cut there

export class StockBar {
  #bars = {};
  #numbers = {};

  constructor() {
    const bar = make("div", { class: "bar", role: "img" });
    const legend = make("p", { class: "legend" });
    for (const part of PARTS) {
      this.#bars[part] = make("span", { class: part });
      bar.append(this.#bars[part]);
      legend.append(this.#legend(part, `stock.${part}`));
    }
    legend.append(this.#legend("quantity", "stock.of"));
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
      setText(this.#numbers[part], number(drop[part]));
    }
    const { available, held, sold, quantity } = drop;
    this.bar.setAttribute("aria-label", text("stock.aloud", { available, held, sold, quantity }));
  }

  /** The number stands where the language puts it. */
  #legend(part, key) {
    this.#numbers[part] = make("b", { [`data-${part}`]: "" });
    const [before, after] = text(key, { number: NUMBER }).split(NUMBER);
    return make("span", { class: part }, before, this.#numbers[part], after ?? null);
  }
}
