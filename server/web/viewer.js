/** The viewer's page: watch, take, pay. Everything that it shows comes from the show's state and the server's clock. */

import { CheckoutSheet } from "./checkout.js";
import { byId, make, notice, picture, setText, webAddress } from "./dom.js";
import { DropCard } from "./drops.js";
import { LiveDrop } from "./livedrop.js";
import { money } from "./money.js";
import { doubtShow, paintConnection, paintNoToken, revealShow, showOfPage, tokenOfPage } from "./page.js";
import { ShowState } from "./show.js";
import { counted, countdown, nameOf, ORDER_WORDS, sentence, SHOW_WORDS } from "./words.js";

const TICK_MS = 200;
/** Events made up for after a break are applied, but no longer announced. */
const STALE_NEWS_MS = 10_000;

const show = showOfPage();
const token = tokenOfPage("watch", show);
const ordersName = `livedrop.orders.${show}`;
const state = new ShowState(rememberOrder);
const live = new LiveDrop({ show, token });
const sheet = new CheckoutSheet(live, state, paintSoon);
const cards = new Map();
const asking = new Set();
let painting = false;

const acts = { take, pay: () => sheet.open(), buy: (drop, quantity) => sheet.buy(drop, quantity), release, join, leave };

async function take(drop, quantity) {
  await ask(drop, async () => {
    await live.reserve(drop.id, quantity);
    notice("Taken: yours once you have paid.", "good");
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
      () => notice("Given back. Somebody else can take it now."),
      (error) => notice(sentence(error), "bad"),
    );
  }
}

/** What a message says beyond changing the state. */
function announce(message) {
  if (live.now() - message.at > STALE_NEWS_MS) return;
  const drop = state.drops.get(message.drop_id ?? message.drop?.id);
  const title = drop && nameOf(drop);
  if (message.type === "drop.countdown") notice(`Opening soon: ${title}`);
  if (message.type === "drop.opened") notice(`Open now: ${title}`, "good");
  if (message.type === "drop.restocked") notice(`More of it: ${title}`, "good");
  if (message.type === "waitlist.promoted") notice("Your turn: it is yours once you have paid.", "good");
  // An open sheet says it itself.
  if (message.type === "reservation" && message.reservation.state === "expired" && !sheet.dialog.open)
    notice("Your time ran out, and it went back to the others.", "bad");
}

function welcomed() {
  sheet.resume();
  for (const id of rememberedOrders()) if (!state.orders.has(id)) fetchOrder(id);
}

/** Kept before the page says that it is paid: a reload at that moment must not lose it. */
function rememberOrder(id) {
  sessionStorage.setItem(ordersName, JSON.stringify([...new Set([...rememberedOrders(), id])]));
}

function rememberedOrders() {
  return JSON.parse(sessionStorage.getItem(ordersName) ?? "[]");
}

async function fetchOrder(id) {
  const answer = await live.request("GET", `/v1/orders/${encodeURIComponent(id)}`).catch(() => null);
  if (!answer) return;
  state.putOrder(answer.order ?? answer);
  sheet.follow(answer.order ?? answer);
  paintSoon();
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
  if (!state.show) return;
  revealShow();
  paintShow();
  paintDrops();
  paintPinned();
  paintOrders();
  sheet.paint();
}

function paintShow() {
  const { title, status, starts_at: startsAt } = state.show;
  document.title = title;
  setText(byId("title"), title);
  byId("stage").dataset.status = status;
  setText(byId("show-status"), SHOW_WORDS[status] ?? status);
  setText(byId("viewers"), `${state.viewers.toLocaleString()} watching`);
  setText(byId("stage-words"), stageWords(status, startsAt));
  paintFeatured(webAddress(state.featured));
}

