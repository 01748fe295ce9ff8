import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, pack, Show, welcome, World } from "./world.js";

const offsets = (live) => live.events.map(({ offset }) => offset);

function setting(seed) {
  const world = new World(seed);
  return [world, new Show(world)];
}

async function speaks(codec) {
  const [world, show] = setting();
  const live = await connected(world, show, { codec });
  assert.equal(show.attempts[0].socket.protocol, `livedrop.v1.${codec}`);
  assert.equal(show.attempts[0].socket.url, "ws://shop.test/v1/shows/sh_1/live");
  assert.deepEqual(show.heard[0], { at: show.heard[0].at, type: "hello", token: "t" });
  for (let index = 0; index < 5; index += 1) show.happen("drop.opened", { drop: { id: `dr_${index}` } });
  await world.advance(100);
  assert.deepEqual(offsets(live), [1, 2, 3, 4, 5]);
  assert.equal(live.events[4].drop.id, "dr_4");
}

test("msgpack: the subprotocol is offered, hello comes first, events arrive in order", () => speaks("msgpack"));

test("JSON: the subprotocol is offered, hello comes first, events arrive in order", () => speaks("json"));

test("a gap in the events is closed by a resume from the last one delivered, without a snapshot", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.happen("show.paused");
  show.happen("show.resumed", {}, { lose: () => true });
  show.happen("show.ended");
  await world.until(() => live.events.length === 3);
  assert.deepEqual(offsets(live), [1, 2, 3]);
  assert.deepEqual(show.of("hello")[1].since, { epoch: "e1", offset: 1 });
  assert.deepEqual(live.welcomes.map(({ recovered }) => recovered), [false, true]);
});

test("a gap that is there again after the resume ends in a snapshot", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.answers.hello = (_show, socket, { since }) => {
    if (!since) return welcome(show, socket, {});
    socket.bring({ type: "welcome", epoch: show.epoch, offset: 3, server_time_at: show.now, recovered: true });
    return socket.bring(show.log[2]);
  };
  for (const lost of [false, true, false]) show.happen("show.paused", {}, { lose: () => lost });
  await world.until(() => live.welcomes.at(-1).snapshot && live.welcomes.length === 3);
  assert.deepEqual(show.of("hello").map(({ since }) => since?.offset), [undefined, 1, undefined]);
  show.happen("show.ended");
  await world.advance(100);
  assert.deepEqual(offsets(live), [4]);
});

test("an event that comes twice, or late, is delivered once", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const [first, second] = [show.happen("show.paused"), show.happen("show.resumed")];
  for (const again of [first, second, first]) show.say(again);
  show.happen("show.ended");
  await world.advance(100);
  assert.deepEqual(offsets(live), [1, 2, 3]);
  assert.equal(show.attempts.length, 1);
});

test("another epoch starts over with its snapshot, and its events count from there", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.happen("show.paused");
  show.happen("show.resumed");
  await world.advance(100);
  show.epoch = "e2";
  show.log = [{ type: "show.started", offset: 1, at: 1 }];
  show.close(3010, { code: 3010, message: "position lost", retry_after_ms: 10 });
  await world.until(() => live.welcomes.length === 2);
  assert.equal(show.of("hello")[1].since, undefined);
  show.happen("show.ended");
  await world.advance(100);
  assert.deepEqual(live.events.map(({ type, offset }) => [type, offset]), [["show.ended", 2]]);
});

test("a resume into an epoch that is not ours is not believed: everything is fetched anew", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.happen("show.paused");
  await world.advance(100);
  let wrong = 0;
  show.answers.hello = (_show, socket, message) => {
    if (!message.since) return welcome(show, socket, message);
    wrong += 1;
    return socket.bring({ type: "welcome", epoch: "e9", offset: 1, server_time_at: show.now, recovered: true });
  };
  show.close();
  await world.until(() => live.welcomes.length === 2);
  assert.equal(wrong, 1);
  assert.equal(live.welcomes[1].recovered, false);
});

test("numbers without an offset pass by the order of the events", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const counts = [];
  live.addEventListener("viewers.updated", ({ detail }) => counts.push(detail.count));
  show.say({ type: "viewers.updated", count: 7 });
  show.happen("show.paused");
  show.say({ type: "viewers.updated", count: 8 });
  await world.advance(100);
  assert.deepEqual(counts, [7, 8]);
  assert.deepEqual(offsets(live), [1]);
});

test("bytes that are no message end the connection, and the stream goes on after it without a gap", async () => {
  for (const garbage of [new Uint8Array([0xc1]), new Uint8Array([0x81, 0xa4]), pack([1]), pack({ no: "type" })]) {
    const [world, show] = setting();
    const live = await connected(world, show);
    show.happen("show.paused");
    await world.advance(100);
    show.attempts[0].socket.onmessage({ data: garbage.buffer });
    show.happen("show.resumed");
    await world.until(() => live.events.length === 2);
    assert.deepEqual(offsets(live), [1, 2]);
    assert.equal(live.welcomes[1].recovered, true);
  }
});

const CODES = [1006, 3001, 3005, 3008, 3010, 3012];
const PAGE_EVENTS = ["online", "offline", "visibilitychange", "pagehide", "pageshow"];
/** What may go wrong with a show and a page, and how often; the rest of the time something happens in the show. */
const MISHAPS = [
  [0.08, (show, { random }) => show.close(CODES[Math.floor(random() * CODES.length)], { retry_after_ms: 200 })],
  [0.08, (show) => show.happen("show.paused", {}, { lose: () => true })],
  [0.08, (show, { random }) => show.log.length > 0 && show.say(show.log[Math.floor(random() * show.log.length)])],
  [0.04, (show) => (show.reachable = !show.reachable)],
  [0.06, (show, { random }, { page }) => page.tell(PAGE_EVENTS[Math.floor(random() * 5)], { persisted: true })],
  [0.02, (show) => (Object.assign(show, { epoch: `${show.epoch}+`, log: [] }), show.close(3010))],
];

function mishap(show, world, live) {
  let luck = world.random();
  for (const [share, happen] of MISHAPS) {
    luck -= share;
    if (luck < 0) return happen(show, world, live);
  }
  return show.happen("show.resumed");
}

test("in sixty random stories of breaks, losses, repeats and new epochs every event arrives once and in order", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const [world, show] = setting(seed);
    const live = client(world, show, { codec: seed % 2 ? "json" : "msgpack" });
    const asked = [];
    live.connect();
    for (let step = 0; step < 100; step += 1) {
      mishap(show, world, live);
      if (step % 20 === 0) asked.push(live.reserve("dr_1").catch(() => null));
      await world.advance(world.random() * 400);
    }
    show.reachable = true;
    live.page.tell("pageshow", { persisted: true });
    await world.until(() => live.connection.state === "live");
    await world.advance(200);
    await world.until(() => live.connection.state === "live");
    show.happen("show.ended");
    await world.until(() => live.events.at(-1)?.type === "show.ended");
    const seen = offsets(live);
    assert.deepEqual(seen, Array.from(seen, (_, index) => seen[0] + index), `seed ${seed}`);
    assert.equal(seen.at(-1), show.log.length, `seed ${seed}`);
    const taken = (await world.result(Promise.all(asked))).filter(Boolean).map(({ id }) => id);
    assert.equal(new Set(taken).size, taken.length, `seed ${seed}`);
  }
});
