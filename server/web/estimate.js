/**
 * What an amount is worth in the viewer's own currency, roughly: for the eye, never for the bill.
 *
 * @typedef {{base: string, rates: Record<string, number>}} Rates one unit of `base` is so many units of each
 */

import { minorDigits } from "./money.js";

/** Where a currency is what most people there pay in. Others choose for themselves. */
const CURRENCY_OF = {
  AE: "AED", AU: "AUD", BR: "BRL", CA: "CAD", CH: "CHF", CN: "CNY", CZ: "CZK", DK: "DKK", EG: "EGP", GB: "GBP",
  HU: "HUF", IL: "ILS", IN: "INR", JP: "JPY", KE: "KES", KR: "KRW", KW: "KWD", MX: "MXN", NO: "NOK", PL: "PLN",
  SA: "SAR", SE: "SEK", TR: "TRY", US: "USD", ZA: "ZAR",
};
const EURO = new Set("AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK".split(" "));

/**
 * Pure.
 * @param {number} minor @param {string} from @param {string} to @param {Rates | null} rates
 * @returns {number | null} minor units of `to`; null where that cannot be told
 */
export function converted(minor, from, to, rates) {
  const of = (currency) => (currency === rates?.base ? 1 : rates?.rates[currency]);
  if (!of(from) || !of(to)) return null;
  const major = (minor / 10 ** minorDigits(from)) * (of(to) / of(from));
  return Math.round(major * 10 ** minorDigits(to));
}

/** @param {readonly string[]} languages as the browser names them @returns {string | undefined} pure */
export function likelyCurrency(languages) {
  for (const name of languages) {
    const region = /[-_]([A-Z]{2})\b/.exec(name)?.[1];
    if (region) return EURO.has(region) ? "EUR" : CURRENCY_OF[region];
  }
  return undefined;
}

/** @param {Rates | null} rates @returns {string[]} every currency that they tell of */
export function currenciesOf(rates) {
  return rates ? [rates.base, ...Object.keys(rates.rates)].filter((one, at, all) => all.indexOf(one) === at) : [];
}
