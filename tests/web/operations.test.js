import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, LiveDropError, newId, Show, World } from "./world.js";

function setting() {
  const world = new World();
  return [world, new Show(world)];
}

/** The next `count` answers to a kind of message get lost with the connection. */
function loseAnswers(show, type, count = 1) {
  const answer = show.answers[type];
  show.answers[type] = (one, socket, message) => {
    answer(one, { bring: () => {} }, message);
    socket.ended(1006, "");
    if ((count -= 1) === 0) show.answers[type] = answer;
  };
}

/** Refuse the next `count` of a kind with an error. */
function refuse(show, type, error, count = 1) {
  const answer = show.answers[type];
  show.answers[type] = (_show, socket, { id }) => {
    socket.bring({ type: "error", id, message: "No.", ...error });
    if ((count -= 1) === 0) show.answers[type] = answer;
  };
}

test("each operation resolves with what it asked for", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const asked = [
    live.reserve("dr_1", 2),
    live.release("rs_9"),
    live.bundle([{ drop: "dr_1", quantity: 1 }, { drop: "dr_2", quantity: 3 }]),
    live.join("dr_3", 2),
    live.leave("dr_3"),
  ];
  await world.advance(100);
  const [taken, released, both, place, gone] = await world.result(Promise.all(asked));
  assert.deepEqual([taken.drop, taken.quantity, taken.state], ["dr_1", 2, "held"]);
  assert.deepEqual(released, { id: "rs_9", state: "released" });
  assert.deepEqual(both.map(({ drop, quantity }) => [drop, quantity]), [["dr_1", 1], ["dr_2", 3]]);
  assert.deepEqual([place.position, place.quantity, gone.position], [1, 2, 0]);
  assert.equal(new Set(show.done.keys()).size, 5);
  assert.ok([...show.done.keys()].every((id) => /^[0-9a-f]{32}$/.test(id)));
});

test("a part of what was asked for comes with the place for the rest, and with the receipt that was wanted", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.answers.reserve = (_show, socket, { id, part, receipt }) => {
    assert.deepEqual([part, receipt], [true, true]);
    const waiting = { position: 3, length: 3, quantity: 1 };
    socket.bring({ type: "reservation", id, reservation: { id: "rs_1" }, replayed: false, waiting, receipt: "a.b.c" });
  };
  const asked = live.reserve("dr_1", 2, { part: true, receipt: true });
  await world.advance(100);
  assert.deepEqual(await world.result(asked), {
    id: "rs_1",
    waiting: { position: 3, length: 3, quantity: 1 },
    receipt: "a.b.c",
  });
});

test("an operation whose answer was lost with the connection is repeated under its id, and done once", async () => {
  for (const [type, ask] of [
    ["reserve", (live) => live.reserve("dr_1")],
    ["release", (live) => live.release("rs_1")],
    ["bundle", (live) => live.bundle([{ drop: "dr_1", quantity: 1 }])],
    ["waitlist.join", (live) => live.join("dr_1")],
    ["waitlist.leave", (live) => live.leave("dr_1")],
  ]) {
    const [world, show] = setting();
    const live = await connected(world, show);
    loseAnswers(show, type, 2);
    const asked = ask(live);
    await world.advance(10_000);
    await world.result(asked);
    assert.equal(show.of(type).length, 3, type);
    assert.equal(new Set(show.of(type).map(({ id }) => id)).size, 1, type);
    assert.equal(show.done.size, 1, type);
  }
});

test("what is asked before the connection is there is sent once it is", async () => {
  const [world, show] = setting();
  const live = client(world, show);
  const asked = live.reserve("dr_1");
  live.connect();
  await world.advance(200);
  assert.equal((await world.result(asked)).drop, "dr_1");
  assert.equal(show.of("reserve").length, 1);
});

test("what is asked at the very moment of the connection is sent once", async () => {
  const [world, show] = setting();
  const live = client(world, show);
  const asked = [];
  live.addEventListener("connection", ({ detail }) => detail.state === "live" && asked.push(live.reserve("dr_1")));
  live.connect();
  await world.advance(200);
  await world.result(Promise.all(asked));
  assert.deepEqual([asked.length, show.of("reserve").length], [1, 1]);
});

