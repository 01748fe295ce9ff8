/**
 * Money as the contract has it: integers in minor units beside an ISO 4217 currency, never fractions.
 * How many minor digits a currency has is asked of the browser (JPY none, EUR two, KWD three). Amounts are written as
 * the page's language does; of its regions as the show's locale, else the browser's.
 */

import { language, localeOf } from "./text.js";

const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200f]/;
const formats = new Map();

function format(currency, locale) {
  const name = `${locale ?? ""} ${currency}`;
  if (!formats.has(name)) formats.set(name, makeFormat(currency, localeOf(locale)));
  return formats.get(name);
}

function makeFormat(currency, locale) {
  try {
    return new Intl.NumberFormat(locale, { style: "currency", currency });
  } catch {
    // A locale that this browser cannot read must not hide the price.
    return new Intl.NumberFormat(language, { style: "currency", currency });
  }
}

/** @param {string} currency @returns {number} decimal places of its minor unit */
export function minorDigits(currency) {
  return format(currency).resolvedOptions().maximumFractionDigits;
}

/** @param {number} minor @param {string} currency @param {string} [locale] @returns {string} for example `€9.99` */
export function money(minor, currency, locale) {
  const text = format(currency, locale).format(minor / 10 ** minorDigits(currency));
  // An amount written from right to left must not reorder the words around it.
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

/** @param {number} minor @param {string} currency @returns {string} a plain decimal for an input field, `9.99` */
export function decimal(minor, currency) {
  return (minor / 10 ** minorDigits(currency)).toFixed(minorDigits(currency));
}

/**
 * Read what a person typed as an amount.
 * @param {string} text decimals after a point or comma @param {string} currency
 * @returns {number | null} minor units; null where it is no amount or has more decimals than the currency
 */
export function minorUnits(text, currency) {
  const match = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  const digits = minorDigits(currency);
  const decimals = match?.[2] ?? "";
  if (!match || decimals.length > digits) return null;
  return Number(match[1] + decimals.padEnd(digits, "0"));
}
