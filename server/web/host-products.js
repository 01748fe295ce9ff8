/** The catalog on the host's console: find a product, prepare a drop of it, put it before the viewers' eyes. */

import { byId, make, notice, picture, setText } from "./dom.js";
import { refusal } from "./host-acts.js";
import { joined } from "./host-words.js";
import { decimal, minorUnits, money } from "./money.js";
import { text } from "./text.js";
import { nameOf } from "./words.js";

const SHOWN = 12;
const SEARCH_AFTER_MS = 200;
const MOST_PINNED = 3;
const USUAL_QUANTITY = 10;

export class Products {
  #live;
  #state;
  #acts;
  #found = [];
  #asked = 0;
  #timer = 0;

  /**
   * @param {import("./client/livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {import("./host-acts.js").Acts} acts
   */
  constructor(live, state, acts) {
    this.#live = live;
    this.#state = state;
    this.#acts = acts;
    this.form = byId("new-drop");
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.querySelector(".close").addEventListener("click", () => {
      this.form.hidden = true;
      byId("product-query").focus();
    });
    byId("product-query").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.search(), SEARCH_AFTER_MS);
    });
  }

  /** Look up what stands in the search field; an answer that a later one has overtaken is dropped. */
  async search() {
    const asked = (this.#asked += 1);
    const query = new URLSearchParams({ query: byId("product-query").value.trim(), limit: String(SHOWN) });
    try {
      const { items } = await this.#live.request("GET", `/v1/catalog/products?${query}`);
      if (asked !== this.#asked) return;
      this.#found = items;
      byId("no-products").hidden = items.length > 0;
      this.paint();
    } catch (error) {
      notice(refusal(error), "bad");
    }
  }

  /** Bring both lists up to date. */
  paint() {
    if (!this.#state.show) return;
    const pinned = this.#state.pinned;
    const full = pinned.length >= MOST_PINNED;
    const isPinned = ({ sku }) => pinned.some((one) => one.sku === sku);
    refill(byId("products"), [this.#found, pinned.map(({ sku }) => sku)], () =>
      this.#found.map((product) =>
        this.#row(product, isPinned(product) ? this.#unpinButton(product) : this.#pinButton(product, full)),
      ),
    );
    refill(byId("pinned"), pinned, () =>
      pinned.map((product) => this.#row(product, this.#unpinButton(product))),
    );
    byId("no-pinned").hidden = pinned.length > 0;
    setText(byId("pinned-count"), text("host.pinned-count", { count: pinned.length, most: MOST_PINNED }));
  }

  #row(product, button) {
    const { sku, unit_price: price, currency, images, inventory_quantity: stock } = product;
    const more = [
      money(price, currency, this.#state.show.locale),
      stock === undefined ? null : text("host.in-stock", { count: stock }),
      sku,
    ];
    const facts = make(
      "span",
      { class: "facts" },
      make("span", { class: "unseen" }, `${text("host.prepare-this")} `),
      make("b", {}, nameOf(product)),
      make("small", {}, joined(more)),
    );
    const choose = {
      type: "button",
      class: "choose",
      "data-do": "choose",
      onclick: () => this.#choose(product),
    };
    return make(
      "li",
      { "data-sku": sku },
      make("button", choose, picture(images?.[0], product.title), facts),
      button,
    );
  }

  #pinButton(product, full) {
    const { sku } = product;
    const pin = () => this.#pin([...this.#state.pinned.map((one) => one.sku), sku]);
    return make(
      "button",
      {
        type: "button",
        class: "quiet",
        "data-do": "pin",
        disabled: full,
        onclick: pin,
        title: full ? text("host.pins-full", { most: MOST_PINNED }) : null,
        "aria-label": text("host.pin-of", { title: nameOf(product) }),
      },
      text("host.pin"),
    );
  }

  #unpinButton(product) {
    const { sku } = product;
    const unpin = () => this.#pin(this.#state.pinned.map((one) => one.sku).filter((one) => one !== sku));
    return make(
      "button",
      {
        type: "button",
        class: "quiet",
        "data-do": "unpin",
        onclick: unpin,
        "aria-label": text("host.unpin-of", { title: nameOf(product) }),
      },
      text("host.unpin"),
    );
  }

  #pin(skus) {
    this.#acts.pin(skus).catch(() => null); // the host has been told
  }

  #choose(product) {
    const { sku, unit_price: price, currency, images, title, inventory_quantity: stock } = product;
    const shown = this.#state.show;
    const fields = this.form.elements;
    fields.sku.value = sku;
    fields.quantity.value = stock > 0 ? stock : USUAL_QUANTITY;
    // A price in another currency is no suggestion: the host has to name one.
    fields.unit_price.value = currency === shown.currency ? decimal(price, currency) : "";
    setText(byId("price-currency"), shown.currency);
    byId("chosen").replaceChildren(picture(images?.[0], title), make("b", {}, nameOf(product)));
    this.form.hidden = false;
    this.form.scrollIntoView({ block: "nearest" });
    fields.quantity.focus();
    fields.quantity.select();
  }

  async #submit(event) {
    event.preventDefault();
    const {
      sku,
      quantity,
      unit_price: price,
      limit_per_viewer: limit,
      hold_seconds: hold,
      mode,
    } = this.form.elements;
    const { currency } = this.#state.show;
    const amount = minorUnits(price.value, currency);
    price.setCustomValidity(
      amount === null
        ? text("host.price-wanted", { currency, example: decimal(1990, currency) })
        : "",
    );
    price.addEventListener("input", () => price.setCustomValidity(""), { once: true });
    if (!this.form.reportValidity()) return;
    const submit = this.form.querySelector("[type=submit]");
    submit.disabled = true;
    const terms = {
      sku: sku.value,
      quantity: quantity.valueAsNumber,
      unit_price: amount,
      limit_per_viewer: limit.valueAsNumber,
      hold_seconds: hold.valueAsNumber,
      mode: mode.value,
    };
    await this.#acts.prepare(terms).then(
      () => (this.form.hidden = true),
      () => null, // the host has been told, and may correct the form
    );
    submit.disabled = false;
  }
}

function refill(list, from, makeAll) {
  const written = JSON.stringify(from);
  if (list.dataset.written === written) return;
  list.dataset.written = written;
  list.replaceChildren(...makeAll());
}