/** Put what the show is about on the stage; where there is no picture of it the test picture stays. */
function paintFeatured(address) {
  const image = byId("featured");
  if ((image.dataset.shows ?? "") === (address ?? "")) return;
  image.dataset.shows = address ?? "";
  image.hidden = true;
  if (address) image.src = address;
}

function stageWords(status, startsAt) {
  if (status === "paused") return "A short break. What you hold stays yours.";
  if (status === "ended") return "The show has ended. Thank you for watching.";
  if (status === "live") return openingWords();
  const left = (startsAt ?? 0) - live.now();
  return left > 0 ? `Starts in ${countdown(left)}` : "Starts soon";
}

/** The next countdown: the stage stays in view when its card does not. */
function openingWords() {
  const next = [...state.drops.values()]
    .filter(({ status }) => status === "countdown")
    .sort((one, other) => one.opens_at - other.opens_at)[0];
  return next ? `${nameOf(next)} opens in ${countdown(next.opens_at - live.now())}` : "";
}

function paintDrops() {
  const page = { state, now: live.now(), connection: live.connection.state, asking };
  const place = byId("drops");
  const ordered = state.ordered;
  for (const [id, card] of cards) if (!state.drops.has(id)) (card.element.remove(), cards.delete(id));
  ordered.forEach((drop, index) => {
    if (!cards.has(drop.id)) cards.set(drop.id, new DropCard(drop, acts));
    const card = cards.get(drop.id);
    card.update(drop, page);
    // Moving an element takes the focus from it, so only those that stand wrong are moved.
    if (place.children[index] !== card.element)
      place.insertBefore(card.element, place.children[index] ?? null);
  });
  byId("no-drops").hidden = ordered.length > 0;
}

function paintPinned() {
  const list = byId("pinned");
  const skus = state.pinned.map(({ sku }) => sku).join(" ");
  byId("pinned-section").hidden = state.pinned.length === 0;
  if (list.dataset.written === skus) return;
  list.dataset.written = skus;
  list.replaceChildren(...state.pinned.map(pinnedProduct));
}

function pinnedProduct(product) {
  const { sku, title, unit_price: amount, currency, images } = product;
  const cost =
    amount === undefined
      ? null
      : make("span", { class: "price" }, money(amount, currency ?? state.show.currency, state.show.locale));
  return make(
    "li",
    { "data-sku": sku },
    picture(images?.[0], title),
    make("span", { class: "what" }, nameOf(product)),
    cost,
  );
}

function paintOrders() {
  const orders = [...state.orders.values()].reverse();
  byId("orders-section").hidden = orders.length === 0;
  const written = JSON.stringify(orders.map(({ id, status }) => [id, status]));
  const list = byId("orders");
  if (list.dataset.written === written) return;
  list.dataset.written = written;
  list.replaceChildren(...orders.map(orderLine));
}

function orderLine(order) {
  const lines = order.lines ?? [];
  const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const names = [...new Set(lines.map(({ title, sku }) => title ?? sku))];
  const words = make("small", {}, `${counted(units, "piece")} · ${state.price(order.total)}`);
  const status = make(
    "span",
    { class: "badge", "data-status": order.status },
    ORDER_WORDS[order.status] ?? order.status,
  );
  const open = make(
    "button",
    { type: "button", class: "order", "data-order": order.id, onclick: () => sheet.show(order) },
    make("span", { class: "what" }, make("b", {}, names.join(", ")), words),
    status,
  );
  return make("li", {}, open);
}

byId("featured").addEventListener("load", ({ target }) => (target.hidden = !target.dataset.shows));
if (show && token) {
  live.addEventListener("connection", paintSoon);
  live.addEventListener("message", ({ detail }) => {
    state.apply(detail);
    announce(detail);
    if (detail.type === "welcome") welcomed();
    if (detail.type === "order.updated") sheet.follow(detail.order);
    paintSoon();
  });
  setInterval(paintSoon, TICK_MS);
  doubtShow(live, show);
  live.connect();
} else {
  paintNoToken();
}
