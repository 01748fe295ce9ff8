/** The viewer's page: watch, take, pay. Everything that it shows comes from the show's state and the server's clock. */

import { CheckoutSheet } from "./checkout.js";
import { LiveDrop } from "./client/livedrop.js";
import { byId, notice } from "./dom.js";
import { DropCard } from "./drops.js";
import { relay } from "./embedded.js";
import { Hearts } from "./hearts.js";
import { cameBack } from "./order.js";
import { OrderMemory, paintOrders } from "./orders.js";
import { doubtShow, paintConnection, paintNoToken, revealShow, showOfPage, tokenOfPage } from "./page.js";
import { PayBar } from "./paybar.js";
import { paintPinned } from "./pinned.js";
import { Prices } from "./prices.js";
import { WaitingRoom } from "./room.js";
import { ShowState } from "./show.js";
import { paintStage, wireStage } from "./stage.js";
import { text, wireLanguages } from "./text.js";
import { choicesOf } from "./variants.js";
import { Video } from "./video.js";
import { nameOf, sentence } from "./words.js";

const TICK_MS = 200;
/** Events made up for after a break are applied, but no longer announced. */
const STALE_NEWS_MS = 10_000;

const show = showOfPage();
const token = tokenOfPage("watch", show);
const memory = new OrderMemory(show);
const state = new ShowState((id) => memory.add(id));
const live = new LiveDrop({ show, token });
const prices = new Prices(state, paintSoon);
const sheet = new CheckoutSheet(live, state, paintSoon, (minor) => prices.estimate(minor));
const video = new Video();
const hearts = new Hearts(live);
const bar = new PayBar(() => sheet.open());
const room = new WaitingRoom();
const cards = new Map(); // a choice's key -> its card
const asking = new Set();
let painting = false;

const acts = {
  take,
  pay: () => sheet.open(),
  buy: (drop, quantity) => sheet.buy(drop, quantity),
  release,
  join,
  leave,
  changed: paintSoon,
};

async function take(drop, quantity) {
  await ask(drop, async () => {
    await live.reserve(drop.id, quantity);
    notice(text("viewer.say-taken"), "good");
  });
}

async function join(drop, quantity) {
  await ask(drop, () => live.join(drop.id, quantity));
}

async function leave(drop) {
  await ask(drop, () => live.leave(drop.id));
}

/** Ask the server for something about a drop, one thing at a time. */
async function ask(drop, operation) {
  if (asking.has(drop.id)) return;
  asking.add(drop.id);
  paintSoon();
  await operation().catch((error) => refused(drop, error));
  asking.delete(drop.id);
  paintSoon();
}

function refused(drop, error) {
  if (error.code === "out-of-stock") state.missed.set(drop.id, "out-of-stock");
  if (error.code === "limit-reached") state.capped.add(drop.id);
  notice(sentence(error), "bad");
}

async function release(drop) {
  for (const { id } of state.own(drop.id, "held")) {
    await live.release(id).then(
      () => notice(text("viewer.say-back")),
      (error) => notice(sentence(error), "bad"),
    );
  }
}

/** What a message says beyond changing the state. */
function announce(message) {
  if (live.now() - message.at > STALE_NEWS_MS) return;
  const drop = state.drops.get(message.drop_id ?? message.drop?.id);
  const title = drop && nameOf(drop);
  if (message.type === "drop.countdown") notice(text("viewer.say-soon", { title }));
  if (message.type === "drop.opened") notice(text("viewer.say-open", { title }), "good");
  if (message.type === "drop.restocked") notice(text("viewer.say-more", { title }), "good");
  if (message.type === "waitlist.promoted") notice(text("viewer.say-turn"), "good");
  // An open sheet says it itself.
  if (message.type === "reservation" && message.reservation.state === "expired" && !sheet.dialog.open)
    notice(text("viewer.say-lapsed"), "bad");
}

function welcomed({ viewer }) {
  if (room.waits) notice(text("viewer.room-in"), "good");
  memory.belongsTo(viewer);
  sheet.resume();
  const back = cameBack();
  for (const id of memory.ids) if (!state.orders.has(id)) fetchOrder(id, id === back);
}

/** @param {string} id @param {boolean} shown whether its buyer comes back from paying it, and wants to see it */
async function fetchOrder(id, shown) {
  await sheet.look(id);
  const order = state.orders.get(id);
  if (!order) return;
  sheet.follow(order);
  if (shown) sheet.show(order);
}

/** Bring a product's card into view, and the focus with it. */
function lead(sku) {
  const choice = choicesOf(state.ordered).find(({ drops }) => drops.some((drop) => drop.sku === sku));
  const card = cards.get(choice?.key);
  card?.element.scrollIntoView({ block: "center" });
  card?.take.focus({ preventScroll: true });
}

function paintSoon() {
  if (painting) return;
  painting = true;
  // A timer rather than an animation frame: a page in the background must not fall behind either.
  setTimeout(paint, 16);
}

function paint() {
  painting = false;
  paintConnection(live.connection);
  room.paint(live.connection, live.now());
  if (!state.show) return;
  revealShow();
  paintStage(state, live.now(), video);
  paintDrops();
  bar.update(cards.values());
  paintPinned(state, (amount, currency) => prices.nodes(amount, currency), prices.key, lead);
  paintOrders(state, (order) => sheet.show(order));
  prices.paint();
  hearts.update(state.reactions);
  sheet.paint();
}

function paintDrops() {
  const page = {
    state,
    now: live.now(),
    connection: live.connection.state,
    asking,
    price: (amount) => prices.nodes(amount),
    priceKey: prices.key,
  };
  const place = byId("drops");
  const choices = choicesOf(state.ordered);
  const keys = new Set(choices.map(({ key }) => key));
  for (const [key, card] of cards) if (!keys.has(key)) (card.element.remove(), cards.delete(key));
  choices.forEach(({ key, drops }, index) => {
    const known = cards.has(key);
    if (!known) cards.set(key, new DropCard(acts));
    const card = cards.get(key);
    card.update(drops, page);
    // Moving an element takes the focus from it, so only those that stand wrong are moved.
    if (place.children[index] === card.element) return;
    if (place.children[index]) for (const other of cards.values()) other.moved();
    place.insertBefore(card.element, place.children[index] ?? null);
  });
  byId("no-drops").hidden = choices.length > 0;
}

function heard(message) {
  state.apply(message);
  announce(message);
  if (message.type === "welcome") welcomed(message);
  if (message.type === "order.updated") sheet.changed(message.order);
  paintSoon();
}

wireStage();
wireLanguages(byId("language"));
if (show && token) {
  live.addEventListener("connection", paintSoon);
  live.addEventListener("message", ({ detail }) => heard(detail));
  relay(live, sheet.dialog);
  setInterval(paintSoon, TICK_MS);
  doubtShow(live, show);
  live.connect();
  prices.load(live);
} else {
  paintNoToken();
}
