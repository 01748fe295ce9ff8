import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, DAY, Page, Show, World } from "./world.js";

/** How far `live.now()` is from the server's clock, in ms. */
const off = (live, show) => Math.abs(live.now() - show.now);

async function skewed(ahead) {
  const world = new World();
  const show = new Show(world);
  const live = client(world, show, { page: new Page(world, show, { ahead }) });
  assert.equal(off(live, show), DAY);
  live.connect();
  await world.until(() => live.connection.state === "live");
  assert.ok(off(live, show) <= 2, `${off(live, show)} ms off after the welcome`);
}

test("a computer a day ahead shows the server's time from the welcome on", () => skewed(DAY));

test("a computer a day behind shows the server's time from the welcome on", () => skewed(-DAY));

test("of several pings the quickest round trip counts: a slow, lopsided one does not spoil it", async () => {
  const world = new World();
  const show = new Show(world);
  // The hello waits 900 ms at the server: half of that would be the error of a client that asks once.
  show.answers.hello = delayed(show, "hello", 900);
  const live = client(world, show);
  live.connect();
  await world.until(() => live.connection.state === "live");
  assert.ok(off(live, show) > 400, `${off(live, show)} ms off at first: the test is about nothing`);
  await world.advance(2_000);
  assert.ok(show.of("ping").length >= 4, `${show.of("ping").length} pings`);
  assert.ok(off(live, show) <= 2, `${off(live, show)} ms off`);
  show.answers.ping = delayed(show, "ping", 700);
  await world.advance(30_000);
  assert.ok(off(live, show) <= 2, `${off(live, show)} ms off after slow ones`);
});

/** Answer in time for what was asked, but late. */
function delayed(show, type, ms) {
  const answer = show.answers[type];
  return (...heard) => show.world.after(ms, () => answer(...heard));
}

test("a clock that is set by a day while the page is open is made up for with the next message", async () => {
  for (const jump of [DAY, -DAY]) {
    const world = new World();
    const show = new Show(world);
    const live = await connected(world, show);
    await world.advance(5_000);
    live.page.ahead = jump;
    assert.ok(off(live, show) > DAY / 2);
    show.say({ type: "viewers.updated", count: 1 });
    await world.advance(100);
    assert.ok(off(live, show) <= 2, `${off(live, show)} ms off after a jump of ${jump}`);
  }
});

test("a clock that is set between a ping and its pong gives no nonsense", async () => {
  const world = new World();
  const show = new Show(world);
  const live = await connected(world, show);
  await world.advance(5_000);
  show.trip = 200;
  live.page.tell("online");
  live.page.ahead = -DAY;
  await world.advance(5_000);
  assert.ok(off(live, show) <= 2, `${off(live, show)} ms off`);
});

test("a clock that runs a thousandth too fast stays within 20 ms for two hours", async () => {
  const world = new World();
  const show = new Show(world);
  const live = await connected(world, show);
  let worst = 0;
  for (let minute = 0; minute < 120; minute += 1) {
    for (let second = 0; second < 60; second += 10) {
      await world.advance(10_000);
      live.page.ahead = world.time / 1000;
      worst = Math.max(worst, off(live, show));
    }
  }
  assert.ok(worst <= 20, `${worst} ms off`);
});

test("a pong that says no time changes nothing", async () => {
  const world = new World();
  const show = new Show(world);
  const live = await connected(world, show);
  show.say({ type: "pong", id: "x", server_time_at: 5 });
  show.say({ type: "pong", server_time_at: 5 });
  show.say({ type: "pong", id: String(world.time) });
  await world.advance(100);
  assert.ok(off(live, show) <= 2, `${off(live, show)} ms off`);
});
