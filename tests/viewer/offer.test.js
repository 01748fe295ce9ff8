import assert from "node:assert/strict";
import test from "node:test";

import { drop, hold, load, NOW, state } from "./page.js";

const { allowance, offerOf } = await load("offer.js");
const LIVE = { asking: false, connection: "live" };

const offer = (one, known, page = LIVE) => offerOf(one, known, NOW, page);

test("the button says what is so, whatever the state", () => {
  const one = drop();
  const cases = [
    [drop({ status: "scheduled" }), {}, "scheduled", null, "Opens soon"],
    [drop({ status: "scheduled", opens_at: NOW + 61_000 }), {}, "scheduled", null, "Opens in 1:01"],
    [drop({ status: "countdown", opens_at: NOW + 4200 }), {}, "countdown", null, "Opens in 0:05"],
    [drop({ status: "countdown", opens_at: NOW }), {}, "countdown", null, "Opening…"],
    [one, {}, "open", "take", "Take it"],
    [drop({ mode: "first_paid" }), {}, "open", "buy", "Buy now"],
    [drop({ mode: "draw" }), {}, "open", "join", "Enter the draw"],
    [drop({ status: "paused" }), {}, "paused", null, "Paused"],
    [drop(), { status: "paused" }, "paused", null, "The show is paused"],
    [drop({ available: 0, held: 2, sold: 8 }), {}, "all-held", "join", "All on hold"],
    [drop({ available: 0, held: 2, sold: 8, waitlist: false }), {}, "all-held", null, "All on hold"],
    [drop({ available: 0, sold: 10 }), {}, "sold-out", null, "Sold out"],
    [drop({ status: "closed" }), {}, "closed", null, "Closed"],
    [drop(), { status: "ended" }, "closed", null, "The show has ended"],
    [one, { reservations: [hold(one)] }, "taken", "pay", "Pay · €12.50"],
    [one, { reservations: [hold(one, { expires_at: NOW - 1 })] }, "lapsing", null, "Time is up"],
    [one, { reservations: [hold(one, { state: "paying" })] }, "paying", null, "Paying…"],
    [one, { waitlist: [{ drop: one.id, position: 3 }] }, "waiting", null, "You are number 3 in line"],
  ];
  for (const [of, more, kind, act, label] of cases) {
    const said = offer(of, state({ drops: [of], ...more }));
    assert.deepEqual([said.kind, said.act, said.label], [kind, act, label]);
  }
});

test("in no state at all the button offers what the server would refuse, or says nothing", () => {
  let looked = 0;
  for (const status of ["scheduled", "countdown", "open", "paused", "closed"])
    for (const show of ["scheduled", "live", "paused", "ended"])
      for (const mode of ["fifo", "first_paid", "draw"])
        for (const [available, held] of [[3, 0], [0, 3], [0, 0]])
          for (const own of [null, "held", "paying", "sold"])
            for (const connection of ["live", "waiting", "ended"])
              for (const asking of [false, true]) {
                const one = drop({ status, mode, available, held, sold: 3 - available - held, limit_per_viewer: 1 });
                const known = state({ drops: [one], status: show });
                if (own) known.mine.set("rs_x", hold(one, { id: "rs_x", state: own }));
                const said = offer(one, known, { asking, connection });
                looked += 1;
                assert.ok(said.label && !said.label.startsWith("viewer."), said.label);
                assert.ok(!said.hint.startsWith("viewer."), said.hint);
                if (said.act === "pay") assert.equal(own, "held");
                if (!["take", "buy", "join"].includes(said.act)) continue;
                assert.deepEqual([own, asking], [null, false]);
                assert.notEqual(connection, "ended");
                const going = said.act === "join" ? ["open live", "open paused", "paused live", "paused paused"] : ["open live"];
                assert.ok(going.includes(`${status} ${show}`), `${said.act}: ${status} ${show}`);
                if (said.act !== "join") assert.ok(available > 0);
              }
  assert.equal(looked, 5 * 4 * 3 * 3 * 4 * 3 * 2);
});

