/** Sentences with what stands in them: numbers, plurals, names of another direction. */

import assert from "node:assert/strict";
import test from "node:test";

const TEXT = new URL("../../server/web/text.js", import.meta.url);
const ISOLATED = (text) => `\u2068${text}\u2069`;

/** Load the module anew, as a page in this language with these words would. */
async function spoken(language, words, { direction = "ltr", locales = [] } = {}) {
  const block = { language, direction, languages: { en: "English", [language]: language }, words };
  Object.defineProperty(globalThis, "navigator", { value: { languages: locales }, configurable: true });
  globalThis.document = { getElementById: (id) => (id === "words" ? { textContent: JSON.stringify(block) } : null) };
  globalThis.location = { search: "", href: "https://shop.test/" };
  try {
    return await import(`${TEXT.href}?${language}-${Math.random()}`);
  } finally {
    delete globalThis.document;
    delete globalThis.location;
  }
}

test("placeholders are filled with text and with numbers as the language writes them", async () => {
  const words = { a: "{title} für {count}, {title}", b: "{nobody} {constructor}" };
  const { text, number } = await spoken("de", words);
  assert.equal(text("a", { title: "Becher {count}", count: 12345 }), "Becher {count} für 12.345, Becher {count}");
  assert.equal(text("b", { title: "Becher" }), "{nobody} {constructor}");
  assert.equal(number(12345.5), "12.345,5");
});

test("a key that nobody wrote is shown as itself", async () => {
  const { text, hasText } = await spoken("de", { known: "Bekannt" });
  assert.equal(text("some.key", { count: 1 }), "some.key");
  assert.deepEqual([hasText("known"), hasText("some.key"), hasText("toString")], [true, false, false]);
  assert.equal(text("toString"), "toString");
});

test("the count chooses the plural form of the language", async () => {
  const forms = Object.fromEntries(["zero", "one", "two", "few", "many", "other"].map((form) => [form, form]));
  const arabic = await spoken("ar", { n: forms }, { direction: "rtl" });
  const chosen = [0, 1, 2, 3, 11, 100].map((count) => arabic.text("n", { count }));
  assert.deepEqual(chosen, ["zero", "one", "two", "few", "many", "other"]);
  const english = await spoken("en", { n: { one: "{count} unit", other: "{count} units" } });
  assert.deepEqual([0, 1, 2].map((count) => english.text("n", { count })), ["0 units", "1 unit", "2 units"]);
  const lacking = await spoken("es", { n: { other: "{count} piezas" } });
  assert.equal(lacking.text("n", { count: 1 }), "1 piezas");
});

test("a name of the other direction is isolated from the sentence around it", async () => {
  const arabic = await spoken("ar", { open: "مفتوح: {title}" }, { direction: "rtl" });
  assert.equal(arabic.text("open", { title: "Mug (blue)" }), `مفتوح: ${ISOLATED("Mug (blue)")}`);
  const german = await spoken("de", { open: "Offen: {title}" });
  assert.equal(german.text("open", { title: "Mug (blue)" }), "Offen: Mug (blue)");
  assert.equal(german.text("open", { title: "كوب" }), `Offen: ${ISOLATED("كوب")}`);
});

test("numbers follow the show's region, else the browser's, where it is the page's language", async () => {
  const { localeOf } = await spoken("de", {}, { locales: ["en-US", "de-AT", "de"] });
  assert.equal(localeOf("de-CH"), "de-CH");
  assert.equal(localeOf("en-IE"), "de-AT");
  assert.equal(localeOf("den"), "de-AT");
  assert.equal(localeOf(), "de-AT");
  const plain = await spoken("hi", {}, { locales: ["hi-!!", "fr"] });
  assert.equal(plain.number(1234567), "12,34,567");
});
