/** Prices as the page shows them: in the drop's currency, and beside it what that is in the viewer's, as an estimate. */

import { byId, make, setText } from "./dom.js";
import { converted, currenciesOf, likelyCurrency } from "./estimate.js";
import { device, keep, recall } from "./memory.js";
import { money } from "./money.js";
import { language, text } from "./text.js";

const CHOICE = "livedrop.currency";
const NONE = "";

export class Prices {
  #state;
  #rates = null;
  #changed;
  #own = recall(device, CHOICE); // the currency that was chosen; empty for none, null while nothing was

  /** @param {import("./show.js").ShowState} state @param {() => void} changed called when prices look different now */
  constructor(state, changed) {
    this.#state = state;
    this.#changed = changed;
    this.select = byId("currency");
    this.select.addEventListener("change", () => this.#choose(this.select.value));
  }

  /** Ask for the rates once; without them, or without an answer, there are no estimates. */
  async load(live) {
    const rates = await live.request("GET", "/v1/rates").catch(() => null);
    if (!rates?.base) return;
    this.#rates = rates;
    this.#changed();
  }

  /** @returns {string} another one whenever the same amount would be shown differently */
  get key() {
    return this.currency;
  }

  /** @returns {string} the currency of the estimates, empty where there are none */
  get currency() {
    const offered = this.#offered;
    const wished = this.#own ?? likelyCurrency(navigator.languages ?? []) ?? NONE;
    return offered.includes(wished) ? wished : NONE;
  }

  /** @param {number} minor @param {string} [currency] the show's by default @returns {Node[]} amount and estimate */
  nodes(minor, currency = this.#state.show.currency) {
    const amount = make("span", {}, money(minor, currency, this.#state.show.locale));
    return [amount, this.estimate(minor, currency)].filter(Boolean);
  }

  /** @param {number} minor @returns {Node | null} what it is in the viewer's currency */
  estimate(minor, currency = this.#state.show.currency) {
    const wished = this.currency;
    const worth = wished && wished !== currency ? converted(minor, currency, wished, this.#rates) : null;
    if (worth === null) return null;
    const amount = money(worth, wished);
    return make(
      "small",
      { class: "estimate" },
      make("span", { "aria-hidden": "true" }, text("viewer.estimate", { amount })),
      make("span", { class: "unseen" }, text("viewer.estimate-aloud", { amount })),
    );
  }

  /** Bring the choice of the currency up to date. */
  paint() {
    const offered = this.#offered;
    byId("currency-field").hidden = offered.length === 0;
    if (offered.length === 0) return;
    const fine = text("viewer.estimate-fine", { currency: this.#state.show.currency });
    setText(byId("currency-fine"), this.currency ? fine : "");
    if (this.select.dataset.written !== offered.join()) this.#build(offered);
    if (this.select.value !== this.currency) this.select.value = this.currency;
  }

  get #offered() {
    const own = this.#state.show?.currency;
    const all = currenciesOf(this.#rates);
    return all.includes(own) ? all.filter((currency) => currency !== own) : [];
  }

  #build(offered) {
    this.select.dataset.written = offered.join();
    const names = new Intl.DisplayNames(language, { type: "currency" });
    const options = offered.map((code) => make("option", { value: code }, `${names.of(code)} (${code})`));
    this.select.replaceChildren(make("option", { value: NONE }, text("viewer.estimates-none")), ...options);
  }

  #choose(currency) {
    this.#own = currency;
    keep(device, CHOICE, currency);
    this.#changed();
  }
}
