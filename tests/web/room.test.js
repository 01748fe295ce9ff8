/** Between hello and welcome: work that is asked for, and the line before a full show. */

import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, DAY, Page, Show, START, tokenUntil, welcome, World } from "./world.js";

const MINUTE = 60_000;
const ROOM = { status: "in_line", place: 3, waiting: 9, estimate_ms: MINUTE, opens_at: null, keep_ms: MINUTE };

/** A show that asks for work, each time under another nonce, and believes what was answered until it ends. */
function suspicious({ bits = 12, lasts = 60 * MINUTE, workMs = 2_000 } = {}) {
  const world = new World();
  const show = new Show(world);
  const page = new Page(world, show);
  const asked = new Map(); // nonce -> when it ends
  const works = []; // what a page was asked for, with its signal
  show.answers.hello = (_show, socket, hello) => {
    if (hello.proof?.answer === `of ${hello.proof?.nonce}` && asked.get(hello.proof.nonce) > show.now) {
      welcome(show, socket, hello);
      return;
    }
    const nonce = `n${asked.size + 1}`;
    asked.set(nonce, show.now + lasts);
    const times = { answer_by_at: show.now + MINUTE, expires_at: show.now + lasts };
    socket.bring({ type: "challenge", nonce, bits, ...times });
  };
  page.platform.work = ({ nonce, ...challenge }, signal) => {
    works.push({ nonce, ...challenge, signal });
    return new Promise((resolve) => world.after(workMs, () => resolve(`of ${nonce}`)));
  };
  return { world, show, page, works };
}

/** A show in which everybody waits until `show.full` is not so any more. */
function fullShow() {
  const world = new World();
  const show = Object.assign(new Show(world), { full: true });
  show.answers.hello = (_show, socket, hello) => {
    if (show.full) socket.bring({ type: "waiting", ...ROOM });
    else welcome(show, socket, hello);
  };
  return [world, show];
}

test("work is done once: the proof goes along with later hellos until it ends", async () => {
  const { world, show, page, works } = suspicious({ lasts: 10 * MINUTE });
  const live = await connected(world, show, { page });
  assert.deepEqual(live.connections.map(({ state }) => state), ["connecting", "checking", "live"]);
  assert.deepEqual(works.map(({ nonce, bits, origin }) => [nonce, bits, origin]), [["n1", 12, "http://shop.test"]]);
  await world.advance(2 * MINUTE);
  show.close();
  await world.until(() => live.connection.state === "live");
  assert.equal(works.length, 1);
  assert.deepEqual(show.of("hello").map(({ proof }) => proof?.answer), [undefined, "of n1", "of n1"]);
  await world.advance(9 * MINUTE);
  show.close();
  await world.until(() => live.connection.state === "live");
  assert.deepEqual(show.of("hello").map(({ proof }) => proof?.nonce).slice(3), [undefined, "n2"]);
});

test("a proof that is not believed is not sent again: the work is done anew", async () => {
  const { world, show, page, works } = suspicious();
  const sound = page.platform.work;
  page.platform.work = async (...given) => (works.length === 0 ? (await sound(...given), "wrong") : sound(...given));
  const live = client(world, show, { page });
  live.connect();
  await world.until(() => live.connection.state === "live");
  assert.deepEqual(works.map(({ nonce }) => nonce), ["n1", "n2"]);
  assert.equal(show.attempts.length, 1);
});

test("work takes its time: no deadline for the server's first word cuts it", async () => {
  const { world, show, page } = suspicious({ workMs: 45_000 });
  const live = await connected(world, show, { page });
  assert.equal(show.attempts.length, 1);
  assert.equal(live.connections.filter(({ state }) => state === "waiting").length, 0);
});

test("work that takes longer than the server waits is given up for another attempt, not for good", async () => {
  const { world, show, page, works } = suspicious({ workMs: 10 * MINUTE });
  const live = client(world, show, { page });
  live.connect();
  await world.until(() => works.length === 2);
  assert.equal(works[0].signal.aborted, true);
  assert.ok(world.time < MINUTE);
  assert.equal(live.connections.some(({ state }) => state === "ended"), false);
});

