/**
 * The waiting room of a full show, and the moment before it in which a browser does the server's work: a card in place
 * of what is on offer. It changes in silence; screen readers are told now and then.
 */

import { aloud, byId, setText } from "./dom.js";
import { localeOf, text } from "./text.js";
import { countdown, dateOf, isFar } from "./words.js";

/** News is said aloud no sooner than this after the last. */
const ALOUD_APART_MS = 10_000;
const UNITS = { second: 1000, minute: 60_000, hour: 3_600_000 };
/** What lasts longer than so many of a unit is told in the next one. */
const MOST = 90;

const written = Object.fromEntries(
  Object.keys(UNITS).map((unit) => [
    unit,
    new Intl.NumberFormat(localeOf(), { style: "unit", unit, unitDisplay: "long" }),
  ]),
);

/**
 * @param {number} ms @param {string[]} [units] from the shortest that may be used
 * @returns {string} how long that is in whole units: `60 seconds`, `12 minutes`, `2 hours`. Pure.
 */
export function lasting(ms, units = Object.keys(UNITS)) {
  const unit = units.find((one) => ms <= MOST * UNITS[one]) ?? units.at(-1);
  return written[unit].format(Math.ceil(ms / UNITS[unit]));
}

/**
 * What the card says. Pure.
 * @param {import("./client/livedrop.js").Connection["room"]} room @param {number} now the server's time, Unix ms
 * @returns {{heading: string, line: string, opens: string, keep: string}}
 */
export function roomWords({ status, place, waiting, estimate_ms: estimate, opens_at: opensAt, keep_ms: keep }, now) {
  const stay = text("viewer.room-keep", { time: lasting(keep) });
  if (status === "before_opening") {
    return {
      heading: text("viewer.room-count", { number: waiting }),
      line: text("viewer.room-lot"),
      opens: opensAt === null ? "" : opensWords(opensAt, now),
      keep: stay,
    };
  }
  return {
    heading: text("viewer.room-place", { place, number: Math.max(place, waiting) }),
    line: [place === 1 ? text("viewer.room-next") : "", estimateWords(estimate)].filter(Boolean).join(" "),
    opens: "",
    keep: stay,
  };
}

function opensWords(at, now) {
  if (at <= now) return text("viewer.starts-soon");
  return isFar(at - now)
    ? text("viewer.starts-at", { date: dateOf(at) })
    : text("viewer.starts-in", { time: countdown(at - now) });
}

function estimateWords(ms) {
  if (ms === null) return "";
  if (ms < UNITS.minute) return text("viewer.room-soon");
  return text("viewer.room-estimate", { time: lasting(ms, ["minute", "hour"]) });
}

/**
 * Whether to say aloud how somebody stands: at the opening at once, else when the place has halved, is the next one or
 * has been lost, and not too often. Pure.
 * @param {{status: string, place: number | null, at: number} | null} said what was said last, and when
 * @param {{status: string, place: number | null}} room @param {number} now ms, on the same clock
 */
export function isNews(said, { status, place }, now) {
  if (said === null || said.status !== status) return true;
  if (now - said.at < ALOUD_APART_MS || place === said.place) return false;
  return place === 1 || place <= said.place / 2 || place > said.place;
}

export class WaitingRoom {
  #room = null; // as it was told last, until this viewer is in
  #said = null;
  #most = 1; // the place that they began at

  /** @returns {boolean} whether this viewer waits to come in */
  get waits() {
    return this.#room !== null;
  }

  /**
   * Show the card, or take it away. A connection that breaks off leaves it: the place is kept.
   * @param {import("./client/livedrop.js").Connection} connection @param {number} now the server's time, Unix ms
   */
  paint({ state, room }, now) {
    if (state === "queued") this.#room = room;
    if (state === "live" || state === "ended") this.#room = this.#said = null;
    const shown = this.#room !== null || state === "checking";
    byId("room").hidden = !shown;
    document.body.classList.toggle("in-room", shown);
    if (this.#room !== null) this.#paintRoom(this.#room, now);
    else if (shown) this.#write({ heading: text("connection.checking"), line: text("viewer.checking-how") });
  }

  #paintRoom(room, now) {
    const words = roomWords(room, now);
    this.#write(words);
    document.title = room.title;
    setText(byId("title"), room.title);
    this.#most = room.place === null || this.#said === null ? (room.place ?? 1) : Math.max(this.#most, room.place);
    byId("room").style.setProperty("--done", String(room.place === null ? 0 : 1 - room.place / (this.#most + 1)));
    byId("room").dataset.status = room.status;
    const at = performance.now();
    if (!isNews(this.#said, room, at)) return;
    this.#said = { ...room, at };
    aloud([words.heading, words.line].filter(Boolean).join(". "));
  }

  #write({ heading, line, opens = "", keep = "" }) {
    setText(byId("room-heading"), heading);
    setText(byId("room-line"), line);
    setText(byId("room-opens"), opens);
    setText(byId("room-keep"), keep);
  }
}
