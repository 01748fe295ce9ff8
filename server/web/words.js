/**
 * Numbers and codes in words that a person can act on.
 */

import { language, localeOf, number, text } from "./text.js";

const DAY_MS = 86_400_000;
const two = new Intl.NumberFormat(localeOf(), { minimumIntegerDigits: 2, useGrouping: false });
const countries = new Intl.DisplayNames(language, { type: "region" });
const moment = new Intl.DateTimeFormat(localeOf(), { dateStyle: "medium", timeStyle: "short" });

/** @param {number} ms left @returns {string} `0:07`, `12:00`, `1:02:03`; seconds are rounded up, so 0:00 means over */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (hours === 0) return `${number(minutes)}:${two.format(rest)}`;
  return `${number(hours)}:${two.format(minutes)}:${two.format(rest)}`;
}

/** @param {number} at Unix ms @returns {string} a date and time of day, where the reader is */
export function dateOf(at) {
  return moment.format(at);
}

/** @param {string} code of ISO 3166-1 @returns {string} the country's name; the code where it is none */
export function countryName(code) {
  try {
    return countries.of(code) ?? code;
  } catch {
    return code;
  }
}

/** @param {number} ms @returns {boolean} whether a countdown would say less than a date */
export function isFar(ms) {
  return ms > DAY_MS;
}

/**
 * A variant's name: its product's title with what sets it apart, where the title does not say it already.
 * @param {{title: string, options?: Record<string, string>}} product @returns {string}
 */
export function nameOf({ title, options }) {
  const values = Object.values(options ?? {}).filter(
    (value) => value !== "Default Title" && !title.includes(value),
  );
  return [title, ...values].join(" · ");
}

/** The codes that are said to buyers; of others the server's own sentence is the best there is. */
const SAID = new Set([
  "out-of-stock",
  "limit-reached",
  "drop-not-open",
  "drop-closed",
  "show-not-live",
  "reservation-expired",
  "payment-declined",
  "total-changed",
  "in-progress",
  "rate-limited",
  "unauthenticated",
  "not-allowed",
  "unavailable",
]);

/** @param {{code: string, message?: string, extras?: object}} error @returns {string} a sentence for buyers */
export function sentence({ code, message, extras }) {
  if (code === "out-of-stock" && extras?.available > 0) {
    return text("error.fewer-left", { count: extras.available });
  }
  return SAID.has(code) ? text(`error.${code}`) : (message ?? code);
}

function named(prefix, codes) {
  return Object.fromEntries(codes.map((code) => [code, text(`${prefix}.${code}`)]));
}

/** @type {Record<string, string>} an order's status in words */
export const ORDER_WORDS = named("order", [
  "confirming",
  "requires_action",
  "paid",
  "fulfilled",
  "cancelled",
  "refunded",
  "partially_refunded",
]);

/** @type {Record<string, string>} a show's status in words */
export const SHOW_WORDS = named("show", ["scheduled", "live", "paused", "ended"]);

/** @type {Record<string, string>} a drop's status in words */
export const DROP_WORDS = named("drop", ["scheduled", "countdown", "open", "paused", "closed"]);
