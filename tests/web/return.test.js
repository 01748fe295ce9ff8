import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, Page, Show, World } from "./world.js";

const CROWD = 250;

function setting() {
  const world = new World();
  return [world, new Show(world)];
}

/** A crowd that is connected, each with luck of its own. */
async function crowd(world, show) {
  const lives = Array.from({ length: CROWD }, (_, index) =>
    client(world, show, { page: new Page(world, show, { seed: index + 1 }) }),
  );
  for (const live of lives) live.connect();
  await world.until(() => lives.every((live) => live.connection.state === "live"));
  await world.advance(11_000);
  show.attempts.length = 0;
  return lives;
}

/** Attempts per slice of time, in ms after `since`. */
function slices(show, since, width, until) {
  const counts = Array.from({ length: Math.ceil((until - since) / width) }, () => 0);
  for (const { at } of show.attempts) if (at >= since && at < until) counts[Math.floor((at - since) / width)] += 1;
  return counts;
}

/** Whether ten slices are about even: chi-square with nine degrees of freedom, exceeded once in a thousand fair draws. */
function isEven(counts) {
  const mean = counts.reduce((sum, count) => sum + count) / counts.length;
  return counts.length === 10 && counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0) < 27.9;
}

test("a crowd that loses its server comes back evenly over half a second, not all at once", async () => {
  const [world, show] = setting();
  const lives = await crowd(world, show);
  const broken = world.time;
  show.close();
  await world.until(() => lives.every((live) => live.connection.state === "live"));
  const counts = slices(show, broken, 50, broken + 500);
  assert.equal(counts.reduce((sum, count) => sum + count), CROWD);
  assert.ok(isEven(counts), String(counts));
});

test("while the server stays away attempts grow rarer, and never gather", async () => {
  const [world, show] = setting();
  await crowd(world, show);
  const broken = world.time;
  show.reachable = false;
  show.close();
  await world.advance(15_000);
  const early = show.attempts.length / CROWD;
  assert.ok(early > 4 && early < 10, `${early} attempts per client in a quarter of a minute`);
  await world.advance(75_000);
  const late = slices(show, broken + 40_000, 1_000, broken + 90_000);
  const average = late.reduce((sum, count) => sum + count) / late.length;
  // Full jitter up to 20 s: one attempt in 10 s on average.
  assert.ok(average > CROWD / 14 && average < CROWD / 7, `${average} attempts a second`);
  assert.ok(Math.max(...late) < 2.2 * average, String(late));
});

test("nobody comes before retry_after_ms, and what all were told alike is spread after it", async () => {
  const [world, show] = setting();
  const lives = await crowd(world, show);
  const broken = world.time;
  show.close(3008, { retry_after_ms: 1_000 });
  await world.until(() => lives.every((live) => live.connection.state === "live"));
  assert.equal(show.attempts.filter(({ at }) => at < broken + 1_000).length, 0);
  const counts = slices(show, broken + 1_000, 50, broken + 1_500);
  assert.ok(isEven(counts), String(counts));
});

test("of a server that leaves each takes the slot that it was given, to the millisecond", async () => {
  const [world, show] = setting();
  const lives = await crowd(world, show);
  const broken = world.time;
  [...show.sockets].forEach((socket, index) =>
    socket.ended(3001, JSON.stringify({ code: 3001, retry_after_ms: 10 * (index + 1) })),
  );
  assert.ok(lives.every(({ connection }) => connection.slot));
  await world.until(() => lives.every((live) => live.connection.state === "live"));
  const times = show.attempts.map(({ at }) => at - broken).sort((one, other) => one - other);
  assert.deepEqual(times, Array.from(times, (_, index) => 10 * (index + 1)));
});

test("the limit of the jitter doubles with each failure, up to 20 s, until a connection has lasted ten seconds", async () => {
  const [world, show] = setting();
  const page = new Page(world, show);
  page.platform.random = () => 0.999;
  const live = await connected(world, show, { page });
  const waits = [];
  for (let round = 0; round < 8; round += 1) {
    if (round === 7) await world.advance(10_100);
    show.close();
    waits.push(Math.round((live.connection.retry_at - page.platform.now()) / 500));
    await world.until(() => live.connection.state === "live");
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 40, 1]);
});

