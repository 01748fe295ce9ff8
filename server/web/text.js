/**
 * What the page says, in its language. The server chose it and put the sentences into the page, as
 * `<script type="application/json" id="words">`; one that a language lacks is there in English.
 */

import { device, keep, recall } from "./memory.js";

const KEPT = "livedrop.language";
const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200f]/;
const said = globalThis.document?.getElementById("words")?.textContent;
const { words, languages: known, ...chosen } = said ? JSON.parse(said) : { words: {}, languages: {} };

/** @type {string} the page's language, `de` */
export const language = chosen.language ?? "en";
/** @type {"ltr" | "rtl"} where its lines begin */
export const direction = chosen.direction ?? "ltr";
/** @type {Record<string, string>} every language that there is -> its own name for itself */
export const languages = known;

/**
 * How numbers and dates are written: as the given locale (of a show, say) or else the browser's does, if it is of the
 * page's language at all; `de-AT` and `de-CH` differ.
 * @param {string} [wanted] @returns {string}
 */
export function localeOf(wanted) {
  const all = [wanted, ...(globalThis.navigator?.languages ?? [])];
  return all.find((name) => name === language || name?.startsWith(`${language}-`)) ?? language;
}

const plain = new Intl.NumberFormat(safe(localeOf()));
const plurals = new Intl.PluralRules(language);

/** A browser may name what `Intl` cannot read; the page's own language it can. */
function safe(locale) {
  try {
    return Intl.getCanonicalLocales(locale)[0];
  } catch {
    return language;
  }
}

/** @param {number} value @returns {string} for example `1,234` */
export function number(value) {
  return plain.format(value);
}

/**
 * @param {string} key what is to be said, `viewer.take` @param {Record<string, string | number>} [values] what stands
 * for its `{placeholders}`; `count` chooses between singular and plural
 * @returns {string} the sentence; the key itself where nobody wrote one
 */
export function text(key, values = {}) {
  if (!hasText(key)) return key;
  const found = words[key];
  const sentence = typeof found === "string" ? found : (found[plurals.select(values.count)] ?? found.other);
  return sentence.replace(/\{(\w+)\}/g, (left, name) => (Object.hasOwn(values, name) ? inserted(values[name]) : left));
}

/** @param {string} key @returns {boolean} whether there is a sentence for it: codes of a newer server have none */
export function hasText(key) {
  return Object.hasOwn(words, key);
}

/** A name of the other direction must not reorder the words around it, so it is isolated from them. */
function inserted(value) {
  if (typeof value === "number") return number(value);
  return direction === "rtl" || RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : String(value);
}

/**
 * Go on in another language, and remember it in this browser.
 * @param {string} name one of `languages`
 */
export function speak(name) {
  keep(device, KEPT, name);
  location.replace(addressIn(name));
}

function addressIn(name) {
  const address = new URL(location.href);
  address.searchParams.set("lang", name);
  return address.href;
}

/** What somebody chose earlier counts, unless the address says it already. */
function goOnAsBefore() {
  const kept = recall(device, KEPT);
  if (kept === null || kept === language || !Object.hasOwn(languages, kept)) return;
  if (!new URLSearchParams(location.search).has("lang")) location.replace(addressIn(kept));
}

/**
 * The switch between languages: a select with their own names.
 * @param {HTMLSelectElement} select @returns {void}
 */
export function wireLanguages(select) {
  for (const [name, own] of Object.entries(languages)) {
    const option = new Option(own, name, name === language, name === language);
    option.lang = name;
    select.append(option);
  }
  select.addEventListener("change", () => speak(select.value));
}

if (said) goOnAsBefore();
