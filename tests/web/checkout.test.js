import assert from "node:assert/strict";
import test from "node:test";

import { client, LiveDropError, Page, Show, World } from "./world.js";

const BODY = { reservations: ["rs_1"], payment: { method: "card", token: "tok_ok" }, expected_total: 1250 };
const ORDER = { id: "or_1", status: "paid", total: 1250 };
const PAID = () => json(201, { order: ORDER });
const LOST = () => Promise.reject(new TypeError("fetch failed"));

function json(status, body) {
  return new Response(JSON.stringify(body), { status });
}

/** What a tab keeps across reloads. */
class Tab {
  kept = new Map();
  getItem = (name) => this.kept.get(name) ?? null;
  setItem = (name, text) => this.kept.set(name, text);
  removeItem = (name) => this.kept.delete(name);
}

/** A client whose requests are answered in turn; the last answer stays. */
function buyer({ answers, storage = new Tab(), world = new World() }) {
  const show = new Show(world);
  const answer = (_request, number) => answers[Math.min(number, answers.length) - 1]();
  const live = client(world, show, { storage, page: new Page(world, show, { answer }) });
  return { live, world, storage, requests: live.page.requests };
}

const keys = (requests) => requests.map(({ headers }) => headers["Idempotency-Key"]);

/** How a promise ends while time goes on: `{value}` or `{error}`. */
function outcome(world, promise) {
  return world.result(promise).then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
}

test("a checkout is one POST with a key, and the key is forgotten with its answer", async () => {
  const { live, world, storage, requests } = buyer({ answers: [PAID] });
  const asked = live.checkout(BODY);
  assert.deepEqual(live.pendingCheckout, BODY);
  assert.deepEqual((await outcome(world, asked)).value, ORDER);
  assert.deepEqual([requests[0].method, requests[0].url, requests[0].body], ["POST", "/v1/checkout", BODY]);
  assert.match(keys(requests)[0], /^[0-9a-f]{32}$/);
  assert.equal(live.pendingCheckout, null);
  assert.equal(storage.kept.size, 0);
});

test("what leaves the outcome open is asked again under the same key until it is known", async () => {
  const answers = [
    LOST,
    () => json(503, { code: "unavailable", detail: "Away.", retry_after_ms: 500 }),
    () => json(409, { code: "in-progress", retry_after_ms: 300 }),
    () => new Response("<html>Bad gateway</html>", { status: 502 }),
    () => new Response("<html>Please sign in to the hotel</html>", { status: 200 }),
    () => new Response("<html>Forbidden</html>", { status: 403 }),
    () => json(429, { code: "rate-limited", retry_after_ms: 100 }),
    PAID,
  ];
  const { live, world, requests } = buyer({ answers });
  assert.deepEqual((await outcome(world, live.checkout(BODY))).value, ORDER);
  assert.equal(requests.length, answers.length);
  assert.equal(new Set(keys(requests)).size, 1);
});

test("after a minute it gives up without knowing, and the same key goes on after a reload", async () => {
  const first = buyer({ answers: [LOST] });
  const { error } = await outcome(first.world, first.live.checkout(BODY));
  assert.deepEqual([error.code, error.unknown], ["unavailable", true]);
  assert.ok(first.world.time >= 60_000 && first.world.time < 90_000, `${first.world.time} ms`);

  const second = buyer({ answers: [PAID], storage: first.storage });
  assert.deepEqual(second.live.pendingCheckout, BODY);
  await outcome(second.world, second.live.checkout(second.live.pendingCheckout));
  assert.deepEqual(keys(second.requests), [keys(first.requests)[0]]);
  assert.equal(second.live.pendingCheckout, null);
});

test("while one has no answer another is refused", async () => {
  const { live, world } = buyer({ answers: [LOST] });
  await outcome(world, live.checkout(BODY));
  await assert.rejects(live.checkout({ ...BODY, reservations: ["rs_2"] }), { code: "in-progress" });
  assert.deepEqual(live.pendingCheckout, BODY);
});

test("a refusal ends it: the next attempt has a new key", async () => {
  for (const [status, code] of [
    [402, "payment-declined"],
    [409, "total-changed"],
    [410, "reservation-expired"],
    [403, "not-allowed"],
    [422, "invalid-message"],
  ]) {
    const { live, world, requests } = buyer({ answers: [() => json(status, { code, current_total: 7 }), PAID] });
    const { error } = await outcome(world, live.checkout(BODY));
    assert.ok(error instanceof LiveDropError);
    assert.deepEqual([error.code, error.unknown, error.extras.current_total], [code, false, 7]);
    assert.equal(live.pendingCheckout, null);
    await outcome(world, live.checkout(BODY));
    assert.equal(new Set(keys(requests)).size, 2, code);
  }
});

test("a refused token leaves the outcome of an earlier attempt open: the key is kept", async () => {
  const { live, world, requests } = buyer({ answers: [LOST, () => json(401, { code: "unauthenticated" }), PAID] });
  const { error } = await outcome(world, live.checkout(BODY));
  assert.equal(error.code, "unauthenticated");
  assert.deepEqual(live.pendingCheckout, BODY);
  await outcome(world, live.checkout(BODY));
  assert.equal(new Set(keys(requests)).size, 1);
});

test("an answer that does not come within 20 s is given up and asked for again", async () => {
  const hanging = () => new Promise(() => {});
  const { live, world, requests } = buyer({ answers: [hanging, PAID] });
  assert.deepEqual((await outcome(world, live.checkout(BODY))).value, ORDER);
  assert.equal(requests[0].signal.aborted, true);
  assert.equal(new Set(keys(requests)).size, 1);
});

test("without a storage, or with one that refuses, the key is kept as long as the page lives", async () => {
  const fail = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
  const refusing = { getItem: fail, setItem: fail, removeItem: fail };
  for (const storage of [null, refusing]) {
    const { live, world, requests } = buyer({ answers: [LOST], storage });
    await outcome(world, live.checkout(BODY));
    assert.deepEqual(live.pendingCheckout, BODY);
    await outcome(world, live.checkout(BODY));
    assert.equal(new Set(keys(requests)).size, 1);
  }
});
