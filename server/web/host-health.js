/** How the server and the way to it are, in words that a host can act on: from /readyz, and from what the socket says. */

import { byId, setText } from "./dom.js";
import { number, text } from "./text.js";

const ASK_EVERY_MS = 5000;
const ANSWER_WITHIN_MS = 8000;
const SLOW_MS = 1000;
/** How old the latest news was is forgotten after this: without news nothing is known of it. */
const REMEMBERED_MS = 60_000;

export class Health {
  #live;
  #ready = { state: "unknown", ms: 0, reason: "" };
  #news = { late: 0, at: -Infinity };
  #joinedAt = Infinity;

  /** @param {import("./client/livedrop.js").LiveDrop} live */
  constructor(live) {
    this.#live = live;
  }

  /** Ask now and then; while nobody looks nothing is asked. */
  start() {
    this.#ask();
    setInterval(() => document.hidden || this.#ask(), ASK_EVERY_MS);
  }

  /** Take note of how old a message is; what was missed and comes later is no measure. @param {object} message */
  heard({ type, at, server_time_at: joinedAt }) {
    if (type === "welcome") this.#joinedAt = joinedAt;
    else if (at > this.#joinedAt) {
      this.#news = { late: Math.max(0, Math.round(this.#live.now() - at)), at: performance.now() };
    }
  }

  /** Bring the line up to date: its words are said aloud where they change, its numbers are for the eye. */
  paint() {
    const line = byId("health");
    const [words, numbers] = line.children;
    const state = this.#state();
    line.hidden = state === "unknown";
    line.dataset.state = state;
    if (line.hidden) return;
    setText(words, text(`host.health-${state}`, { reason: this.#ready.reason }));
    setText(numbers, state === "away" ? "" : this.#numbers());
  }

  #state() {
    const { state } = this.#live.connection;
    if (state === "ended" || this.#ready.state === "unknown") return "unknown";
    if (this.#ready.state !== "ready") return this.#ready.state;
    if (state !== "live") return "cut";
    return this.#ready.ms > SLOW_MS || this.#late > SLOW_MS ? "slow" : "good";
  }

  get #late() {
    return performance.now() - this.#news.at > REMEMBERED_MS ? null : this.#news.late;
  }

  #numbers() {
    const answer = number(this.#ready.ms);
    const late = this.#late;
    return late === null
      ? text("host.health-answers", { answer })
      : text("host.health-numbers", { answer, late: number(late) });
  }

  async #ask() {
    const began = performance.now();
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      const response = await fetch("/readyz", { cache: "no-store", signal });
      const { detail: reason = "" } = response.ok ? {} : await response.json();
      const ms = Math.max(1, Math.round(performance.now() - began));
      this.#ready = { state: response.ok ? "ready" : "unready", ms, reason };
    } catch {
      this.#ready = { state: "away", ms: 0, reason: "" };
    }
    this.paint();
  }
}
