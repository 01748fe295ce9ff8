/**
 * The show's figures on the host's console: as they are now, and how they came to be. Both are the server's: whoever
 * opens the page later, or beside another host, sees the same curves.
 */

import { byId, make, setText } from "./dom.js";
import { Charts } from "./host-charts.js";
import { money } from "./money.js";
import { localeOf, number, text } from "./text.js";

const EVERY_MS = 2000;
const SERIES_EVERY_MS = 10_000;
/** After a sale its figures are asked for so soon. */
const SOON_MS = 250;
/** Of more points than this a thinned curve is asked for anew. */
const MOST_POINTS = 720;
/** Taken per second is what was taken since a point at least this old. */
const RATE_OVER_MS = 8000;

const percent = new Intl.NumberFormat(localeOf(), { style: "percent", maximumFractionDigits: 1 });
const rate = new Intl.NumberFormat(localeOf(), { maximumFractionDigits: 1 });

/** What is shown, in this order: its name, how it is written, and how it follows from a point and the one before. */
const FIGURES = [
  { name: "gmv", write: (value, { currency, locale }) => money(value, currency, locale) },
  { name: "orders", write: number },
  { name: "units_sold", write: number },
  { name: "conversion", write: percent.format },
  { name: "viewers", write: number },
  { name: "taken-rate", write: rate.format, of: (point, before) => perSecond(point, before) },
  { name: "waitlist", write: number },
  { name: "unmet_demand", write: number },
];

function perSecond(point, before) {
  const ms = before ? point.at - before.at : 0;
  return ms > 0 ? (Math.max(0, point.taken - before.taken) * 1000) / ms : 0;
}

export class Figures {
  #live;
  #state;
  #path;
  #told;
  #cells = new Map();
  #points = [];
  #soon = 0;
  #asking = false;
  #again = false;

  /**
   * @param {import("./client/livedrop.js").LiveDrop} live @param {import("./show.js").ShowState} state
   * @param {string} base the show's path @param {(figures: object) => void} told called with all new figures
   */
  constructor(live, state, base, told) {
    this.#live = live;
    this.#state = state;
    this.#path = `${base}/metrics`;
    this.#told = told;
    this.charts = new Charts();
    for (const { name } of FIGURES) this.#cells.set(name, this.#cell(name));
    this.peak = make("small", {});
    this.room = make("small", { "data-metric": "waiting_room", hidden: true });
    this.#cells.get("viewers").parentElement.querySelector("dt").append(" · ", this.peak, this.room);
  }

  /** Ask now and then; while nobody looks nothing is asked. */
  start() {
    setInterval(() => document.hidden || this.load(), EVERY_MS);
    setInterval(() => document.hidden || this.#follow(), SERIES_EVERY_MS);
  }

  /** Something has happened of which the figures will tell. */
  loadSoon() {
    this.#soon ||= setTimeout(() => {
      this.#soon = 0;
      this.load();
    }, SOON_MS);
  }

  /** Ask for the figures; without an answer the old ones stay, marked as such. Only a host may: others have to leave. */
  async load() {
    if (this.#live.connection.state === "ended") return;
    this.#again = this.#asking;
    if (this.#asking) return;
    this.#asking = true;
    try {
      this.#paint(await this.#live.request("GET", this.#path));
      byId("metrics").classList.remove("stale");
    } catch (error) {
      byId("metrics").classList.add("stale");
      if (error.code === "not-allowed") this.#live.disconnect(text("host.not-a-host"));
    }
    this.#asking = false;
    if (this.#again) this.loadSoon();
  }

  /** Ask for the whole curve, as after a break. */
  loadSeries() {
    this.#points = [];
    return this.#follow();
  }

  #cell(name) {
    const value = make("dd", { "data-metric": name }, "–");
    const chart = make("div", { class: "chart", "aria-hidden": "true" });
    const words = make("dt", {}, text(`host.${name}`));
    byId("metrics").append(make("div", {}, words, value, make("dd", {}, chart)));
    this.charts.add(name, chart);
    return value;
  }

  #paint(figures) {
    const now = { ...figures, at: this.#live.now() };
    const before = this.#points.findLast(({ at }) => at <= now.at - RATE_OVER_MS);
    const how = { currency: figures.currency, locale: this.#state.show?.locale };
    for (const { name, write, of } of FIGURES) {
      setText(this.#cells.get(name), write(of ? of(now, before) : figures[name], how));
    }
    setText(this.peak, text("host.peak", { count: figures.peak_viewers }));
    setText(this.room, text("host.waiting_room", { count: figures.waiting_room }));
    this.room.hidden = !figures.waiting_room;
    this.#told(figures);
  }

  /** Ask for what came since the last point that is known. */
  async #follow() {
    if (this.#live.connection.state === "ended") return;
    if (this.#points.length > MOST_POINTS) this.#points = [];
    const since = this.#points.at(-1)?.at ?? 0;
    const path = `${this.#path}/series?since_at=${since}`;
    const answer = await this.#live.request("GET", path).catch(() => null);
    if (!answer || since !== (this.#points.at(-1)?.at ?? 0)) return; // another answer was quicker
    this.#points.push(...answer.items);
    this.#draw();
  }

  #draw() {
    const points = this.#points;
    if (points.length < 2) return;
    const times = points.map(({ at }) => at / 1000);
    const how = { currency: this.#state.show?.currency ?? "EUR", locale: this.#state.show?.locale };
    for (const { name, write, of } of FIGURES) {
      const values = points.map((point, index) => (of ? of(point, points[index - 1]) : point[name]));
      this.charts.draw(name, times, values, (value) => write(value, how));
    }
  }
}
