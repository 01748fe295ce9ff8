/** The host's console: the show, its drops, its figures. States come from the live socket, moves go over HTTP. */

import { LiveDrop } from "./client/livedrop.js";
import { askOnce, byId, setText } from "./dom.js";
import { Acts } from "./host-acts.js";
import { Figures } from "./host-figures.js";
import { Health } from "./host-health.js";
import { Keys } from "./host-keys.js";
import { Links } from "./host-links.js";
import { Orders } from "./host-orders.js";
import { Products } from "./host-products.js";
import { Run } from "./host-run.js";
import { doubtShow, paintConnection, paintNoToken, revealShow, showOfPage, tokenOfPage } from "./page.js";
import { ShowState } from "./show.js";
import { text, wireLanguages } from "./text.js";
import { SHOW_WORDS } from "./words.js";

const TICK_MS = 200;
const PAINT_AFTER_MS = 16;
/** Which moves the show's status allows. */
const MOVES = { scheduled: ["start"], live: ["pause", "end"], paused: ["resume", "end"], ended: [] };
const SHOW_MOVES = new Set(Object.values(MOVES).flat());

const show = showOfPage();
const token = tokenOfPage("host", show);
const base = `/v1/shows/${encodeURIComponent(show)}`;
const state = new ShowState();
const live = new LiveDrop({ show, token });
const acts = new Acts(live, base, () => (paintSoon(), figures.loadSoon()));
const run = new Run(state, acts);
const keys = new Keys(run);
const links = new Links(acts, show);
const orders = new Orders(live, state, base, acts);
const figures = new Figures(live, state, base, countOrders);
const products = new Products(live, state, acts);
const health = new Health(live);
let painting = false;
let counted = null;
let sold = "";

/** Other figures of orders than before: there is one more, or a sale was taken back. */
function countOrders({ orders: count, units_sold: units, gmv }) {
  const now = `${count} ${units} ${gmv}`;
  if (counted !== null && counted !== now) orders.load();
  counted = now;
}

/** The socket tells of stock as it changes; where units were sold, the figures have changed with it. */
function watchSales() {
  const now = [...state.drops.values()].map((drop) => drop.sold).join();
  if (now !== sold) figures.loadSoon();
  sold = now;
}

function wireShowActions() {
  const others = {
    keys: () => keys.help(),
    "viewer-link": (button) => acts.pressed(button, () => links.make("viewer")),
    "moderator-link": (button) => acts.pressed(button, () => links.make("moderator")),
  };
  for (const button of byId("show-actions").querySelectorAll("button")) {
    const name = button.dataset.do;
    const act = others[name] ?? (() => acts.pressed(button, () => acts.moveShow(name)));
    if (name === "end") askOnce(button, text("host.end-sure"), () => act(button));
    else button.addEventListener("click", () => act(button));
  }
}

function paintSoon() {
  if (painting) return;
  painting = true;
  setTimeout(paint, PAINT_AFTER_MS);
}

function paint() {
  painting = false;
  paintConnection(live.connection);
  health.paint();
  if (!state.show) return;
  revealShow();
  const { title, status } = state.show;
  document.title = text("host.window", { title });
  setText(byId("title"), title);
  setText(byId("show-status"), SHOW_WORDS[status] ?? status);
  byId("show-status").dataset.status = status;
  setText(byId("viewers"), text("page.watching", { count: state.viewers }));
  for (const button of byId("show-actions").querySelectorAll("button")) {
    const move = button.dataset.do;
    if (SHOW_MOVES.has(move)) button.hidden = !MOVES[status]?.includes(move);
  }
  byId("catalog").hidden = status === "ended";
  run.paint(live.now());
  products.paint();
}

wireLanguages(byId("language"));
if (show && token) {
  live.addEventListener("connection", paintSoon);
  live.addEventListener("message", ({ detail }) => {
    state.apply(detail);
    health.heard(detail);
    if (detail.type === "welcome") {
      figures.load();
      figures.loadSeries();
      orders.load();
    }
    watchSales();
    paintSoon();
  });
  wireShowActions();
  products.search();
  figures.start();
  health.start();
  setInterval(paintSoon, TICK_MS);
  doubtShow(live, show);
  live.connect();
} else {
  paintNoToken();
}
