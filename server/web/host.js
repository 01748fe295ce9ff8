/** The host's console: the show, its drops, its figures. States come from the live socket, moves go over HTTP. */

import { askOnce, byId, notice, setText } from "./dom.js";
import { HostDrop } from "./host-drops.js";
import { Figures, Orders } from "./host-figures.js";
import { Products } from "./host-products.js";
import { LiveDrop, newId } from "./livedrop.js";
import { doubtShow, paintConnection, paintNoToken, revealShow, showOfPage, tokenOfPage } from "./page.js";
import { ShowState } from "./show.js";
import { SHOW_WORDS } from "./words.js";

const TICK_MS = 200;
const FIGURES_EVERY_MS = 2000;
const VIEWER_LINK_SECONDS = 6 * 3600;
const TRIES = 4;
const TRY_AGAIN_AFTER_MS = 700;
/** Which moves the show's status allows. */
const MOVES = { scheduled: ["start"], live: ["pause", "end"], paused: ["resume", "end"], ended: [] };

/** Why drops do not sell in a show of this status. */
const WAITING = {
  scheduled: "Drops can be opened once the show has started.",
  paused: "The show is paused: nothing can be taken until it goes on.",
};

const show = showOfPage();
const token = tokenOfPage("host", show);
const base = `/v1/shows/${encodeURIComponent(show)}`;
const state = new ShowState();
const live = new LiveDrop({ show, token });
const rows = new Map();
const orders = new Orders(live, state, base);
const figures = new Figures(live, state, base, () => orders.load());
const products = new Products(live, state, { prepare, pin });
let painting = false;

/**
 * Ask for a change. Where the outcome stays unknown it is asked for again under the same key, so that it happens once.
 * @returns {Promise<any>} the answer; rejects with a LiveDropError after telling the host
 */
async function change(method, path, body) {
  const key = newId();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await live.request(method, path, { body, key });
    } catch (error) {
      if (!error.unknown || attempt === TRIES) {
        notice(error.message, "bad");
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, error.extras.retry_after_ms ?? TRY_AGAIN_AFTER_MS));
    }
  }
}

/** Run a change with its button out of reach; the notice has told the host of a failure already. */
async function pressed(button, run) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  await run().catch(() => null);
  button.removeAttribute("aria-busy");
  button.disabled = false;
  paintSoon();
}

function moveShow(move) {
  return change("POST", `${base}/${move}`, {});
}

function moveDrop(drop, move, body = {}) {
  return change("POST", `${base}/drops/${encodeURIComponent(drop.id)}/${move}`, body);
}

async function prepare(terms) {
  const drop = await change("POST", `${base}/drops`, terms);
  notice(`Prepared: ${drop.title}`, "good");
}

function pin(skus) {
  return change("PUT", `${base}/pinned`, { skus });
}

/** Make a link for one new viewer. */
async function viewerLink() {
  const sub = `guest-${newId().slice(0, 8)}`;
  const minted = await change("POST", "/v1/tokens", {
    sub,
    role: "viewer",
    shows: [show],
    ttl_seconds: VIEWER_LINK_SECONDS,
  });
  const link = `${location.origin}/watch/${encodeURIComponent(show)}#token=${minted.token}`;
  const place = byId("viewer-link");
  place.querySelector("a").href = link;
  place.querySelector("input").value = link;
  place.hidden = false;
  place.querySelector("input").select();
}

/** Copy the link; where the browser does not let a page do that, select it for the host to copy. */
async function copyLink() {
  const field = byId("viewer-link").querySelector("input");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    notice("Copied. Each link is for one viewer.", "good");
  } catch {
    notice("The link is selected: copy it from there.");
  }
}

function wireShowActions() {
  for (const button of byId("show-actions").querySelectorAll("button")) {
    const move = button.dataset.do;
    const run = () => pressed(button, () => (move === "viewer-link" ? viewerLink() : moveShow(move)));
    if (move === "end") askOnce(button, "End for everybody?", run);
    else button.addEventListener("click", run);
  }
  const link = byId("viewer-link");
  link.querySelector("[data-do=copy]").addEventListener("click", copyLink);
  link.querySelector(".close").addEventListener("click", () => (link.hidden = true));
}

function paintSoon() {
  if (painting) return;
  painting = true;
  setTimeout(paint, 16);
}

function paint() {
  painting = false;
  paintConnection(live.connection);
  if (!state.show) return;
  revealShow();
  const { title, status } = state.show;
  document.title = `${title} – host`;
  setText(byId("title"), title);
  setText(byId("show-status"), SHOW_WORDS[status] ?? status);
  byId("show-status").dataset.status = status;
  setText(byId("viewers"), `${state.viewers.toLocaleString()} watching`);
  for (const button of byId("show-actions").querySelectorAll("button:not([data-do=viewer-link])")) {
    button.hidden = !MOVES[status]?.includes(button.dataset.do);
  }
  byId("catalog").hidden = status === "ended";
  paintDrops(status);
  products.paint();
}

function paintDrops(status) {
  const place = byId("drops");
  const ordered = state.ordered;
  for (const [id, row] of rows) if (!state.drops.has(id)) (row.element.remove(), rows.delete(id));
  ordered.forEach((drop, index) => {
    if (!rows.has(drop.id)) rows.set(drop.id, new HostDrop(drop, { move: moveDrop, pressed }));
    const row = rows.get(drop.id);
    row.update(drop, state, live.now());
    if (place.children[index] !== row.element) place.insertBefore(row.element, place.children[index] ?? null);
  });
  const words = ordered.length > 0 ? WAITING[status] : "No drop yet. Choose a product to prepare the first one.";
  byId("drops-words").hidden = !words;
  setText(byId("drops-words"), words ?? "");
}

if (show && token) {
  live.addEventListener("connection", paintSoon);
  live.addEventListener("message", ({ detail }) => {
    state.apply(detail);
    if (detail.type === "welcome") {
      figures.load();
      orders.load();
    }
    paintSoon();
  });
  wireShowActions();
  products.search();
  setInterval(paintSoon, TICK_MS);
  setInterval(() => document.hidden || figures.load(), FIGURES_EVERY_MS);
  doubtShow(live, show);
  live.connect();
} else {
  paintNoToken();
}
