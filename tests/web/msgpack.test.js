/** The decoder against what the server's own codec has packed; the file of it is made by the test that starts this. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { pack, unpack } from "./world.js";

const { messages, values, integers, floats, refused } = JSON.parse(await readFile(process.env.PACKED, "utf8"));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));

test("every message that the server can send is read as its JSON is", () => {
  assert.ok(messages.length >= 30);
  for (const { name, packed, json } of messages) assert.deepEqual(unpack(bytes(packed)), JSON.parse(json), name);
});

test("text, lists, maps and numbers of all lengths are read as they were written", () => {
  for (const { name, packed, json } of values) assert.deepEqual(unpack(bytes(packed)), JSON.parse(json), name);
});

test("every integer keeps its value: a number where that is exact, else a BigInt", () => {
  assert.ok(integers.length > 60);
  for (const { packed, text } of integers) {
    const read = unpack(bytes(packed));
    assert.equal(String(read), text);
    assert.equal(typeof read, Number.isSafeInteger(Number(text)) ? "number" : "bigint", text);
  }
});

test("floats of both sizes keep their value, infinities and NaN too", () => {
  const named = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  for (const { packed, text } of floats) assert.equal(unpack(bytes(packed)), named[text] ?? Number(text), text);
});

test("binary becomes bytes of its own, not a view of the message", () => {
  const message = bytes("c403010203");
  const read = unpack(message);
  message.fill(9);
  assert.deepEqual(read, new Uint8Array([1, 2, 3]));
  assert.deepEqual(unpack(bytes("c50001ff")), new Uint8Array([255]));
  assert.deepEqual(unpack(bytes("c600000001ff")), new Uint8Array([255]));
});

test("extension types, keys that are no text, bad UTF-8, the unused type and deep nesting are refused", () => {
  assert.ok(refused.length > 12);
  for (const { name, packed } of refused) assert.throws(() => unpack(bytes(packed)), name);
});

test("a message that is cut off anywhere, or has something behind it, is refused", () => {
  for (const { name, packed } of messages) {
    const whole = bytes(packed);
    for (let length = 0; length < whole.length; length += 1) {
      assert.throws(() => unpack(whole.subarray(0, length)), `${name}: ${length} of ${whole.length} bytes`);
    }
    assert.throws(() => unpack(new Uint8Array([...whole, 0xc0])), name);
  }
});

test("a length that the message does not have costs nothing: no memory is set aside for it", () => {
  const before = process.memoryUsage().arrayBuffers;
  for (const tag of [0xc6, 0xdb, 0xdd, 0xdf]) {
    assert.throws(() => unpack(new Uint8Array([tag, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61])));
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});

test("a key by the name of __proto__ is a member like any other", () => {
  const read = unpack(pack(JSON.parse('{"__proto__": {"admin": true}, "a": 1}')));
  assert.equal(read.admin, undefined);
  assert.deepEqual(Object.keys(read), ["__proto__", "a"]);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
});

test("a part of a larger buffer is read from where it begins", () => {
  const buffer = new Uint8Array([0xc1, 0x81, 0xa1, 0x61, 0xcd, 0x01, 0x00, 0xc1]);
  assert.deepEqual(unpack(buffer.subarray(1, 7)), { a: 256 });
});

test("what is packed is read again as it was; members that are undefined are left out", () => {
  for (const { name, json } of [...messages, ...values]) {
    const value = JSON.parse(json);
    assert.deepEqual(unpack(pack(value)), value, name);
  }
  assert.deepEqual(unpack(pack({ a: undefined, b: null })), { b: null });
});

test("what the protocol has no form for is not packed", () => {
  const looped = [];
  looped.push(looped);
  for (const value of [NaN, Infinity, undefined, 1n, () => 1, Symbol("a"), new Map(), new Date(), [undefined], looped]) {
    assert.throws(() => pack(value), TypeError);
  }
});