test("unavailable, in-progress and rate-limited are asked again under the same id, not before retry_after_ms", async () => {
  for (const code of ["unavailable", "in-progress", "rate-limited"]) {
    const [world, show] = setting();
    const live = await connected(world, show);
    refuse(show, "reserve", { code, retry_after_ms: 700 }, 2);
    const asked = live.reserve("dr_1");
    await world.advance(20_000);
    await world.result(asked);
    const [first, second, third] = show.of("reserve");
    assert.equal(new Set([first.id, second.id, third.id]).size, 1, code);
    assert.ok(second.at - first.at > 700 && third.at - second.at > 700, code);
  }
});

test("a refusal rejects with its code and numbers, and is not repeated", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  refuse(show, "reserve", { code: "out-of-stock", available: 1, held: 4 });
  const asked = live.reserve("dr_1", 2);
  asked.catch(() => {});
  await world.advance(20_000);
  const error = await world.result(asked).catch((reason) => reason);
  assert.ok(error instanceof LiveDropError);
  assert.deepEqual([error.code, error.message, error.unknown], ["out-of-stock", "No.", false]);
  assert.deepEqual([error.extras.available, error.extras.held], [1, 4]);
  assert.equal(show.of("reserve").length, 1);
});

test("without an answer for 30 s it is unknown; asked again with the error's id it is the same operation", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const { reserve } = show.answers;
  show.answers.reserve = () => {};
  const asked = live.reserve("dr_1");
  asked.catch(() => {});
  await world.advance(30_100);
  const error = await world.result(asked).catch((reason) => reason);
  assert.deepEqual([error.code, error.unknown], ["unavailable", true]);
  show.answers.reserve = reserve;
  const again = live.reserve("dr_1", 1, { id: error.extras.id });
  await world.advance(1_000);
  await world.result(again);
  assert.equal(new Set(show.of("reserve").map(({ id }) => id)).size, 1);
});

test("an id that is still waiting cannot be used again meanwhile", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const id = newId();
  const first = live.reserve("dr_1", 1, { id });
  await assert.rejects(live.reserve("dr_1", 1, { id }), { code: "in-progress" });
  await world.advance(100);
  await world.result(first);
});

test("no more than 32 operations wait; one more is refused here, and when some are answered there is room again", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const asked = Array.from({ length: 32 }, () => live.reserve("dr_1"));
  await assert.rejects(live.reserve("dr_1"), { code: "rate-limited" });
  await world.advance(100);
  await world.result(Promise.all(asked));
  const another = live.reserve("dr_1");
  await world.advance(100);
  await world.result(another);
});

test("when the connection ends for good, what waits is rejected as unknown, and what comes later at once", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  show.answers.reserve = () => {};
  const asked = live.reserve("dr_1");
  asked.catch(() => {});
  await world.advance(100);
  show.close(3507, { message: "Not here." });
  await assert.rejects(asked, { code: "unavailable" });
  await assert.rejects(live.reserve("dr_1"), { code: "unavailable" });
});

test("an operation that gets no answer on a dead line brings the connection back", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  await world.advance(3_000);
  let deaf = true;
  const { reserve } = show.answers;
  show.answers.ping = () => {};
  show.answers.reserve = (...heard) => deaf || reserve(...heard);
  const asked = live.reserve("dr_1");
  await world.advance(8_100);
  assert.ok(live.connections.some(({ state }) => state === "waiting"));
  deaf = false;
  await world.advance(2_000);
  await world.result(asked);
});

test("reactions of a moment go together, at most a hundred of a kind, and are never repeated", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  const sent = [live.react("heart"), live.react("heart", 2), live.react("fire"), live.react("heart", 500)];
  await world.advance(300);
  assert.deepEqual(await world.result(Promise.all(sent)), [true, true, true, true]);
  assert.deepEqual(show.of("react").map(({ kind, count }) => [kind, count]), [["heart", 100], ["fire", 1]]);
  const lost = live.react("heart");
  show.close();
  await world.advance(5_000);
  assert.equal(live.connection.state, "live");
  assert.equal(await world.result(lost), false);
  assert.equal(show.of("react").length, 2);
});
