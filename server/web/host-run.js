/**
 * The run of the show: the drops in the order in which they are to come, which is the server's, so that all hosts see
 * the same; one of them is selected, here alone, for the keys. What is closed stands below, the last one first.
 */

import { aloud, byId, place, setText } from "./dom.js";
import { HostDrop } from "./host-drops.js";
import { Sorting } from "./host-sorting.js";
import { text } from "./text.js";
import { nameOf } from "./words.js";

const ON_STAGE = new Set(["countdown", "open", "paused"]);
/** Moves that follow one another within this are told to the server as one. */
const TELL_AFTER_MS = 300;
/** As many as the server keeps an order of. */
const MOST = 100;

/** Why drops do not sell in a show of this status. */
const WAITING = { scheduled: "host.waits-scheduled", paused: "host.waits-paused" };

/** @param {import("./show.js").ShowState} state @returns {object[]} the drops to come or on stage, in their order */
export function inOrder({ show, drops }) {
  const place = new Map((show.run ?? []).map((id, index) => [id, index]));
  const rank = ({ id }) => place.get(id) ?? Infinity;
  const open = [...drops.values()].filter(({ status }) => status !== "closed");
  return open.sort(
    (one, other) =>
      (rank(one) === rank(other) ? 0 : rank(one) - rank(other)) ||
      one.created_at - other.created_at ||
      (one.id < other.id ? -1 : 1),
  );
}

/** The event of a closing does not say when it was: what has just been closed is the newest. */
function closedAt({ closed_at: at = Infinity }) {
  return at;
}

export class Run {
  #state;
  #acts;
  #rows = new Map();
  #selected = null;
  #wanted = null; // an order that was asked for, until the server has it
  #timer = 0;

  /** @param {import("./show.js").ShowState} state @param {import("./host-acts.js").Acts} acts */
  constructor(state, acts) {
    this.#state = state;
    this.#acts = acts;
    const list = byId("drops");
    this.sorting = new Sorting(list, () => this.#moved());
    for (const kind of ["focusin", "pointerdown"]) {
      list.addEventListener(kind, ({ target }) => this.#select(target.closest("[data-drop]")?.dataset.drop));
    }
    list.addEventListener("keydown", (event) => this.#steer(event));
  }

  /** @returns {HostDrop | undefined} the drop that keys are for */
  get selected() {
    return this.#rows.get(this.#selected);
  }

  /** Bring all drops up to date. @param {number} now the server's time */
  paint(now) {
    const { show, drops } = this.#state;
    const coming = this.#ordered();
    const over = [...drops.values()].filter(({ status }) => status === "closed");
    over.sort((one, other) => closedAt(other) - closedAt(one) || other.created_at - one.created_at);
    for (const [id, row] of this.#rows) if (!drops.has(id)) (row.element.remove(), this.#rows.delete(id));
    for (const drop of drops.values()) this.#row(drop).update(drop, this.#state, now);
    if (!this.sorting.busy) place(byId("drops"), coming.map((drop) => this.#row(drop).element));
    place(byId("over"), over.map((drop) => this.#row(drop).element));
    coming.forEach((drop, index) => this.#row(drop).numbered(index + 1, coming.length));
    this.#choose(coming);
    byId("over-heading").hidden = over.length === 0;
    const none = drops.size === 0 ? "host.no-drops" : "host.no-more-drops";
    const words = coming.length === 0 ? none : WAITING[show.status];
    byId("drops-words").hidden = !words;
    setText(byId("drops-words"), words ? text(words) : "");
  }

  /** Select another drop. @param {1 | -1} step */
  step(step) {
    const ids = this.#ordered().map(({ id }) => id);
    const next = ids[Math.max(0, Math.min(ids.length - 1, ids.indexOf(this.#selected) + step))];
    if (next === undefined) return;
    this.#select(next);
    this.selected.element.scrollIntoView({ block: "nearest" });
    aloud(this.selected.words);
  }

  /** Move the selected drop within the run. @param {1 | -1} step */
  shift(step) {
    const ids = this.#ordered().map(({ id }) => id);
    const from = ids.indexOf(this.#selected);
    const to = from + step;
    if (from < 0 || to < 0 || to >= ids.length) return;
    ids.splice(to, 0, ...ids.splice(from, 1));
    this.#want(ids);
    place(byId("drops"), ids.map((id) => this.#rows.get(id).element));
    this.selected.element.scrollIntoView({ block: "nearest" });
    const title = nameOf(this.#state.drops.get(this.#selected));
    aloud(text("host.moved", { title, place: to + 1, count: ids.length }));
  }

  #row(drop) {
    if (!this.#rows.has(drop.id)) this.#rows.set(drop.id, new HostDrop(drop, this.#acts));
    return this.#rows.get(drop.id);
  }

  #ordered() {
    const show = this.#wanted ? { ...this.#state.show, run: this.#wanted } : this.#state.show;
    return inOrder({ show, drops: this.#state.drops });
  }

  /** Keep the selection while its drop is there; else what is on stage, or comes next, is the one. */
  #choose(coming) {
    if (!coming.some(({ id }) => id === this.#selected)) {
      const next = coming.find(({ status }) => ON_STAGE.has(status)) ?? coming[0];
      this.#selected = next?.id ?? null;
    }
    for (const [id, { element }] of this.#rows) {
      const selected = id === this.#selected;
      element.toggleAttribute("data-selected", selected);
      if (selected) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
  }

  #select(id) {
    if (id === undefined || id === this.#selected) return;
    this.#selected = id;
    this.#choose(this.#ordered());
  }

  /** With the handle in focus the arrows move the drop. */
  #steer(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.classList.contains("handle")) return;
    event.preventDefault();
    this.shift(step);
  }

  /** The order in the page has been changed by hand. */
  #moved() {
    this.#want([...byId("drops").children].map(({ dataset }) => dataset.drop));
  }

  #want(ids) {
    this.#wanted = ids;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), TELL_AFTER_MS);
  }

  async #tell() {
    const asked = this.#wanted;
    // What was closed or added meanwhile is the server's business, not that of this order.
    const drops = asked.filter((id) => this.#state.drops.get(id)?.status !== "closed").slice(0, MOST);
    const done = await this.#acts.arrange(drops).then(
      () => true,
      () => false, // the host has been told; the order is again what the server says
    );
    if (done) this.#state.show = { ...this.#state.show, run: drops };
    if (this.#wanted === asked) this.#wanted = null;
  }
}
