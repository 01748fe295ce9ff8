/**
 * Drops of one product, told apart by their options, as one choice. Pure.
 *
 * @typedef {{key: string, drops: object[]}} Choice `key` stays the same while drops of the product come and go
 */

import { number, text } from "./text.js";
import { countdown } from "./words.js";

/**
 * @param {object[]} ordered drops, the most important first
 * @returns {Choice[]} in the same order; the variants of a product stand together, where its first one stood
 */
export function choicesOf(ordered) {
  const choices = new Map();
  for (const drop of ordered) {
    const product = drop.options && (drop.handle ?? drop.title);
    const free = product && !choices.get(product)?.drops.some(({ sku }) => sku === drop.sku);
    // An earlier drop of the same variant stands on its own: nobody could choose between the two.
    const key = free ? product : drop.id;
    if (!choices.has(key)) choices.set(key, { key, drops: [] });
    choices.get(key).drops.push(drop);
  }
  for (const { drops } of choices.values()) drops.sort(byPlan);
  return [...choices.values()];
}

function byPlan(one, other) {
  return one.created_at - other.created_at || (one.id < other.id ? -1 : 1);
}

/**
 * The variant that is shown where nobody has chosen one: what the viewer holds, waits for, or can have.
 * @param {object[]} drops @param {import("./show.js").ShowState} state
 */
export function likeliest(drops, state) {
  const ways = [
    ({ id }) => state.own(id, "held", "paying").length > 0,
    ({ id }) => state.places.has(id),
    isFree,
    ({ status }) => status === "open",
    ({ status }) => status === "countdown",
    ({ status }) => status !== "closed",
    () => true,
  ];
  for (const way of ways) {
    const found = drops.find(way);
    if (found) return found;
  }
  return undefined;
}

/** @returns {boolean} whether anybody can take of it right now */
export function isFree({ status, available }) {
  return status === "open" && available > 0;
}

/** @returns {string} what sets a variant apart: `Blue · L` */
export function optionOf({ options, sku }) {
  return Object.values(options ?? {}).join(" · ") || sku;
}

/** @returns {string} what there is to choose: `Colour · Size` */
export function optionNames(drops) {
  return Object.keys(drops[0]?.options ?? {}).join(" · ");
}

/** @returns {string} a variant in a word or two, to choose by */
export function variantWords(drop, state, now) {
  const held = state.own(drop.id, "held")[0];
  if (held) return text("viewer.variant-yours", { time: countdown(held.expires_at - now) });
  if (state.own(drop.id, "paying").length > 0) return text("viewer.paying");
  const place = state.places.get(drop.id);
  if (place && drop.mode !== "draw") return text("viewer.variant-line", { position: number(place.position) });
  if (drop.status === "countdown") return countdown(drop.opens_at - now);
  if (drop.status !== "open") return text(`drop.${drop.status}`);
  if (drop.available === 0 && state.own(drop.id, "sold").length > 0) return text("viewer.variant-bought");
  if (drop.available > 0) return text("viewer.variant-left", { count: drop.available });
  return text(drop.held > 0 ? "viewer.variant-held" : "viewer.variant-sold");
}
