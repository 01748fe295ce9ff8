/** The ticker of orders on the host's console: the newest first; what was paid can be paid back from here. */

import { askOnce, byId, make, notice, place, setText } from "./dom.js";
import { joined } from "./host-words.js";
import { money } from "./money.js";
import { localeOf, text } from "./text.js";
import { ORDER_WORDS } from "./words.js";

/** What a host may do with an order of this status. */
const ACTS = {
  paid: ["refund", "cancel"],
  fulfilled: ["refund"],
  partially_refunded: ["refund"],
};
const DONE = { refund: "host.refunded", cancel: "host.cancelled" };
/** With more lines than this the list begins anew with the newest; the others are a press away. */
const MOST = 300;
/** Paying back is no sale: another host's is seen this late. */
const EVERY_MS = 10_000;

const clock = new Intl.DateTimeFormat(localeOf(), { timeStyle: "short" });

export class Orders {
  #live;
  #state;
  #path;
  #acts;
  #next = null;
  #lines = new Map(); // order -> {element, status}
  #turn = 0;

  /**
   * @param {import("./client/livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {string} base the show's path @param {import("./host-acts.js").Acts} acts
   */
  constructor(live, state, base, acts) {
    this.#live = live;
    this.#state = state;
    this.#path = `${base}/orders`;
    this.#acts = acts;
    byId("more-orders").addEventListener("click", () => this.#page(this.#next));
    setInterval(() => document.hidden || this.load(), EVERY_MS);
  }

  /** Ask for the newest ones. */
  load() {
    return this.#page(null);
  }

  async #page(cursor) {
    if (this.#live.connection.state === "ended") return;
    const turn = (this.#turn += 1);
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
    const answer = await this.#live.request("GET", this.#path + query).catch(() => null);
    if (!answer || !this.#state.show || turn !== this.#turn) return;
    const list = byId("orders");
    if (!cursor && this.#mustBeginAnew(list, answer.items)) {
      this.#lines.clear();
      list.replaceChildren();
    }
    if (cursor || this.#lines.size === 0) this.#next = answer.next_cursor;
    const elements = answer.items.map((order) => this.#line(order));
    if (cursor) list.append(...elements);
    else place(list, elements);
    byId("more-orders").hidden = !this.#next;
    byId("no-orders").hidden = list.children.length > 0;
  }

  /** Where orders are missing between these and those in the page, or there are too many and nobody looks back. */
  #mustBeginAnew(list, newest) {
    const gap = this.#lines.size > 0 && !newest.some(({ id }) => this.#lines.has(id));
    return gap || (this.#lines.size > MOST && list.scrollTop === 0);
  }

  /** Return the order's line, made once and then kept up to date: what is open or in focus in it stays so. */
  #line(order) {
    const known = this.#lines.get(order.id);
    const line = known ?? this.#make(order);
    if (!known) this.#lines.set(order.id, line);
    if (line.status === order.status) return line.element;
    line.status = order.status;
    line.element.dataset.status = order.status;
    line.badge.dataset.status = order.status;
    setText(line.badge, ORDER_WORDS[order.status] ?? order.status);
    const allowed = ACTS[order.status] ?? [];
    line.opener.hidden = allowed.length === 0;
    if (line.opener.hidden) line.acts.hidden = true;
    for (const button of line.acts.children) button.hidden = !allowed.includes(button.dataset.do);
    return line.element;
  }

  #make(order) {
    const lines = order.lines ?? [];
    const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
    const title = lines[0]?.title ?? lines[0]?.sku ?? "";
    const what = lines.length > 1 ? text("host.more-lines", { title, count: lines.length - 1 }) : title;
    const small = joined([clock.format(order.created_at), text("unit.pieces", { count: units })]);
    const badge = make("span", { class: "badge" });
    const buttons = ["refund", "cancel"].map((act) => this.#button(act, order));
    const acts = make("div", { class: "acts", hidden: true }, ...buttons);
    const opener = make("button", { type: "button", class: "close opener", "aria-expanded": "false" }, "⋯");
    opener.setAttribute("aria-label", text("host.order-acts", { order: order.id }));
    opener.addEventListener("click", () => {
      acts.hidden = !acts.hidden;
      opener.setAttribute("aria-expanded", String(!acts.hidden));
    });
    const element = make(
      "li",
      { class: "order", "data-order": order.id, title: order.id },
      make("span", { class: "what" }, make("b", {}, what), make("small", {}, small)),
      make("b", { class: "price" }, money(order.total, order.currency, this.#state.show.locale)),
      badge,
      opener,
      acts,
    );
    return { element, badge, opener, acts, status: null };
  }

  #button(act, order) {
    const button = make("button", { type: "button", class: "danger", "data-do": act }, text(`host.${act}`));
    button.title = text(`host.${act}-why`);
    const path = `/v1/orders/${encodeURIComponent(order.id)}/${act}`;
    const payBack = async () => {
      await this.#acts.change("POST", path);
      notice(text(DONE[act]), "good");
      await this.load();
    };
    askOnce(button, text(`host.${act}-sure`), () => this.#acts.pressed(button, payBack));
    return button;
  }
}
