/** How the buyer pays: the methods that the shop takes for this currency and country, and the sandbox's test cards. */

import { make, setText } from "./dom.js";
import { hasText, text } from "./text.js";

const SANDBOX = "sandbox";
const TEST_CARDS = [
  "tok_ok",
  "tok_declined",
  "tok_insufficient_funds",
  "tok_requires_action",
  "tok_slow_10s",
  "tok_timeout_then_ok",
  "tok_capture_fails_once",
  "tok_duplicate_webhook",
];

/**
 * @typedef {{method: string, provider: string, synchronous: boolean}} Method as `GET /v1/payments/methods` lists it
 * @typedef {{method: string, token: string, return_url?: string}} Payment as `POST /v1/checkout` takes it
 */

/** @param {string} method @returns {string} its name for people; the contract's own where the page knows none */
export function methodName(method) {
  return hasText(`viewer.method.${method}`) ? text(`viewer.method.${method}`) : method;
}

export class PaymentChoice {
  #live;
  #changed;
  #methods = null; // null while they are not known
  #failed = false;
  #asked = null; // currency and country of the last request
  #chosen = "";

  /** @param {object} live @param {HTMLElement} place @param {() => void} changed called when another way is chosen */
  constructor(live, place, changed) {
    this.#live = live;
    this.#changed = changed;
    this.words = make("p", { class: "fine", role: "status" });
    const again = () => this.load(...this.#asked.split(" "), { anew: true });
    this.again = make("button", { type: "button", hidden: true, onclick: again }, text("viewer.method-again"));
    this.list = make("div", { class: "methods" });
    this.fields = make("fieldset", { hidden: true }, make("legend", {}, text("viewer.method")), this.list);
    this.cards = make("select", { id: "test-card", onchange: changed }, ...TEST_CARDS.map(testCard));
    const label = make("label", { for: "test-card" }, text("viewer.test-card"));
    this.card = make("div", { class: "field", hidden: true }, label, this.cards);
    place.replaceChildren(this.fields, this.card, this.words, this.again);
  }

  /** Ask which ways there are, unless that is known. @param {string} currency @param {string} country may be empty */
  async load(currency, country = "", { anew = false } = {}) {
    const asked = `${currency} ${country}`;
    if (this.#asked === asked && !anew) return;
    this.#asked = asked;
    this.#failed = false;
    this.#paint();
    const query = new URLSearchParams({ currency, ...(country && { country }) });
    const answer = await this.#live.request("GET", `/v1/payments/methods?${query}`).catch(() => null);
    if (this.#asked !== asked) return; // another country was chosen meanwhile
    this.#failed = answer === null;
    if (answer) this.#methods = answer.items;
    if (!this.method) this.#chosen = this.#methods?.[0]?.method ?? "";
    this.#build();
    this.#paint();
    this.#changed();
  }

  /** @returns {Method | undefined} the chosen one */
  get method() {
    return this.#methods?.find(({ method }) => method === this.#chosen);
  }

  /** @returns {boolean} whether it is only played */
  get sandbox() {
    return this.method?.provider === SANDBOX;
  }

  /** @returns {boolean} whether the page itself can name what pays; a real card is named by its provider's own form */
  get ready() {
    return this.sandbox;
  }

  set disabled(disabled) {
    this.fields.disabled = disabled;
    this.cards.disabled = disabled;
  }

  /** @returns {Payment} what the checkout is sent */
  get payment() {
    const { method, synchronous } = this.method;
    return { method, token: this.cards.value, ...(!synchronous && !isFramed() && { return_url: here() }) };
  }

  #build() {
    const radios = (this.#methods ?? []).map(({ method }) => {
      const chosen = () => this.#choose(method);
      const checked = method === this.#chosen;
      const input = make("input", { type: "radio", name: "method", value: method, checked, onchange: chosen });
      return make("label", { class: "method" }, input, methodName(method));
    });
    this.list.replaceChildren(...radios);
    this.fields.hidden = radios.length < 2;
  }

  #choose(method) {
    this.#chosen = method;
    this.#paint();
    this.#changed();
  }

  #paint() {
    this.card.hidden = !this.sandbox || this.#chosen !== "card";
    if (this.card.hidden) this.cards.value = TEST_CARDS[0];
    this.again.hidden = !this.#failed;
    setText(this.words, this.#words());
  }

  #words() {
    if (this.#failed) return text("viewer.method-failed");
    if (this.#methods === null) return text("viewer.method-wait");
    if (!this.method) return text("viewer.method-none");
    if (!this.ready) return text("viewer.method-elsewhere");
    return text("viewer.sandbox");
  }
}

function testCard(token) {
  return make("option", { value: token }, text(`viewer.card.${token}`));
}

/** A frame stays where it is: the bank opens in a window of its own, and the page hears what came of it. */
function isFramed() {
  return "embedded" in document.documentElement.dataset;
}

/** Where a buyer who has to leave comes back to: this page, without what only this tab knows. */
function here() {
  return location.origin + location.pathname + location.search;
}
