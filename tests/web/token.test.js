import assert from "node:assert/strict";
import test from "node:test";

import { client, connected, DAY, Page, Show, START, tokenUntil, welcome, World } from "./world.js";

const MINUTE = 60_000;

function setting() {
  const world = new World();
  return [world, new Show(world)];
}

/** A source of tokens that last so long, and how often it was asked. */
function source(show, lasting = 10 * MINUTE) {
  const fetched = [];
  const fetch = async () => {
    fetched.push(tokenUntil(show.now + lasting, `t${fetched.length + 1}`));
    return fetched.at(-1);
  };
  return [fetch, fetched];
}

/** Refuse whoever comes with a token that has ended; close whose token ends. */
function strict(show) {
  const endOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).exp * 1000;
  show.answers.hello = (_show, socket, message) => {
    if (endOf(message.token) <= show.now) return socket.ended(3500, JSON.stringify({ message: "expired" }));
    socket.expires = endOf(message.token);
    return welcome(show, socket, message);
  };
  show.answers.token = (_show, socket, { token }) => {
    socket.expires = endOf(token);
    socket.bring({ type: "ok" });
  };
  const watch = () => {
    for (const socket of [...show.sockets]) {
      if (socket.expires <= show.now) socket.ended(3005, JSON.stringify({ retry_after_ms: 0 }));
    }
    show.world.after(100, watch);
  };
  watch();
}

test("a token is renewed in the second half of its life, and the connection is never lost for it", async () => {
  const [world, show] = setting();
  strict(show);
  const [token, fetched] = source(show);
  const live = await connected(world, show, { token });
  await world.advance(60 * MINUTE);
  assert.equal(show.attempts.length, 1);
  assert.equal(live.connections.at(-1).state, "live");
  const renewals = show.of("token");
  assert.deepEqual(renewals.map((message) => message.token), fetched.slice(1));
  const pauses = renewals.map(({ at }, index) => at - (renewals[index - 1]?.at ?? 0));
  assert.ok(Math.min(...pauses) > 4.9 * MINUTE && Math.max(...pauses) < 9.1 * MINUTE, String(pauses));
});

test("a crowd whose tokens end together does not renew them together", async () => {
  const [world, show] = setting();
  const end = START + 10 * MINUTE;
  for (let seed = 1; seed <= 200; seed += 1) {
    const page = new Page(world, show, { seed });
    client(world, show, { page, token: async () => tokenUntil(end, String(seed)) }).connect();
  }
  await world.advance(9 * MINUTE);
  const firsts = new Map();
  for (const { token, at } of show.of("token").toReversed()) firsts.set(token, at);
  const counts = Array.from({ length: 4 }, () => 0);
  for (const at of firsts.values()) counts[Math.floor((at - 5 * MINUTE) / MINUTE)] += 1;
  assert.ok(Math.max(...counts) < 80 && Math.min(...counts) > 25, String(counts));
});

test("with a computer a day ahead or behind a token is renewed in time all the same", async () => {
  for (const ahead of [DAY, -DAY]) {
    const [world, show] = setting();
    strict(show);
    const [token, fetched] = source(show);
    await connected(world, show, { token, page: new Page(world, show, { ahead }) });
    await world.advance(30 * MINUTE);
    assert.equal(show.attempts.length, 1);
    assert.ok(fetched.length >= 4 && fetched.length <= 7, `${fetched.length} tokens in half an hour`);
  }
});

test("on 3005 a fresh token is fetched, and the stream goes on without a gap", async () => {
  const [world, show] = setting();
  const [token, fetched] = source(show, 5 * MINUTE);
  const live = await connected(world, show, { token });
  show.happen("show.paused");
  await world.advance(100);
  show.close(3005, { retry_after_ms: 0 });
  show.happen("show.resumed");
  await world.until(() => live.events.length === 2);
  assert.deepEqual(show.of("hello").map((hello) => hello.token), fetched);
  assert.equal(fetched.length, 2);
});

test("a token that was kept and is refused with 3500 is exchanged once; a fresh one that is refused ends it", async () => {
  const [world, show] = setting();
  const [token, fetched] = source(show);
  const live = await connected(world, show, { token });
  show.close();
  show.answers.hello = (_show, socket) => socket.ended(3500, JSON.stringify({ message: "No." }));
  await world.until(() => live.connection.state === "ended");
  assert.deepEqual(show.of("hello").map((hello) => hello.token), [fetched[0], fetched[0], fetched[1]]);
  assert.equal(live.connection.code, 3500);
});

test("a token that was given as text is not exchanged: its end is the end", async () => {
  const [world, show] = setting();
  strict(show);
  const live = await connected(world, show, { token: tokenUntil(show.now + MINUTE) });
  await world.advance(2 * MINUTE);
  assert.deepEqual([live.connection.state, live.connection.code], ["ended", 3500]);
  assert.equal(show.of("token").length, 0);
});

test("one handed over by renew is used from then on", async () => {
  const [world, show] = setting();
  const live = await connected(world, show);
  live.renew("fresh");
  await world.advance(100);
  assert.deepEqual(show.of("token").map(({ token }) => token), ["fresh"]);
  show.close();
  await world.until(() => show.of("hello").length === 2);
  assert.equal(show.of("hello")[1].token, "fresh");
});

test("where no token can be fetched now it is tried again, with growing pauses; where there is none it ends", async () => {
  const [world, show] = setting();
  let asked = 0;
  const token = async () => {
    asked += 1;
    if (asked < 4) throw new Error("no network");
    return asked < 5 ? "t" : "";
  };
  const live = client(world, show, { token });
  live.connect();
  await world.until(() => live.connection.state === "live");
  assert.equal(asked, 4);
  assert.equal(show.attempts.length, 1);
  show.close(3005);
  await world.until(() => live.connection.state === "ended");
  assert.equal(live.connection.code, 3500);
});

test("a source of tokens that never answers is asked again after 10 s", async () => {
  const [world, show] = setting();
  let asked = 0;
  const token = () => ((asked += 1) === 1 ? new Promise(() => {}) : Promise.resolve("t"));
  const live = client(world, show, { token });
  live.connect();
  await world.advance(9_900);
  assert.equal(asked, 1);
  await world.until(() => live.connection.state === "live");
});

test("an HTTP request whose token is refused is repeated once with a fresh one", async () => {
  const [world, show] = setting();
  const [token, fetched] = source(show);
  const answer = ({ headers }) =>
    headers.Authorization === `Bearer ${fetched[1]}`
      ? new Response('{"id":"or_1"}')
      : new Response('{"code":"unauthenticated","title":"A valid token is needed"}', { status: 401 });
  const live = client(world, show, { token, page: new Page(world, show, { answer }) });
  assert.deepEqual(await live.request("GET", "/v1/orders/or_1"), { id: "or_1" });
  assert.equal(fetched.length, 2);
  const refused = client(world, show, { page: new Page(world, show, { answer }) });
  await assert.rejects(refused.request("GET", "/v1/orders/or_1"), { code: "unauthenticated" });
  assert.equal(refused.page.requests.length, 1);
});
