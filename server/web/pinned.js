/** The products that the host holds up right now, and the way to the drop of each that has one. */

import { byId, fill, make, picture } from "./dom.js";
import { text } from "./text.js";
import { nameOf } from "./words.js";

/**
 * @param {import("./show.js").ShowState} state
 * @param {(amount: number, currency: string) => Node[]} price an amount as the page shows it
 * @param {string} priceKey another one whenever amounts look different
 * @param {(sku: string) => void} lead show the drop of a product
 */
export function paintPinned(state, price, priceKey, lead) {
  byId("pinned-section").hidden = state.pinned.length === 0;
  const products = state.pinned.map((product) => ({ ...product, drop: stageOf(product.sku, state), priceKey }));
  fill(byId("pinned"), products, (product) => pinnedProduct(product, price, lead));
}

/** How far a product's drop is: `open`, `soon`, or undefined where it has none that is still to be had. */
function stageOf(sku, state) {
  const found = state.ordered.filter((drop) => drop.sku === sku).map(({ status }) => status);
  if (found.includes("open")) return "open";
  return found.some((status) => status === "countdown" || status === "scheduled") ? "soon" : undefined;
}

function pinnedProduct(product, price, lead) {
  const { sku, title, unit_price: amount, currency, images, drop } = product;
  const name = nameOf(product);
  const cost = amount === undefined ? null : make("span", { class: "price" }, ...price(amount, currency));
  const badge = drop && make("span", { class: "badge", "data-status": drop }, text(`viewer.pinned-${drop}`));
  const what = make("span", { class: "what" }, name, badge ? make("small", {}, badge) : null);
  const parts = [picture(images?.[0], title), what, cost];
  const line = drop
    ? make("button", { type: "button", class: "product", onclick: () => lead(sku) }, ...parts)
    : make("div", { class: "product" }, ...parts);
  return make("li", { "data-sku": sku }, line);
}
