/** The viewer's orders: remembered in this browser, shown as a list, each opening in the sheet. */

import { byId, make } from "./dom.js";
import { device, keep, recall, tab } from "./memory.js";
import { lineName } from "./order.js";
import { text } from "./text.js";
import { ORDER_WORDS } from "./words.js";

const MOST_REMEMBERED = 100;

/** The ids of a viewer's orders of one show: of this browser, once it is known who watches, and of this tab. */
export class OrderMemory {
  #show;
  #viewer = null;

  /** @param {string} show */
  constructor(show) {
    this.#show = show;
  }

  /** From now on remember for this viewer, beyond the tab. @param {string} viewer */
  belongsTo(viewer) {
    this.#viewer = viewer;
    this.#write(this.ids);
  }

  /** @returns {string[]} the oldest first */
  get ids() {
    const far = this.#viewer === null ? null : recall(device, this.#farName);
    return [...new Set([...(far ?? []), ...(recall(tab, this.#name) ?? [])])];
  }

  /** Kept before the page says that it is paid: a reload at that moment must not lose it. @param {string} id */
  add(id) {
    if (!this.ids.includes(id)) this.#write([...this.ids, id]);
  }

  #write(ids) {
    const kept = ids.slice(-MOST_REMEMBERED);
    keep(tab, this.#name, kept);
    if (this.#viewer !== null && kept.length > 0) keep(device, this.#farName, kept);
  }

  get #name() {
    return `livedrop.orders.${this.#show}`;
  }

  get #farName() {
    return `${this.#name}.${this.#viewer}`;
  }
}

/** Show the orders. @param {import("./show.js").ShowState} state @param {(order: object) => void} open */
export function paintOrders(state, open) {
  const orders = [...state.orders.values()].sort((one, other) => other.created_at - one.created_at);
  byId("orders-section").hidden = orders.length === 0;
  const written = JSON.stringify(orders.map(({ id, status }) => [id, status]));
  const list = byId("orders");
  if (list.dataset.written === written) return;
  list.dataset.written = written;
  const focused = list.contains(document.activeElement) && document.activeElement.dataset.order;
  list.replaceChildren(...orders.map((order) => orderLine(order, state, open)));
  if (focused) list.querySelector(`[data-order="${CSS.escape(focused)}"]`)?.focus();
}

function orderLine(order, state, open) {
  const lines = order.lines ?? [];
  const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const names = [...new Set(lines.map((line) => lineName(line, state)))];
  const words = `${text("unit.pieces", { count: units })} · ${state.price(order.total)}`;
  const status = ORDER_WORDS[order.status] ?? order.status;
  const button = make(
    "button",
    {
      type: "button",
      class: "order",
      "data-order": order.id,
      onclick: () => open(state.orders.get(order.id)),
    },
    make("span", { class: "what" }, make("b", {}, names.join(", ")), make("small", {}, words)),
    make("span", { class: "badge", "data-status": order.status }, status),
  );
  return make("li", {}, button);
}
