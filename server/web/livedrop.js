/**
 * Client of one Livedrop show: the live socket and the checkout, for browsers, without dependencies.
 *
 * Promises: every show event is delivered once and in order, or the connection starts over with a snapshot;
 * `reserve` and `release` are repeated after a break under the same id, so nothing is ever taken twice;
 * a checkout keeps its Idempotency-Key until its answer is known, across reloads too.
 *
 *     const live = new LiveDrop({ show, token });
 *     live.addEventListener("message", ({ detail }) => …);       // every message; or "drop.opened", or any other type
 *     live.addEventListener("connection", ({ detail }) => …);    // see Connection
 *     live.connect();
 *     const reservation = await live.reserve(drop.id, 1);
 *     const order = await live.checkout({ reservations: [reservation.id], payment: { method, token } });
 *
 * @typedef {{state: "connecting"|"live"|"waiting"|"ended", code?: number, reason?: string, retry_at?: number,
 *   slot?: boolean}} Connection
 *   `waiting` comes back at `retry_at` (this computer's clock, Unix ms; `slot`: given by the server), `ended` never.
 */

const SUBPROTOCOL = "livedrop.v1.json";
const POSITION_LOST = 3010;
const FINAL_CODES = { from: 3500, to: 3999 };
const BACKOFF_MS = { first: 500, most: 20_000 };
const PING_EVERY_MS = 20_000;
/** A connection that lasted this long ends a series of failed attempts. */
const STEADY_AFTER_MS = 10_000;
const SIGN_OF_LIFE_WITHIN_MS = 8_000;
const OPERATION_ANSWER_WITHIN_MS = 30_000;
const HTTP_ANSWER_WITHIN_MS = 20_000;
const CHECKOUT_ASKS_FOR_MS = 60_000;
/** Codes that say nothing about the outcome: the same id or key may and should be repeated. */
const UNKNOWN_OUTCOME = new Set(["unavailable", "in-progress", "rate-limited"]);

/** What went wrong, with the `code` of the contract and its numbers (`available`, `current_total`, …) in `extras`. */
export class LiveDropError extends Error {
  /** @param {string} code @param {string} message @param {Record<string, unknown>} [extras] */
  constructor(code, message, extras = {}) {
    super(message);
    this.name = "LiveDropError";
    this.code = code;
    this.extras = extras;
  }

  /** Whether the operation may or may not have happened. */
  get unknown() {
    return UNKNOWN_OUTCOME.has(this.code);
  }
}

/** @returns {string} 32 random hexadecimal digits (unlike `randomUUID`, on plain http too). */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** Full jitter: anything from nothing to an exponentially growing limit, so that a crowd comes back spread out. */
function jitter(attempt) {
  return Math.random() * Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** attempt);
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

export class LiveDrop extends EventTarget {
  #show;
  #token;
  #origin;
  #storage;
  #socket = null;
  #position = null; // {epoch, offset} of the last event delivered
  #gapAt = null; // the position at which a gap was met once already
  #attempt = 0;
  #operations = new Map(); // id -> {message, resolve, reject, timer}
  #timers = { reconnect: 0, ping: 0, life: 0 };
  #helloAt = 0;
  #liveSince = Infinity;
  #clock = { skew: 0, trip: Infinity };