test("a connection that opens but never answers is given up after 8 s", async () => {
  const [world, show] = setting();
  const live = client(world, show);
  show.answers.hello = () => {};
  live.connect();
  await world.advance(8_100);
  assert.equal(live.connection.state, "waiting");
});

test("a line that has gone dead is noticed by the next ping", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  await world.advance(3_000);
  show.answers.ping = () => {};
  await world.advance(20_000 + 8_000);
  assert.ok(live.connections.some(({ state }) => state === "waiting"));
});

test("back online, or back in view: a live line is tried at once, and given up after 5 s of silence", async () => {
  for (const type of ["online", "visibilitychange", "offline", "resume"]) {
    const [world, show] = setting();
    const live = await connected(world, show);
    await world.advance(3_000);
    const pings = show.of("ping").length;
    show.answers.ping = () => {};
    live.page.tell(type);
    await world.advance(100);
    assert.equal(show.of("ping").length, pings + 1, type);
    await world.advance(5_000);
    assert.ok(live.connections.some(({ state }) => state === "waiting"), type);
  }
});

test("back online, a crowd that was waiting comes within half a second, spread", async () => {
  const [world, show] = setting();
  const lives = await crowd(world, show);
  show.reachable = false;
  show.close();
  await world.advance(60_000);
  show.reachable = true;
  show.attempts.length = 0;
  const back = world.time;
  for (const live of lives) live.page.tell("online");
  await world.advance(600);
  const counts = slices(show, back, 100, back + 500);
  assert.ok(counts.reduce((sum, count) => sum + count) >= CROWD * 0.9, String(counts));
  assert.ok(Math.max(...counts) < CROWD / 3, String(counts));
});

test("who was told to stay away for a while does, whatever the page goes through", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.close(3008, { retry_after_ms: 5_000 });
  for (const type of ["online", "visibilitychange"]) live.page.tell(type);
  await world.advance(4_900);
  assert.equal(show.attempts.length, 1);
  await world.until(() => live.connection.state === "live");
});

test("a page that is put away lets its socket go, and resumes without a gap when it is shown again", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.happen("show.paused");
  await world.advance(100);
  live.page.tell("pagehide", { persisted: true });
  assert.equal(show.sockets.size, 0);
  show.happen("show.resumed");
  await world.advance(50);
  live.page.tell("pageshow", { persisted: true });
  await world.until(() => live.events.length === 2);
  assert.deepEqual(show.of("hello")[1].since, { epoch: "e1", offset: 1 });
});

test("a final close code ends it: no further attempt, and the page is not listened to any more", async () => {
  for (const code of [3500, 3501, 3504, 3507, 3999]) {
    const [world, show] = setting();
    const live = await connected(world, show);
    show.close(code, { code, message: "No." });
    assert.deepEqual(live.connection, { state: "ended", code, reason: "No." });
    for (const type of ["online", "pageshow", "visibilitychange"]) live.page.tell(type, { persisted: true });
    await world.advance(60_000);
    assert.equal(show.attempts.length, 1, `${code}`);
  }
});

test("disconnect ends it at any moment, and connect begins anew", async () => {
  const [world, show] = setting();
  for (const moment of [0, 5, 15, 25, 100]) {
    const live = client(world, show);
    live.connect();
    await world.advance(moment);
    live.disconnect("Bye.");
    await world.advance(30_000);
    assert.deepEqual(live.connection, { state: "ended", code: 1000, reason: "Bye." });
    assert.equal(show.sockets.size, 0);
    live.connect();
    await world.until(() => live.connection.state === "live");
    live.disconnect();
  }
});

test("a page that disconnects while it is told of something stays disconnected", async () => {
  for (const state of ["connecting", "live", "waiting"]) {
    const [world, show] = setting();
    const live = client(world, show);
    live.addEventListener("connection", ({ detail }) => detail.state === state && live.disconnect());
    live.connect();
    await world.advance(100);
    show.close();
    await world.advance(60_000);
    assert.equal(live.connection.state, "ended", state);
    assert.equal(show.sockets.size, 0, state);
    assert.ok(show.attempts.length <= 1, state);
  }
});