test("work ends with its connection, and what comes of it later is not used", async () => {
  const { world, show, page, works } = suspicious({ workMs: 20_000 });
  const live = client(world, show, { page });
  live.connect();
  await world.until(() => works.length === 1);
  show.close();
  assert.equal(works[0].signal.aborted, true);
  await world.until(() => live.connection.state === "live");
  assert.deepEqual(show.of("hello").map(({ proof }) => proof?.nonce), [undefined, undefined, "n2"]);
  show.close();
  live.disconnect();
  await world.advance(MINUTE);
  assert.equal(live.connection.state, "ended");
});

test("work that cannot be done is tried again; more than 26 bits of it are refused for good", async () => {
  const failing = suspicious();
  const sound = failing.page.platform.work;
  let asked = 0;
  failing.page.platform.work = (...given) => ((asked += 1) < 3 ? Promise.reject(new Error("no")) : sound(...given));
  const live = await connected(failing.world, failing.show, { page: failing.page });
  assert.equal(failing.show.attempts.length, 3);
  live.disconnect();
  for (const bits of [27, 1e9, "many"]) {
    const { world, show, page, works } = suspicious({ bits });
    const refused = client(world, show, { page });
    refused.connect();
    await world.advance(MINUTE);
    assert.deepEqual([refused.connection.state, refused.connection.code], ["ended", 3501]);
    assert.deepEqual([works.length, show.attempts.length], [0, 1]);
  }
});

test("a page that leaves while it is told of the work does none", async () => {
  const { world, show, page, works } = suspicious();
  const live = client(world, show, { page });
  live.addEventListener("connection", ({ detail }) => detail.state === "checking" && live.disconnect());
  live.connect();
  await world.advance(MINUTE);
  assert.deepEqual([live.connection.state, works.length, show.sockets.size], ["ended", 0, 0]);
});

test("who waits is told where, stays for an hour on one socket, and comes in without doing anything", async () => {
  const [world, show] = fullShow();
  const live = client(world, show);
  const told = [];
  live.addEventListener("waiting", ({ detail }) => told.push(detail.place));
  live.connect();
  await world.advance(60 * MINUTE);
  show.say({ type: "waiting", ...ROOM, place: 1 });
  await world.advance(100);
  assert.deepEqual(told, [3, 1]);
  assert.deepEqual(live.connection, { state: "queued", room: { ...ROOM, place: 1 } });
  const reserved = live.reserve("dr_1");
  await world.advance(100);
  assert.equal(show.of("reserve").length, 0);
  for (const socket of show.sockets) welcome(show, socket, {});
  assert.equal((await world.result(reserved)).state, "held");
  assert.equal(show.attempts.length, 1);
  assert.equal(live.connection.state, "live");
});

test("a line that goes dead while waiting is noticed, and the place asked for again", async () => {
  const [world, show] = fullShow();
  const live = client(world, show);
  live.connect();
  await world.until(() => live.connection.state === "queued");
  await world.advance(3_000);
  show.answers.ping = () => {};
  await world.advance(20_000 + 8_000);
  assert.ok(live.connections.some(({ state }) => state === "waiting"));
  await world.until(() => show.of("hello").length === 2);
});

test("the server's clock is known in line, and a token is renewed there", async () => {
  const [world, show] = fullShow();
  const tokens = [];
  const token = async () => (tokens.push(tokenUntil(show.now + 10 * MINUTE, String(tokens.length))), tokens.at(-1));
  const live = client(world, show, { token, page: new Page(world, show, { ahead: DAY }) });
  live.connect();
  await world.advance(20 * MINUTE);
  assert.ok(Math.abs(live.now() - START - world.time) < 50, `${live.now() - START - world.time} ms apart`);
  assert.deepEqual(show.of("token").map((message) => message.token), tokens.slice(1));
  assert.ok(tokens.length > 2 && show.attempts.length === 1);
  live.renew("fresh");
  await world.advance(100);
  assert.equal(show.of("token").at(-1).token, "fresh");
});