test("who holds several drops pays them together, for what they cost together", () => {
  const [one, other] = [drop(), drop({ unit_price: 4000 })];
  const known = state({ drops: [one, other], reservations: [hold(one, { quantity: 2 }), hold(other)] });
  assert.equal(offer(one, known).label, "Pay all · €65.00");
});

test("a hold never promises more time than there is, though the clocks differ", () => {
  const one = drop({ hold_seconds: 90 });
  const known = state({ drops: [one], reservations: [hold(one, { expires_at: NOW + 95_000 })] });
  assert.equal(offer(one, known).hint, "taken – pay within 1:30");
});

test("the limits of the drop and of the whole show count together", () => {
  const [one, other] = [drop({ limit_per_viewer: 3 }), drop()];
  const known = state({ drops: [one, other], limit_per_viewer: 2, reservations: [hold(other)] });
  assert.equal(allowance(one, known), 1);
  known.putReservation(hold(one));
  assert.equal(allowance(one, known), 0);
  known.putReservation({ ...known.own(one.id, "held")[0], state: "released" });
  assert.equal(allowance(one, known), 1);
});

test("who bought sees that it is theirs, also once the rest is sold", () => {
  const one = drop({ available: 0, sold: 10 });
  const known = state({ drops: [one] });
  known.mine.set("rs_x", hold(one, { id: "rs_x", state: "sold" }));
  const said = offer(one, known);
  assert.deepEqual([said.label, said.hint], ["It is yours", "1 bought – the rest is sold out"]);
});

test("who was away when their time ran out is told so beside the way to take it again", () => {
  const one = drop();
  const known = state({ drops: [one], reservations: [hold(one)] });
  known.apply({ type: "welcome", server_time_at: NOW + 61_000, reservations: [], waitlist: [] });
  const said = offer(one, known);
  assert.deepEqual([said.act, said.hint], ["take", "your time to pay ran out"]);
});

test("who missed it is told why", () => {
  const one = drop({ available: 0, sold: 10 });
  const known = state({ drops: [one] });
  known.missed.set(one.id, "lapsed");
  assert.equal(offer(one, known).hint, "your time to pay ran out");
  known.missed.set(one.id, "out-of-stock");
  assert.equal(offer(one, known).hint, "it sold out before your turn");
});

test("what was paid back is not theirs any more, and still counts against the limit, after a break too", () => {
  const one = drop({ limit_per_viewer: 1 });
  const known = state({ drops: [one] });
  const lines = [{ reservation: "rs_x", drop: one.id, sku: one.sku, quantity: 1, unit_price: 1250 }];
  const order = { id: "or_x", status: "paid", currency: "EUR", lines };
  known.putOrder(order);
  assert.equal(offer(one, known).label, "It is yours");
  known.putOrder({ ...order, status: "partially_refunded" });
  assert.equal(offer(one, known).label, "It is yours");
  known.putOrder({ ...order, status: "refunded" });
  assert.equal(offer(one, known).label, "Limit reached");
  known.apply({ type: "welcome", server_time_at: NOW, reservations: [] });
  assert.equal(offer(one, known).label, "Limit reached");
  assert.equal(offer({ ...one, status: "closed" }, known).label, "Closed");
});

test("a paid unit that is given back does not count against the limit any more", () => {
  const one = drop({ limit_per_viewer: 1 });
  const known = state({ drops: [one] });
  const held = hold(one);
  known.putOrder({ id: "or_1", status: "paid", lines: [{ reservation: held.id, drop: one.id, quantity: 1 }] });
  known.putReservation({ ...held, state: "paying" }); // late word of the way there
  assert.equal(allowance(one, known), 0);
  known.putReservation({ ...held, state: "released" });
  assert.equal(allowance(one, known), 1);
});
