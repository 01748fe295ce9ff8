/** The waiting room's card, and the work before it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";

import { load, NOW } from "./page.js";

const { isNews, lasting, roomWords } = await load("room.js");
const { answerOf } = await load("work.js");

const LINE = { status: "in_line", place: 1204, waiting: 3310, estimate_ms: 720_000, opens_at: null, keep_ms: 60_000 };
const BEFORE = { ...LINE, status: "before_opening", place: null, estimate_ms: null };

test("in line one is told the place, about how long it takes, and for how long it is kept", () => {
  const words = roomWords(LINE, NOW);
  assert.equal(words.heading, "You are number 1,204 of 3,310");
  assert.equal(words.line, "About 12 minutes to go.");
  assert.match(words.keep, /kept for 60 seconds\.$/);
  assert.equal(words.opens, "");
});

test("who is next is told so; what is not known is not told", () => {
  assert.equal(roomWords({ ...LINE, place: 1, estimate_ms: null }, NOW).line, "You are next.");
  assert.equal(roomWords({ ...LINE, place: 1, estimate_ms: 59_000 }, NOW).line, "You are next. Less than a minute to go.");
  assert.equal(roomWords({ ...LINE, estimate_ms: null }, NOW).line, "");
  assert.equal(roomWords({ ...LINE, place: 5, waiting: 4 }, NOW).heading, "You are number 5 of 5");
});

test("before the opening there is a lot and, where it is known, a countdown", () => {
  const words = roomWords(BEFORE, NOW);
  assert.equal(words.heading, "In the waiting room: 3,310");
  assert.match(words.line, /^The order is drawn by lot when the show begins\./);
  assert.equal(words.opens, "");
  assert.equal(roomWords({ ...BEFORE, opens_at: NOW + 90_000 }, NOW).opens, "Starts in 1:30");
  assert.equal(roomWords({ ...BEFORE, opens_at: NOW - 1 }, NOW).opens, "Starts soon");
  assert.match(roomWords({ ...BEFORE, opens_at: NOW + 10 * 86_400_000 }, NOW).opens, /^Starts .*20\d\d/);
});

test("times are told in whole units, and never as nothing", () => {
  assert.deepEqual([1, 2_000, 90_000].map((ms) => lasting(ms)), ["1 second", "2 seconds", "90 seconds"]);
  assert.deepEqual([90_001, 5_400_000, 5_400_001].map((ms) => lasting(ms)), ["2 minutes", "90 minutes", "2 hours"]);
  assert.deepEqual([60_000, 61_000].map((ms) => lasting(ms, ["minute", "hour"])), ["1 minute", "2 minutes"]);
});

test("the opening is said aloud at once; a place when it has halved, is the next or is lost, every 10 s at most", () => {
  const said = (place, at, status = "in_line") => ({ status, place, at });
  const line = (place) => ({ status: "in_line", place });
  assert.equal(isNews(null, line(9), 0), true);
  assert.equal(isNews(said(null, 0, "before_opening"), line(9), 1), true);
  assert.equal(isNews(said(null, 0, "before_opening"), { status: "before_opening", place: null }, 60_000), false);
  assert.equal(isNews(said(100, 0), line(50), 9_999), false);
  assert.equal(isNews(said(100, 0), line(50), 10_000), true);
  assert.equal(isNews(said(100, 0), line(51), 60_000), false);
  assert.equal(isNews(said(100, 0), line(101), 60_000), true);
  assert.equal(isNews(said(1, 0), line(1), 60_000), false);
  // A line of 3,310 that moves every second is said aloud a dozen times.
  let [last, count] = [null, 0];
  for (let place = 3310; place > 0; place -= 1) {
    if (!isNews(last, line(place), (3310 - place) * 1000)) continue;
    last = said(place, (3310 - place) * 1000);
    count += 1;
  }
  assert.ok(count >= 8 && count <= 12, `${count} times`);
});

test("the answer to a challenge is the first number that does, by the platform's own SHA-256", () => {
  const zeros = (nonce, answer) => {
    const digest = createHash("sha256").update(`${nonce}:${answer}`).digest();
    return Math.clz32(digest.readUInt32BE(0));
  };
  for (const [nonce, bits] of [["AZ-_x", 0], ["AZ-_x", 7], ["äöü", 8], ["n".repeat(31), 12]]) {
    const answer = answerOf(nonce, bits);
    assert.match(answer, /^\d{1,20}$/);
    assert.ok(zeros(nonce, answer) >= bits);
    for (let before = 0; before < Number(answer); before += 1) assert.ok(zeros(nonce, before) < bits);
  }
});
