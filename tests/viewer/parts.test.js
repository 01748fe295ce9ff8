import assert from "node:assert/strict";
import test from "node:test";

import { drop, load, NOW, state } from "./page.js";

const { contactOf } = await load("address.js");
const { converted, currenciesOf, likelyCurrency } = await load("estimate.js");
const { risingFor } = await load("hearts.js");
const { addressLines, headingOf, storyOf } = await load("order.js");
const { stageWords } = await load("stage.js");
const { pauseAfter, playerOf } = await load("video.js");
const { countdown, nameOf, sentence } = await load("words.js");

const RATES = { base: "EUR", rates: { USD: 1.08, JPY: 170, KWD: 0.33 } };

test("an address is whole or not begun; a country alone says only how one can pay", () => {
  assert.deepEqual(contactOf({}), { contact: {}, wrong: {} });
  assert.deepEqual(contactOf({ email: " ada@example.com " }).contact, { email: "ada@example.com" });
  assert.deepEqual(contactOf({ country: "NL" }), { contact: { shipping_address: { country: "NL" } }, wrong: {} });
  assert.deepEqual(Object.keys(contactOf({ phone: "1" }).wrong), ["name", "line1", "city", "country"]);
  assert.deepEqual(Object.keys(contactOf({ email: "ada@" }).wrong), ["email"]);
  const whole = { name: "Ada", line1: "1 Street", city: "Dublin", country: "IE", line2: "  " };
  assert.deepEqual(contactOf(whole).wrong, {});
  assert.equal("line2" in contactOf(whole).contact.shipping_address, false);
});

test("an estimate counts in the minor units of both currencies, and is none where a rate is missing", () => {
  assert.equal(converted(1250, "EUR", "USD", RATES), 1350);
  assert.equal(converted(1250, "EUR", "JPY", RATES), 2125);
  assert.equal(converted(2125, "JPY", "EUR", RATES), 1250);
  assert.equal(converted(1000, "EUR", "KWD", RATES), 3300);
  assert.equal(converted(1080, "USD", "JPY", RATES), 1700);
  assert.equal(converted(1250, "EUR", "GBP", RATES), null);
  assert.equal(converted(1250, "EUR", "USD", null), null);
  assert.deepEqual(currenciesOf(RATES), ["EUR", "USD", "JPY", "KWD"]);
});

test("the viewer's currency is guessed by their region alone", () => {
  assert.equal(likelyCurrency(["en-US", "de-DE"]), "USD");
  assert.equal(likelyCurrency(["de", "de-AT"]), "EUR");
  assert.equal(likelyCurrency(["en"]), undefined);
});

test("a few hearts rise for many, none for those that rose here already", () => {
  assert.equal(risingFor(10, 12, 0), 2);
  assert.equal(risingFor(10, 5000, 0), 6);
  assert.equal(risingFor(10, 13, 3), 0);
  assert.equal(risingFor(10, 10, 4), 0);
});

test("an order tells in its order what happened, with parcel and money", () => {
  const order = {
    history: [
      { status: "confirming", at: 1 },
      { status: "paid", at: 2 },
      { status: "fulfilled", at: 4, details: { carrier: "Post" } },
    ],
    fulfilment: { at: 4, carrier: "Post", tracking_number: "X1" },
    refunds: [
      { status: "refused", amount: 300, created_at: 5 },
      { status: "paid", amount: 200, created_at: 3 },
    ],
  };
  assert.deepEqual(
    storyOf(order, (minor) => `${minor}¢`).map(({ words }) => words.join(" · ")),
    [
      "Being confirmed",
      "Paid",
      "200¢ paid back",
      "On its way · Sent by Post · Tracking number X1",
      "300¢ could not be paid back: please ask the shop",
    ],
  );
  assert.equal(headingOf("paid"), "Thank you!");
  assert.equal(headingOf("cancelled"), "This order was cancelled");
});

test("an address is written as on a parcel; a country alone is none", () => {
  const whole = { name: "Ada", line1: "1 Street", postal_code: "D02", city: "Dublin", country: "IE" };
  assert.deepEqual(addressLines(whole), ["Ada", "1 Street", "D02 Dublin", "Ireland"]);
  assert.deepEqual(addressLines({ country: "NL" }), []);
  assert.deepEqual(addressLines(undefined), []);
});

test("the stage says what is waited for, as a clock or, where it is far, as a date", () => {
  const soon = state({ status: "scheduled", starts_at: NOW + 90_000 });
  assert.equal(stageWords(soon, NOW), "Starts in 1:30");
  const far = state({ status: "scheduled", starts_at: NOW + 3 * 86_400_000 });
  assert.match(stageWords(far, NOW), /^Starts .*2027/);
  const next = drop({ status: "countdown", opens_at: NOW + 5000 });
  const later = drop({ status: "countdown", opens_at: NOW + 9000, title: "Lamp" });
  assert.equal(stageWords(state({ drops: [later, next] }), NOW), "Mug opens in 0:05");
  assert.equal(stageWords(state(), NOW), "");
});

test("the browser plays what it can itself, and a broken video is not asked for for ever", () => {
  const none = () => "";
  assert.equal(playerOf("https://a.test/show.m3u8?x=1", none), "hls");
  assert.equal(
    playerOf("https://a.test/show.m3u8", () => "maybe"),
    "native",
  );
  assert.equal(playerOf("https://a.test/clip.mp4", none), "native");
  assert.equal(pauseAfter(1), 2000);
  assert.equal(pauseAfter(6), null);
});

test("numbers and codes are said in words", () => {
  assert.equal(countdown(3_723_000), "1:02:03");
  assert.equal(countdown(-5), "0:00");
  assert.equal(nameOf({ title: "Mug", options: { Title: "Default Title" } }), "Mug");
  assert.equal(nameOf({ title: "Blue Mug", options: { Colour: "Blue", Size: "L" } }), "Blue Mug · L");
  assert.equal(sentence({ code: "out-of-stock", extras: { available: 2 } }), "Only 2 left: choose fewer.");
  assert.equal(sentence({ code: "a-new-code", message: "What the server says." }), "What the server says.");
});