  /**
   * @param {{show: string, token: string | (() => string | Promise<string>), origin?: string, storage?: Storage}} options
   *   `token` may be a function that fetches a fresh one; `storage` keeps an unanswered checkout.
   */
  constructor({ show, token, origin = location.origin, storage = sessionStorage }) {
    super();
    this.#show = show;
    this.#token = typeof token === "function" ? token : () => token;
    this.#origin = origin;
    this.#storage = storage;
    /** @type {Connection} */
    this.connection = { state: "connecting" };
    globalThis.addEventListener("online", () => this.#wake());
    globalThis.addEventListener("offline", () => this.connection.state === "live" && this.#ping());
    globalThis.document?.addEventListener("visibilitychange", () => document.hidden || this.#wake());
  }

  /** @returns {number} the server's Unix time in ms, as near as the quickest round trip tells. */
  now() {
    return Date.now() + this.#clock.skew;
  }

  /** Open the socket; it is kept open, or opened again, until `disconnect` or a final close code. */
  connect() {
    this.#abandon();
    this.#setConnection({ state: "connecting" });
    const url = new URL(`/v1/shows/${encodeURIComponent(this.#show)}/live`, this.#origin);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    this.#expectLife();
    socket.onopen = () => this.#hello(socket);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(parsed(data));
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, parsed(reason));
  }

  /** Close for good. What still waits for an answer is rejected as `unavailable`. @param {string} [reason] */
  disconnect(reason = "Disconnected.") {
    this.#end(1000, reason);
  }

  /**
   * Take units of a drop. Repeated by itself until answered; at most one reservation comes of it.
   * @param {string} drop @param {number} [quantity]
   * @returns {Promise<object>} the reservation; rejects with `out-of-stock` (`extras.available`), `limit-reached`, …
   */
  reserve(drop, quantity = 1) {
    return this.#operate({ type: "reserve", drop, quantity });
  }

  /** Give a reservation back. @param {string} reservation @returns {Promise<object>} the released reservation */
  release(reservation) {
    return this.#operate({ type: "release", reservation });
  }

  /** Wait for units, or enter a draw. @param {string} drop @returns {Promise<object>} `{position, length, quantity}` */
  join(drop, quantity = 1) {
    return this.#operate({ type: "waitlist.join", drop, quantity });
  }

  /** Give the place up. @param {string} drop @returns {Promise<object>} with position 0 */
  leave(drop) {
    return this.#operate({ type: "waitlist.leave", drop });
  }

  /** Hand over a fresh token before the old one expires. @param {string} token */
  renew(token) {
    this.#token = () => token;
    if (this.connection.state === "live") this.#send({ type: "token", token });
  }

  /**
   * One HTTP request of the API.
   * @param {string} method @param {string} path @param {{body?: object, key?: string}} [content]
   * @returns {Promise<any>} the decoded answer; rejects with a LiveDropError, `unavailable` if none came
   */
  async request(method, path, { body, key } = {}) {
    try {
      const headers = { Accept: "application/json", Authorization: `Bearer ${await this.#token()}` };
      if (body !== undefined) headers["Content-Type"] = "application/json";
      if (key !== undefined) headers["Idempotency-Key"] = key;
      const response = await fetch(new URL(path, this.#origin), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(HTTP_ANSWER_WITHIN_MS),
      });
      const text = await response.text();
      if (response.ok) return text === "" ? null : JSON.parse(text);
      const problem = parsed(text);
      const code = problem.code ?? (response.status >= 500 ? "unavailable" : "invalid-message");
      throw new LiveDropError(
        code,
        problem.detail ?? problem.title ?? `The server answered ${response.status}.`,
        problem,
      );
    } catch (error) {
      if (error instanceof LiveDropError) throw error;
      throw new LiveDropError("unavailable", "The server could not be reached.");
    }
  }

  /** @returns {object | null} the checkout that has no answer yet, to be handed to `checkout` again (after a reload). */
  get pendingCheckout() {
    return this.#pending()?.body ?? null;
  }

  /**
   * Turn reservations into one paid order. Asks with one key for a minute until the answer is known.
   * @param {{reservations: string[], payment: {method: string, token: string}, email?: string,
   *   expected_total?: number}} body
   * @returns {Promise<object>} the order; rejects with `payment-declined`, `total-changed`, `reservation-expired`, …;
   *   a rejection with `unknown` keeps the key: call again with the same body (`pendingCheckout`)
   */
  async checkout(body) {
    const earlier = this.#pending();
    if (earlier && JSON.stringify(earlier.body) !== JSON.stringify(body)) {
      throw new LiveDropError("in-progress", "An earlier payment has no answer yet.");
    }
    const { key } = earlier ?? { key: newId() };
    this.#storage.setItem(this.#pendingName, JSON.stringify({ key, body }));
    const until = Date.now() + CHECKOUT_ASKS_FOR_MS;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await this.request("POST", "/v1/checkout", { body, key });
        this.#storage.removeItem(this.#pendingName);
        return answer.order ?? answer;
      } catch (error) {
        // A refused token says nothing about an attempt made before it expired.
        if (!error.unknown && error.code !== "unauthenticated") this.#storage.removeItem(this.#pendingName);
        if (!error.unknown || Date.now() > until) throw error;
        const pause = error.extras.retry_after_ms ?? jitter(attempt + 1);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  get #pendingName() {
    return `livedrop.checkout.${this.#show}`;
  }

  #pending() {
    const { key, body } = parsed(this.#storage.getItem(this.#pendingName));
    return key ? { key, body } : null;
  }

  #operate(command) {
    const message = { ...command, id: newId() };
    return new Promise((resolve, reject) => {
      const unanswered = new LiveDropError("unavailable", "No answer came in time.");
      const timer = setTimeout(
        () => this.#settle(message.id, { error: unanswered }),
        OPERATION_ANSWER_WITHIN_MS,
      );
      this.#operations.set(message.id, { message, resolve, reject, timer });
      if (this.connection.state !== "live") return;
      this.#send(message);
      if (!this.#timers.life) this.#expectLife();
    });
  }

  #settle(id, { value, error }) {
    const operation = this.#operations.get(id);
    if (!operation) return;
    this.#operations.delete(id);
    clearTimeout(operation.timer);
    if (error) operation.reject(error);
    else operation.resolve(value);
  }

  async #hello(socket) {
    try {
      const token = await this.#token();
      if (socket !== this.#socket) return;
      this.#helloAt = Date.now();
      this.#send({ type: "hello", token, ...(this.#position && { since: this.#position }) });
    } catch {
      if (socket === this.#socket) this.#lost(0, {}); // no token to be had now; perhaps on the next attempt
    }
  }

  #receive(message) {
    this.#lifeSeen();
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "pong") this.#sampleClock(message.server_time_at, Number(message.id));
    else if (message.offset !== undefined && !this.#inOrder(message)) return;
    this.#emit("message", message);
    this.#emit(message.type, message);
    const value = { reservation: message.reservation, waitlist: message }[message.type];
    if (value) this.#settle(message.id, { value });
    if (message.type === "error" && this.#operations.has(message.id)) this.#refused(message);
  }

  #welcome(message) {
    this.#liveSince = Date.now();
    this.#sampleClock(message.server_time_at, this.#helloAt);
    // A recovered stream goes on where we stood: the missed events come first.
    if (!message.recovered) this.#position = { epoch: message.epoch, offset: message.offset };
    this.#setConnection({ state: "live" });
    for (const { message: waiting } of this.#operations.values()) this.#send(waiting);
    this.#pingLater();
  }

  /** Count an event in. A repeat is dropped; after a gap the missing ones are fetched, the second time all anew. */
  #inOrder({ offset }) {
    if (this.#position === null || offset <= this.#position.offset) return false;
    if (offset === this.#position.offset + 1) {
      this.#position = { epoch: this.#position.epoch, offset };
      return true;
    }
    if (this.#gapAt === this.#position.offset) this.#position = null;
    this.#gapAt = this.#position?.offset ?? null;
    this.#lost(0, {});
    return false;
  }

  #refused({ id, code, message, type: _type, ...extras }) {
    const error = new LiveDropError(code, message ?? code, extras);
    if (!error.unknown) {
      this.#settle(id, { error });
      return;
    }
    const again = () => {
      const operation = this.#operations.get(id);
      if (operation && this.connection.state === "live") this.#send(operation.message);
    };
    setTimeout(again, extras.retry_after_ms ?? jitter(1));
  }

  #lost(code, reason) {
    if (code >= FINAL_CODES.from && code <= FINAL_CODES.to) {
      this.#end(code, reason.message);
      return;
    }
    if (code === POSITION_LOST) this.#position = null;
    this.#abandon();
    if (Date.now() - this.#liveSince > STEADY_AFTER_MS) this.#attempt = 0;
    this.#liveSince = Infinity;
    // The server deals out slots to a returning crowd; our own jitter is for when it could not.
    const slot = Number.isFinite(reason.retry_after_ms);
    const wait = Math.max(
      slot ? reason.retry_after_ms : 0,
      slot && this.#attempt === 0 ? 0 : jitter(this.#attempt),
    );
    this.#attempt += 1;
    this.#setConnection({ state: "waiting", code, retry_at: Date.now() + wait, slot });
    this.#timers.reconnect = setTimeout(() => this.connect(), wait);
  }

  #end(code, reason) {
    this.#abandon();
    this.#setConnection({ state: "ended", code, reason });
    const error = new LiveDropError("unavailable", "The connection has ended.");
    for (const id of [...this.#operations.keys()]) this.#settle(id, { error });
  }

  /** Leave the present socket without waiting for its goodbye: a dead network would never say it. */
  #abandon() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #ping() {
    this.#send({ type: "ping", id: String(Date.now()) });
    this.#expectLife();
    this.#pingLater();
  }

  #pingLater() {
    clearTimeout(this.#timers.ping);
    this.#timers.ping = setTimeout(() => this.#ping(), PING_EVERY_MS * (0.5 + Math.random() / 2));
  }

  #expectLife() {
    clearTimeout(this.#timers.life);
    this.#timers.life = setTimeout(() => this.#lost(0, {}), SIGN_OF_LIFE_WITHIN_MS);
  }

  #lifeSeen() {
    clearTimeout(this.#timers.life);
    this.#timers.life = 0;
  }

  /** The network or the reader is back: find out at once whether the socket still lives. */
  #wake() {
    const { state, slot } = this.connection;
    if (state === "live") this.#ping();
    else if (state === "waiting" && !slot) this.connect();
  }

  /** Keep the sample of the quickest round trip; one that contradicts it means that a clock has jumped. */
  #sampleClock(serverTime, sentAt) {
    const arrived = Date.now();
    const trip = arrived - sentAt;
    const skew = serverTime + trip / 2 - arrived;
    const apart = Math.abs(skew - this.#clock.skew);
    if (trip <= this.#clock.trip || apart > (trip + this.#clock.trip) / 2) this.#clock = { skew, trip };
  }

  #setConnection(connection) {
    this.connection = connection;
    this.#emit("connection", connection);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
