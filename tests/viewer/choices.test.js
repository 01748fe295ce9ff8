import assert from "node:assert/strict";
import test from "node:test";

import { drop, hold, load, NOW, state } from "./page.js";

const { choicesOf, likeliest, optionNames, variantWords } = await load("variants.js");

const shirt = (colour, fields = {}) =>
  drop({ title: "Shirt", handle: "shirt", options: { Colour: colour }, sku: `SHIRT-${colour}`, ...fields });

test("variants of a product are one choice, in the order of their planning, where the first of them stands", () => {
  const [blue, mug, red] = [shirt("Blue"), drop(), shirt("Red")];
  const choices = choicesOf([red, mug, blue]);
  assert.deepEqual(
    choices.map(({ drops }) => drops.map(({ id }) => id)),
    [[blue.id, red.id], [mug.id]],
  );
  assert.equal(optionNames(choices[0].drops), "Colour");
});

test("a second drop of the same variant stands on its own", () => {
  const [earlier, later] = [shirt("Blue", { status: "closed" }), shirt("Blue")];
  assert.deepEqual(
    choicesOf([later, earlier]).map(({ key }) => key),
    ["shirt", earlier.id],
  );
});

test("products of one title but different handles are not mixed", () => {
  assert.equal(choicesOf([shirt("Blue"), shirt("Red", { handle: "another-shirt" })]).length, 2);
});

test("shown is what the viewer holds, else what they wait for, else what is to be had", () => {
  const [closed, out, free] = [shirt("A", { status: "closed" }), shirt("B", { available: 0 }), shirt("C")];
  const drops = [closed, out, free];
  assert.equal(likeliest(drops, state({ drops })), free);
  assert.equal(likeliest(drops, state({ drops, waitlist: [{ drop: out.id, position: 1 }] })), out);
  assert.equal(likeliest(drops, state({ drops, reservations: [hold(closed)] })), closed);
});

test("each variant says in a word how it stands", () => {
  const known = state();
  const words = (one) => variantWords(one, known, NOW);
  assert.equal(words(shirt("A")), "10 left");
  assert.equal(words(shirt("A", { available: 0, held: 1 })), "on hold");
  assert.equal(words(shirt("A", { available: 0 })), "sold out");
  assert.equal(words(shirt("A", { status: "countdown", opens_at: NOW + 7000 })), "0:07");
  const mine = shirt("A");
  known.putReservation(hold(mine));
  assert.equal(words(mine), "yours for 1:00");
});
