/** The show's figures and orders on the host's console, asked for over HTTP. */

import { byId, make, setText } from "./dom.js";
import { money } from "./money.js";
import { counted, ORDER_WORDS } from "./words.js";

const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const number = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** What is shown, in this order: field, words, how to write it. */
const FIGURES = [
  ["gmv", "Sales", (value, { currency }, locale) => money(value, currency, locale)],
  ["orders", "Orders", number.format],
  ["units_sold", "Pieces sold", number.format],
  ["conversion", "Conversion", percent.format],
  ["viewers", "Watching", number.format],
  ["peak_viewers", "Peak", number.format],
  ["unmet_demand", "Unmet demand", number.format],
  ["waitlist", "Waiting", number.format],
];

export class Figures {
  #live;
  #state;
  #path;
  #ordersChanged;
  #orders = null;
  #cells = new Map();

  /**
   * @param {import("./livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {string} base the show's path @param {() => void} ordersChanged called when the number of orders has changed
   */
  constructor(live, state, base, ordersChanged) {
    this.#live = live;
    this.#state = state;
    this.#path = `${base}/metrics`;
    this.#ordersChanged = ordersChanged;
    for (const [name, words] of FIGURES) {
      const cell = make("dd", { "data-metric": name }, "–");
      this.#cells.set(name, cell);
      byId("metrics").append(make("div", {}, make("dt", {}, words), cell));
    }
  }

  /** Ask for the figures; without an answer the old ones stay, marked as such. Only a host may: others have to leave. */
  async load() {
    if (this.#live.connection.state === "ended") return;
    try {
      const figures = await this.#live.request("GET", this.#path);
      for (const [name, , write] of FIGURES) {
        const value = figures[name];
        if (value !== undefined && value !== null)
          setText(this.#cells.get(name), write(value, figures, this.#state.show?.locale));
      }
      byId("metrics").classList.remove("stale");
      if (this.#orders !== null && figures.orders !== this.#orders) this.#ordersChanged();
      this.#orders = figures.orders;
    } catch (error) {
      byId("metrics").classList.add("stale");
      if (error.code === "not-allowed") this.#live.disconnect("This link does not allow to run the show.");
    }
  }
}

export class Orders {
  #live;
  #state;
  #path;
  #next = null;

  /**
   * @param {import("./livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {string} base the show's path
   */
  constructor(live, state, base) {
    this.#live = live;
    this.#state = state;
    this.#path = `${base}/orders`;
    byId("more-orders").addEventListener("click", () => this.#page(this.#next));
  }

  /** Ask for the first page anew. */
  load() {
    return this.#page(null);
  }

  async #page(cursor) {
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
    const answer = await this.#live.request("GET", this.#path + query).catch(() => null);
    if (!answer || !this.#state.show) return;
    this.#next = answer.next_cursor ?? null;
    const lines = answer.items.map((order) => this.#line(order));
    if (cursor) byId("orders").append(...lines);
    else byId("orders").replaceChildren(...lines);
    byId("more-orders").hidden = !this.#next;
    byId("no-orders").hidden = byId("orders").children.length > 0;
  }

  #line(order) {
    const lines = order.lines ?? [];
    const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
    const first = lines[0]?.title ?? lines[0]?.sku ?? "";
    const what = lines.length > 1 ? `${first} and ${counted(lines.length - 1, "more line")}` : first;
    const small = `${clock.format(order.created_at)} · ${counted(units, "piece")} · ${order.id}`;
    return make(
      "li",
      { class: "order", "data-order": order.id, "data-status": order.status },
      make("span", { class: "what" }, make("b", {}, what), make("small", {}, small)),
      make("b", { class: "price" }, money(order.total, order.currency, this.#state.show.locale)),
      make(
        "span",
        { class: "badge", "data-status": order.status },
        ORDER_WORDS[order.status] ?? order.status,
      ),
    );
  }
}
