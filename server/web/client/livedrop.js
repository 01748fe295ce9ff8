/**
 * Client of one Livedrop show: the live socket and the checkout, for browsers, without dependencies.
 *
 * Promises: every show event is delivered once and in order, or the connection starts over with a snapshot;
 * `reserve` and the other operations are repeated after a break under the same id, so nothing is ever taken twice;
 * a checkout keeps its Idempotency-Key until its answer is known, across reloads too.
 *
 *     const live = new LiveDrop({ show, token });
 *     live.addEventListener("message", ({ detail }) => …); // every message; or "drop.opened", or any other type
 *     live.addEventListener("connection", ({ detail }) => …); // see Connection
 *     live.connect();
 *     const reservation = await live.reserve(drop.id, 1);
 *     const order = await live.checkout({ reservations: [reservation.id], payment: { method, token } });
 *
 * @typedef {{state: "connecting"|"checking"|"queued"|"live"|"waiting"|"ended", code?: number, reason?: string,
 *   retry_at?: number, slot?: boolean, room?: Record<string, any>}} Connection
 *   `checking` does the work that this server asks of unknown viewers; `queued` stands in the waiting room of a full
 *   show, and `room` says where; `waiting` comes back at `retry_at` (this computer's clock, Unix ms; `slot`: not before
 *   the server wants it), `ended` never.
 *
 * @typedef {Record<string, any>} Message one message of the protocol, told apart by `type`
 *
 * @typedef {object} Platform what the client uses of its surroundings; tests and other programs may bring their own
 * @property {typeof globalThis.WebSocket} WebSocket
 * @property {typeof globalThis.fetch} fetch
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now this computer's clock, Unix ms; it may be wrong, and may jump
 * @property {() => number} monotonic ms since some moment; it never jumps
 * @property {() => number} random from 0 to below 1
 * @property {(challenge: {nonce: string, bits: number, origin: string}, signal: AbortSignal) => Promise<string>} work
 *   finds a number for which SHA-256 of `nonce:number` begins with so many zero bits, until the signal ends it
 * @property {any} window where `online`, `offline`, `pagehide` and `pageshow` are told, or null
 * @property {any} document where `visibilitychange` and `resume` are told, or null
 */

const LEAVING = 3001;
const TOKEN_EXPIRED = 3005;
const POSITION_LOST = 3010;
const NO_TOKEN = 3500;
const MISUNDERSTOOD = 3501;
const FINAL_CODES = { from: 3500, to: 3999 };
const BACKOFF_MS = { first: 500, most: 20_000 };
/** A connection that lasted this long ends a series of failed attempts. */
const STEADY_AFTER_MS = 10_000;
const PING_EVERY_MS = 20_000;
/** Pings after a welcome, for a good look at the server's clock, each within so long of the one before. */
const CLOCK_PINGS = { count: 4, within_ms: 400 };
const CLOCK_SAMPLES = 8;
/** Our clocks may drift apart by this much between two looks before one was set, or the computer has slept. */
const JUMP_MS = 1_000;
const SIGN_OF_LIFE_WITHIN_MS = 8_000;
/** The same where a reader is back and waits for it. */
const AWAKE_WITHIN_MS = 5_000;
const OPERATION_ANSWER_WITHIN_MS = 30_000;
/** Operations that wait for answers; more are refused as `rate-limited`. The server lets 60 messages come at once. */
const MOST_OPERATIONS = 32;
const REACTIONS = { every_ms: 250, most: 100 };
const HTTP_ANSWER_WITHIN_MS = 20_000;
const CHECKOUT_ASKS_FOR_MS = 60_000;
const TOKEN_WITHIN_MS = 10_000;
/** The server gives a minute to do its work in; more zero bits than this take a fast machine as long. */
const WORK = { within_ms: 50_000, most_bits: 26 };
/** A token that ends sooner than this is not begun with where another can be had. */
const TOKEN_LASTS_AT_LEAST_MS = 5_000;
const RENEW_APART_MS = 1_000;
/** A timer cannot count further, 24 days: it would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const OPEN = 1; // WebSocket.OPEN
/** Codes that say nothing about the outcome: the same id or key may and should be repeated. */
const UNKNOWN_OUTCOME = new Set(["unavailable", "in-progress", "rate-limited"]);

/** What went wrong, with the `code` of the contract and its numbers (`available`, `current_total`, …) in `extras`. */
export class LiveDropError extends Error {
  /** @param {string} code @param {string} message @param {Record<string, any>} [extras] */
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
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md), as far as the protocol goes ----

const MOST_NESTING = 32;
const FROM_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const TO_UTF8 = new TextEncoder();

/**
 * Decode one msgpack value. Integers that a number cannot hold exactly become a BigInt, binary a Uint8Array.
 * @param {ArrayBuffer | Uint8Array} data @returns {any}
 * @throws {Error} where it is cut off or too long, not UTF-8, nested deeper than 32, has an extension type or a key
 *   that is not text
 */
export function unpack(data) {
  const reader = new Reader(data instanceof Uint8Array ? data : new Uint8Array(data));
  const whole = reader.value(0);
  if (reader.left > 0) throw new RangeError(`msgpack: ${reader.left} bytes are left over`);
  return whole;
}

class Reader {
  #bytes;
  #view;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left() {
    return this.#bytes.length - this.#at;
  }

  /** @param {number} depth @returns {any} */
  value(depth) {
    if (depth > MOST_NESTING) throw new RangeError(`msgpack: nested deeper than ${MOST_NESTING}`);
    const first = this.#uint(1);
    if (first < 0x80) return first;
    if (first < 0x90) return this.#map(first & 15, depth);
    if (first < 0xa0) return this.#list(first & 15, depth);
    if (first < 0xc0) return this.#text(first & 31);
    if (first >= 0xe0) return first - 256;
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return first === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#binary(this.#uint(1 << (first - 0xc4)));
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(1 << (first - 0xcc));
      case 0xcf:
        return exact(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return exact(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (first - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#uint(2 << (first - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (first - 0xde)), depth);
      default:
        throw new TypeError(`msgpack: type 0x${first.toString(16)} is not taken`);
    }
  }

  /** Move on, and return where we were. Lengths are believed only as far as there are bytes. */
  #take(length) {
    if (length > this.left) throw new RangeError(`msgpack: ${length} bytes are needed, ${this.left} are left`);
    this.#at += length;
    return this.#at - length;
  }

  #uint(size) {
    const at = this.#take(size);
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #binary(length) {
    return this.#bytes.slice(this.#take(length), this.#at);
  }

  #text(length) {
    return FROM_UTF8.decode(this.#bytes.subarray(this.#take(length), this.#at));
  }

  #list(count, depth) {
    const items = [];
    while (items.length < count) items.push(this.value(depth + 1));
    return items;
  }

  #map(count, depth) {
    const members = {};
    for (let index = 0; index < count; index += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") throw new TypeError("msgpack: a key is not text");
      const value = this.value(depth + 1);
      // Plainly set, this one key would change what the object is instead of what is in it.
      if (key === "__proto__") {
        Object.defineProperty(members, key, { value, writable: true, enumerable: true, configurable: true });
      } else members[key] = value;
    }
    return members;
  }
}

function exact(big) {
  const number = Number(big);
  return Number.isSafeInteger(number) ? number : big;
}

/**
 * Encode null, booleans, numbers, text, lists and plain objects as msgpack; members that are undefined are left out.
 * @param {any} value @returns {Uint8Array<ArrayBuffer>} @throws {TypeError} for anything else
 */
export function pack(value) {
  const bytes = [];
  put(bytes, value, 0);
  return Uint8Array.from(bytes);
}

const SCRATCH = new DataView(new ArrayBuffer(8));

function put(bytes, value, depth) {
  if (depth > MOST_NESTING) throw new TypeError(`msgpack: nested deeper than ${MOST_NESTING}`);
  if (value === null) bytes.push(0xc0);
  else if (typeof value === "boolean") bytes.push(value ? 0xc3 : 0xc2);
  else if (Number.isFinite(value)) putNumber(bytes, value);
  else if (typeof value === "string") {
    const text = TO_UTF8.encode(value);
    putLength(bytes, text.length, 0xa0, 31, 0xd9);
    for (const byte of text) bytes.push(byte);
  } else if (Array.isArray(value)) {
    putLength(bytes, value.length, 0x90, 15, 0xdb);
    for (const item of value) put(bytes, item, depth + 1);
  } else if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    putLength(bytes, members.length, 0x80, 15, 0xdd);
    for (const [key, member] of members) (put(bytes, key, depth + 1), put(bytes, member, depth + 1));
  } else throw new TypeError(`msgpack: ${typeof value} cannot be sent`);
}

function putNumber(bytes, number) {
  if (!Number.isSafeInteger(number)) putBig(bytes, 0xcb, 8, () => SCRATCH.setFloat64(0, number));
  else if (number >= 2 ** 32) putBig(bytes, 0xcf, 8, () => SCRATCH.setBigUint64(0, BigInt(number)));
  else if (number >= 2 ** 16) putBig(bytes, 0xce, 4, () => SCRATCH.setUint32(0, number));
  else if (number >= 2 ** 8) putBig(bytes, 0xcd, 2, () => SCRATCH.setUint16(0, number));
  else if (number >= 2 ** 7) bytes.push(0xcc, number);
  else if (number >= -32) bytes.push(number & 0xff);
  else if (number >= -(2 ** 7)) bytes.push(0xd0, number & 0xff);
  else if (number >= -(2 ** 15)) putBig(bytes, 0xd1, 2, () => SCRATCH.setInt16(0, number));
  else if (number >= -(2 ** 31)) putBig(bytes, 0xd2, 4, () => SCRATCH.setInt32(0, number));
  else putBig(bytes, 0xd3, 8, () => SCRATCH.setBigInt64(0, BigInt(number)));
}

function putBig(bytes, tag, size, write) {
  bytes.push(tag);
  write();
  for (let index = 0; index < size; index += 1) bytes.push(SCRATCH.getUint8(index));
}

/** Lists and maps have no form with a length of 8 bits: their `long` tag is one below that of 16. */
function putLength(bytes, length, short, most, long) {
  if (length <= most) bytes.push(short | length);
  else if (length < 2 ** 8 && long === 0xd9) bytes.push(long, length);
  else if (length < 2 ** 16) putBig(bytes, long + 1, 2, () => SCRATCH.setUint16(0, length));
  else putBig(bytes, long + 2, 4, () => SCRATCH.setUint32(0, length));
}

const CODECS = {
  msgpack: { name: "livedrop.v1.msgpack", encode: pack },
  json: { name: "livedrop.v1.json", encode: (message) => JSON.stringify(message) },
};

/** The message in what a socket has brought, or null where it is none. @param {string | ArrayBuffer} data */
function decoded(data) {
  try {
    const message = typeof data === "string" ? JSON.parse(data) : unpack(data);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}

// ---- The server's clock and the viewer's token ----

/** How far the server's clock is ahead of this computer's: what the quickest of the last round trips says. */
class ServerClock {
  #platform;
  #apart; // of this computer's two clocks
  /** @type {{skew: number, trip: number}[]} */
  #samples = []; // ms; the true skew lies within half a trip of each

  /** @param {Platform} platform */
  constructor(platform) {
    this.#platform = platform;
    this.#apart = platform.now() - platform.monotonic();
  }

  /** @returns {number} the server's time, Unix ms */
  now() {
    let best = { skew: 0, trip: Infinity };
    for (const sample of this.#samples) if (sample.trip <= best.trip) best = sample;
    return this.#platform.now() + best.skew;
  }

  /** @param {number} serverTime Unix ms @param {number} sentAt when it was asked for, on the clock that never jumps */
  sample(serverTime, sentAt) {
    const trip = this.#platform.monotonic() - sentAt;
    if (!Number.isFinite(serverTime) || !(trip >= 0)) return;
    const skew = serverTime + trip / 2 - this.#platform.now();
    // Those that this one excludes are from before a clock was set. 1 ms is what rounding takes.
    const agrees = (other) => Math.abs(other.skew - skew) <= (other.trip + trip) / 2 + 1;
    this.#samples = [...this.#samples.filter(agrees).slice(1 - CLOCK_SAMPLES), { skew, trip }];
  }

  /** @returns {boolean} whether a clock was set, or stood still, since this was asked last */
  jumped() {
    const apart = this.#platform.now() - this.#platform.monotonic();
    const jumped = Math.abs(apart - this.#apart) > JUMP_MS;
    this.#apart = apart;
    return jumped;
  }
}

/** A token that was given once, or a function that fetches one; a fetched one is kept as long as it lasts. */
class Tokens {
  #source;
  #platform;
  #clock;
  /** @type {Promise<string> | null} */
  #fetching = null;

  /** @param {string | (() => string | Promise<string>)} source @param {Platform} platform @param {ServerClock} clock */
  constructor(source, platform, clock) {
    this.#source = typeof source === "function" ? source : null;
    this.#platform = platform;
    this.#clock = clock;
    /** @type {string | null} */
    this.current = typeof source === "function" ? null : source;
  }

  /** @returns {boolean} whether a fresh one can be had */
  get renewable() {
    return this.#source !== null;
  }

  /** @returns {number} ms until it ends; Infinity where it does not say */
  get left() {
    return endOf(this.current) - this.#clock.now();
  }

  /** Do not use this one again, where another can be had. @param {string | null} token */
  forget(token) {
    if (this.renewable && token === this.current) this.current = null;
  }

  /** @returns {Promise<string | null>} one that lasts; rejects where none can be fetched now */
  async take() {
    if (!this.renewable || (this.current && this.left > TOKEN_LASTS_AT_LEAST_MS)) return this.current;
    return this.fetch();
  }

  /** @returns {Promise<string>} a fresh one; whoever asks meanwhile shares it. Rejects after 10 s. */
  fetch() {
    return (this.#fetching ??= this.#ask().finally(() => (this.#fetching = null)));
  }

  async #ask() {
    let timer = null;
    const late = new Promise((_, reject) => {
      timer = this.#platform.setTimeout(() => reject(new Error("No token came in time.")), TOKEN_WITHIN_MS);
    });
    try {
      const token = await Promise.race([Promise.resolve().then(this.#source), late]);
      return (this.current = token);
    } finally {
      this.#platform.clearTimeout(timer);
    }
  }
}

/** @param {string | null} token a JWT @returns {number} when it ends, Unix ms; Infinity where it does not say */
function endOf(token) {
  const claims = (token ?? "").split(".")[1] ?? "";
  try {
    const { exp } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
    return Number.isFinite(exp) ? exp * 1000 : Infinity;
  } catch {
    return Infinity;
  }
}

/** @param {Platform} platform @param {number} ms @returns {Promise<void>} */
function pause(platform, ms) {
  return new Promise((resolve) => platform.setTimeout(resolve, ms));
}

// ---- The client ----

/** @param {string} text @returns {Record<string, any>} empty where it is not a JSON object */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

/** @returns {Storage | null} what the browser has for a tab; reading it may be forbidden */
function storageOfPage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * Have a worker do the server's work: the page has a show to draw.
 * @param {{nonce: string, bits: number, origin: string}} challenge @param {AbortSignal} signal
 * @returns {Promise<string>} the answer
 */
async function workBesidePage({ nonce, bits, origin }, signal) {
  const source = new URL("/static/work.js", origin).href;
  const here = origin === globalThis.location?.origin;
  // No worker begins with a file of another origin, but any may import one.
  const trampoline = () => URL.createObjectURL(new Blob([`import "${source}";`], { type: "text/javascript" }));
  const worker = new Worker(here ? source : trampoline(), { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", reject);
      worker.onerror = reject;
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage({ nonce, bits });
    });
  } finally {
    worker.terminate();
  }
}

/** @returns {Platform} */
function platformOfPage() {
  return {
    WebSocket: globalThis.WebSocket,
    fetch: (url, request) => globalThis.fetch(url, request),
    setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random: () => Math.random(),
    work: workBesidePage,
    window: globalThis,
    document: globalThis.document ?? null,
  };
}

/** What the answer to an operation gives its caller. @param {Message} answer */
function outcomeOf({ reservation, waiting, receipt, ...answer }) {
  if (answer.type === "bundle") return answer.reservations;
  return { ...(reservation ?? answer), ...(waiting && { waiting }), ...(receipt && { receipt }) };
}

/** What the server has refused, or what stood before it. @param {number} status @param {Record<string, any>} problem */
function refusal(status, problem) {
  // Without a code it was not the server that spoke, and what became of the request is not known.
  const code = problem.code ?? (status === 429 ? "rate-limited" : "unavailable");
  return new LiveDropError(code, problem.detail ?? problem.title ?? `The answer was ${status}.`, problem);
}

export class LiveDrop extends EventTarget {
  #show;
  #origin;
  #codec;
  #storage;
  /** @type {Platform} */
  #platform;
  #clock;
  #tokens;
  #freshToken = false; // the present attempt's token was fetched for it
  /** @type {WebSocket | null} */
  #socket = null;
  #turn = 0; // counts attempts: what belongs to an earlier one is ignored
  #attempt = 0; // since the last connection that lasted
  /** @type {{epoch: string, offset: number} | null} */
  #position = null; // of the last event delivered
  /** @type {number | null} */
  #gapAt = null; // the offset at which the stream broke once already
  #helloAt = 0;
  /** @type {{nonce: string, answer: string, until: number} | null} */
  #proof = null; // of work that was done, for as long as the server believes it
  /** @type {AbortController | null} */
  #work = null; // ends the work of the present attempt
  #liveSince = Infinity;
  /** @type {Map<string, {message: Message, resolve: Function, reject: Function, tries: number, timers: any[]}>} */
  #operations = new Map();
  /** @type {Map<string, number>} */
  #reactions = new Map(); // kind -> count, to be sent together
  /** @type {Promise<boolean> | null} */
  #applause = null;
  /** @type {Map<string, any>} */
  #timers = new Map(); // of the present attempt, by what they are for
  /** @type {AbortController | null} */
  #ears = null; // ends the listening to the page
  /** @type {string | null} */
  #kept = null; // the unanswered checkout, should the storage not take it

  /**
   * @param {{show: string, token: string | (() => string | Promise<string>), origin?: string,
   *   codec?: "msgpack" | "json", storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null,
   *   platform?: Partial<Platform>}} options
   *   `token`: where it is a function that fetches a fresh one, the token is renewed before it ends; `origin`: the
   *   server's, by default the page's own; `storage` keeps an unanswered checkout across reloads, null: keep it here
   */
  constructor({ show, token, origin = globalThis.location?.origin, codec = "msgpack", storage, platform }) {
    super();
    if (!Object.hasOwn(CODECS, codec)) throw new TypeError(`codec is "msgpack" or "json", not "${codec}"`);
    if (!origin) throw new TypeError("Outside of a page the server's origin has to be given.");
    this.#show = show;
    this.#origin = origin;
    this.#codec = CODECS[codec];
    this.#storage = storage === undefined ? storageOfPage() : storage;
    this.#platform = { ...platformOfPage(), ...platform };
    this.#clock = new ServerClock(this.#platform);
    this.#tokens = new Tokens(token, this.#platform, this.#clock);
    /** @type {Connection} */
    this.connection = { state: "connecting" };
  }

  /** @returns {number} the server's Unix time in ms, as near as the quickest round trip tells. */
  now() {
    return this.#clock.now();
  }

  /** Open the socket; it is kept open, or opened again, until `disconnect` or a final close code. */
  connect() {
    this.#listen();
    this.#abandon();
    const turn = this.#turn;
    this.#setConnection({ state: "connecting" });
    if (turn === this.#turn) this.#open(turn);
  }

  /** Close for good. What still waits for an answer is rejected as `unavailable`. @param {string} [reason] */
  disconnect(reason = "Disconnected.") {
    this.#end(1000, reason);
  }

  /**
   * Take units of a drop. Repeated by itself until answered; at most one reservation comes of it.
   * @param {string} drop @param {number} [quantity]
   * @param {{part?: boolean, receipt?: boolean, id?: string}} [terms] `part`: what is left, and a place in the queue
   *   for the rest; `receipt`: have the answer signed; `id`: that of one without an answer (`extras.id` of its error)
   * @returns {Promise<any>} the reservation, with its `waiting` and `receipt`; with `part` perhaps a place alone;
   *   rejects with `out-of-stock` (`extras.available`), `limit-reached`, …
   */
  reserve(drop, quantity = 1, { part, receipt, id } = {}) {
    return this.#operate({ type: "reserve", drop, quantity, part, receipt }, id);
  }

  /**
   * Take units of several drops, all or none.
   * @param {{drop: string, quantity: number}[]} items @param {{id?: string}} [terms]
   * @returns {Promise<any[]>} the reservations, in the order of the items
   */
  bundle(items, { id } = {}) {
    return this.#operate({ type: "bundle", items }, id);
  }

  /** Give a reservation back. @param {string} reservation @returns {Promise<any>} the released reservation */
  release(reservation) {
    return this.#operate({ type: "release", reservation });
  }

  /**
   * Wait for units, or enter a draw.
   * @param {string} drop @param {number} [quantity] @param {{id?: string}} [terms]
   * @returns {Promise<any>} `{drop, position, length, quantity}`
   */
  join(drop, quantity = 1, { id } = {}) {
    return this.#operate({ type: "waitlist.join", drop, quantity }, id);
  }

  /** Give the place up. @param {string} drop @returns {Promise<any>} with position 0 */
  leave(drop) {
    return this.#operate({ type: "waitlist.leave", drop });
  }

  /**
   * Applaud. What comes within a quarter of a second is sent together, at most 100 of a kind; the rest does not count.
   * @param {string} kind @param {number} [count] @returns {Promise<boolean>} whether it was sent: it is never repeated
   */
  react(kind, count = 1) {
    this.#reactions.set(kind, Math.min(REACTIONS.most, (this.#reactions.get(kind) ?? 0) + count));
    this.#applause ??= pause(this.#platform, REACTIONS.every_ms).then(() => this.#applaud());
    return this.#applause;
  }

  /** Hand over a fresh token before the old one expires. @param {string} token */
  renew(token) {
    this.#tokens.current = token;
    if (!this.#isHeard) return;
    this.#send({ type: "token", token });
    this.#renewLater();
  }

  /**
   * One HTTP request of the API. A refused token is exchanged once, where it can be.
   * @param {string} method @param {string} path @param {{body?: object, key?: string}} [content]
   * @returns {Promise<any>} the decoded answer; rejects with a LiveDropError, `unavailable` if none came
   */
  async request(method, path, content = {}) {
    for (let mayExchange = this.#tokens.renewable; ; mayExchange = false) {
      const token = await this.#tokens.take().catch(() => {
        throw new LiveDropError("unavailable", "No token could be had.");
      });
      if (!token) throw new LiveDropError("unauthenticated", "There is no token.");
      try {
        return await this.#fetch(method, path, token, content);
      } catch (error) {
        const known = error instanceof LiveDropError;
        if (!known) throw new LiveDropError("unavailable", "The server could not be reached.");
        if (error.code !== "unauthenticated") throw error;
        this.#tokens.forget(token);
        if (!mayExchange) throw error;
      }
    }
  }

  /** @returns {any} the checkout that has no answer yet, to be handed to `checkout` again (after a reload), or null */
  get pendingCheckout() {
    return this.#pending()?.body ?? null;
  }

  /**
   * Turn reservations into one paid order. Asks with one key for a minute until the answer is known.
   * @param {{reservations?: string[], items?: {drop: string, quantity: number}[],
   *   payment: {method: string, token: string}, email?: string, expected_total?: number, [more: string]: any}} body
   * @returns {Promise<any>} the order; rejects with `payment-declined`, `total-changed`, `reservation-expired`, …;
   *   a rejection with `unknown` keeps the key: call again with the same body (`pendingCheckout`)
   */
  async checkout(body) {
    const earlier = this.#pending();
    if (earlier && JSON.stringify(earlier.body) !== JSON.stringify(body)) {
      throw new LiveDropError("in-progress", "An earlier payment has no answer yet.");
    }
    const { key } = earlier ?? { key: newId() };
    this.#keep(JSON.stringify({ key, body }));
    const until = this.#platform.monotonic() + CHECKOUT_ASKS_FOR_MS;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await this.request("POST", "/v1/checkout", { body, key });
        this.#keep(null);
        return answer.order ?? answer;
      } catch (error) {
        // A refused token says nothing about an attempt made before it expired.
        if (!error.unknown && error.code !== "unauthenticated") this.#keep(null);
        if (!error.unknown || this.#platform.monotonic() > until) throw error;
        await pause(this.#platform, (error.extras.retry_after_ms ?? 0) + this.#jitter(attempt));
      }
    }
  }

  /**
   * @param {string} method @param {string} path @param {string} token
   * @param {{body?: object, key?: string}} content @returns {Promise<any>}
   */
  async #fetch(method, path, token, { body, key }) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json", Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const patience = new AbortController();
    const timer = this.#platform.setTimeout(() => patience.abort(), HTTP_ANSWER_WITHIN_MS);
    try {
      const response = await this.#platform.fetch(new URL(path, this.#origin), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: patience.signal,
      });
      const text = await response.text();
      if (response.ok) return text === "" ? null : JSON.parse(text);
      throw refusal(response.status, parsed(text));
    } finally {
      this.#platform.clearTimeout(timer);
    }
  }

  // The checkout without an answer.

  get #pendingName() {
    return `livedrop.checkout.${this.#show}`;
  }

  #pending() {
    let text = this.#kept;
    try {
      text ??= this.#storage?.getItem(this.#pendingName) ?? null;
    } catch {
      // A storage that may not be read has nothing for us.
    }
    const { key, body } = parsed(text ?? "");
    return key ? { key, body } : null;
  }

  /** @param {string | null} text */
  #keep(text) {
    this.#kept = text;
    try {
      if (text === null) this.#storage?.removeItem(this.#pendingName);
      else this.#storage?.setItem(this.#pendingName, text);
    } catch {
      // Full or forbidden: it is kept as long as this object lives.
    }
  }

  // Operations: asked for until they are answered.

  /** @param {Message} command @param {string} [id] @returns {Promise<any>} */
  #operate(command, id = newId()) {
    const message = { ...command, id };
    return new Promise((resolve, reject) => {
      const refuse = (code, sentence) => reject(new LiveDropError(code, sentence, { id }));
      if (this.connection.state === "ended") refuse("unavailable", "The connection has ended.");
      else if (this.#operations.has(id)) refuse("in-progress", "This operation is waiting for its answer already.");
      else if (this.#operations.size >= MOST_OPERATIONS) {
        refuse("rate-limited", `${MOST_OPERATIONS} operations are waiting for their answers.`);
      } else {
        const unanswered = new LiveDropError("unavailable", "No answer came in time.", { id });
        const giveUp = () => this.#settle(id, { error: unanswered });
        const timers = [this.#platform.setTimeout(giveUp, OPERATION_ANSWER_WITHIN_MS)];
        this.#operations.set(id, { message, resolve, reject, tries: 0, timers });
        if (this.connection.state !== "live") return;
        this.#send(message);
        if (!this.#timers.has("life")) this.#expectLife();
      }
    });
  }

  /** @param {string} id @param {{value?: any, error?: LiveDropError}} outcome */
  #settle(id, { value, error }) {
    const operation = this.#operations.get(id);
    if (!operation) return;
    this.#operations.delete(id);
    operation.timers.forEach((timer) => this.#platform.clearTimeout(timer));
    if (error) operation.reject(error);
    else operation.resolve(value);
  }

  /** @param {Message} refused the `error` that answers an operation */
  #refused({ id, code, message, type: _type, ...extras }) {
    const error = new LiveDropError(code, message ?? code, { ...extras, id });
    const operation = this.#operations.get(id);
    if (!operation || !error.unknown) {
      this.#settle(id, { error });
      return;
    }
    operation.tries += 1;
    const again = () => this.connection.state === "live" && this.#send(operation.message);
    const wait = (extras.retry_after_ms ?? 0) + this.#jitter(operation.tries);
    operation.timers[1] = this.#platform.setTimeout(again, wait);
  }

  #applaud() {
    const live = this.connection.state === "live";
    for (const [kind, count] of this.#reactions) if (live) this.#send({ type: "react", kind, count });
    this.#reactions.clear();
    this.#applause = null;
    return live;
  }

  // One attempt: the socket, its hello, and what the server says on it.

  /** @param {number} turn */
  async #open(turn) {
    try {
      const before = this.#tokens.current;
      const token = await this.#tokens.take();
      if (turn !== this.#turn) return;
      if (!token) {
        this.#end(NO_TOKEN, "There is no token.");
        return;
      }
      this.#freshToken = token !== before;
      const url = new URL(`/v1/shows/${encodeURIComponent(this.#show)}/live`, this.#origin);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const socket = new this.#platform.WebSocket(url, this.#codec.name);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      this.#expectLife();
      socket.onopen = () => turn === this.#turn && this.#hello(token);
      socket.onmessage = ({ data }) => turn === this.#turn && this.#receive(data);
      socket.onclose = ({ code, reason }) => turn === this.#turn && this.#lost(code, parsed(reason));
    } catch {
      if (turn === this.#turn) this.#lost(0); // no token to be had now; perhaps on the next attempt
    }
  }

  /** @param {string | null} token */
  #hello(token) {
    this.#helloAt = this.#platform.monotonic();
    const { nonce, answer, until = 0 } = this.#proof ?? {};
    const proof = until > this.#clock.now() ? { nonce, answer } : undefined;
    this.#send({ type: "hello", token, proof, since: this.#position ?? undefined });
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    const message = decoded(data);
    if (message === null) {
      this.#broken();
      return;
    }
    this.#stop("life");
    if (message.type === "challenge") this.#prove(message);
    else if (this.#clock.jumped()) this.#ping();
    if (message.type === "waiting") this.#queue(message);
    if (message.type === "welcome") {
      if (!this.#welcome(message)) return;
    } else if (message.type === "pong") this.#clock.sample(message.server_time_at, Number(message.id));
    else if (message.offset !== undefined && !this.#inOrder(message.offset)) return;
    this.#emit("message", message);
    this.#emit(message.type, message);
    if (!this.#operations.has(message.id)) return;
    if (message.type === "error") this.#refused(message);
    else this.#settle(message.id, { value: outcomeOf(message) });
  }

  /** Do the work that is asked for, and say hello again with what came of it. @param {Message} challenge */
  async #prove({ nonce, bits, expires_at: until }) {
    if (!(bits <= WORK.most_bits)) {
      this.#end(MISUNDERSTOOD, `The server asks for ${bits} bits of work, ${WORK.most_bits} at most are done.`);
      return;
    }
    const turn = this.#turn;
    const { signal } = (this.#work = new AbortController());
    this.#proof = null; // if there was one, it was not believed
    this.#start("work", WORK.within_ms, () => this.#lost(0));
    this.#setConnection({ state: "checking" });
    if (turn !== this.#turn) return;
    try {
      const answer = await this.#platform.work({ nonce, bits, origin: this.#origin }, signal);
      if (turn !== this.#turn) return;
      this.#stop("work");
      this.#proof = { nonce, answer, until };
      this.#hello(this.#tokens.current);
      this.#expectLife();
    } catch {
      if (turn === this.#turn) this.#lost(0);
    }
  }

  /** The show is full: stay, for as long as it takes. @param {Message} waiting */
  #queue({ type: _type, ...room }) {
    if (this.connection.state !== "queued") {
      this.#liveSince = this.#platform.monotonic();
      this.#pingLater(CLOCK_PINGS.count);
      this.#renewLater();
    }
    this.#setConnection({ state: "queued", room });
  }

  /** @returns {boolean} whether more than a hello would be heard */
  get #isHeard() {
    return this.connection.state === "live" || this.connection.state === "queued";
  }

  /** @param {Message} message @returns {boolean} whether it is one that we can go on from */
  #welcome({ epoch, offset, recovered, server_time_at: serverTime }) {
    // A recovered stream goes on where we stood: the missed events come first.
    if (!recovered) this.#position = { epoch, offset };
    else if (this.#position?.epoch !== epoch) {
      this.#position = null;
      this.#lost(0);
      return false;
    }
    this.#liveSince = this.#platform.monotonic();
    this.#clock.sample(serverTime, this.#helloAt);
    for (const { message } of this.#operations.values()) this.#send(message);
    this.#pingLater(CLOCK_PINGS.count);
    this.#renewLater();
    this.#setConnection({ state: "live" });
    return true;
  }

  /** Count an event in. A repeat is dropped; after a gap the missing ones are fetched. @param {number} offset */
  #inOrder(offset) {
    if (this.#position === null || offset <= this.#position.offset) return false;
    if (offset !== this.#position.offset + 1) {
      this.#broken();
      return false;
    }
    this.#position = { ...this.#position, offset };
    return true;
  }

  /** Come back for what is missing; the second time at the same place for everything. */
  #broken() {
    const at = this.#position?.offset ?? null;
    if (at === this.#gapAt) this.#position = null;
    this.#gapAt = at;
    this.#lost(0);
  }

  // Going and coming back.

  /** @param {number} code @param {{retry_after_ms?: number, message?: string}} [reason] */
  #lost(code, { retry_after_ms: told, message } = {}) {
    const exchange = code === NO_TOKEN && this.#tokens.renewable && !this.#freshToken;
    if (code >= FINAL_CODES.from && code <= FINAL_CODES.to && !exchange) {
      this.#end(code, message);
      return;
    }
    if (exchange || code === TOKEN_EXPIRED) this.#tokens.forget(this.#tokens.current);
    if (code === POSITION_LOST) this.#position = null;
    this.#abandon();
    if (this.#platform.monotonic() - this.#liveSince > STEADY_AFTER_MS) this.#attempt = 0;
    this.#liveSince = Infinity;
    const least = Math.max(0, Number(told) || 0);
    // A server that leaves gives each viewer a time of its own; whatever else it says, it may say to many at once.
    const own = code === LEAVING && least > 0 && this.#attempt === 0;
    const wait = least + (own ? 0 : this.#jitter(this.#attempt));
    this.#attempt += 1;
    this.#comeBack(wait, { code, slot: least > 0 });
  }

  /** @param {number} wait ms @param {{code: number, slot: boolean}} why */
  #comeBack(wait, { code, slot }) {
    this.#start("reconnect", wait, () => this.connect());
    this.#setConnection({ state: "waiting", code, retry_at: this.#platform.now() + wait, slot });
  }

  /** @param {number} code @param {string} [reason] */
  #end(code, reason) {
    this.#abandon();
    this.#ears?.abort();
    this.#ears = null;
    this.#setConnection({ state: "ended", code, reason });
    for (const id of [...this.#operations.keys()]) {
      this.#settle(id, { error: new LiveDropError("unavailable", "The connection has ended.", { id }) });
    }
  }

  /** Leave the present attempt without waiting for a goodbye: a dead network would never say it. */
  #abandon() {
    this.#turn += 1;
    this.#work?.abort();
    for (const name of [...this.#timers.keys()]) this.#stop(name);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Full jitter: anything from nothing to an exponentially growing limit, so that a crowd comes back spread out. */
  #jitter(attempt) {
    return this.#platform.random() * Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** attempt);
  }

  // What the page goes through.

  #listen() {
    if (this.#ears) return;
    this.#ears = new AbortController();
    const { window, document } = this.#platform;
    const { signal } = this.#ears;
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    on(window, "online", () => this.#wake());
    on(window, "offline", () => this.#isHeard && this.#ping(AWAKE_WITHIN_MS));
    on(document, "visibilitychange", () => document.hidden || this.#wake());
    on(document, "resume", () => this.#wake());
    on(window, "pagehide", () => this.#hide());
    on(window, "pageshow", ({ persisted }) => persisted && this.connect());
  }

  /** The network or the reader is back: find out at once whether the socket lives, or try again soon. */
  #wake() {
    const { state, slot, code = 0, retry_at: due = 0 } = this.connection;
    if (this.#isHeard) this.#ping(AWAKE_WITHIN_MS);
    if (state !== "waiting" || slot) return;
    // Soon, not at once: a whole train leaves the tunnel together.
    const wait = this.#jitter(0);
    if (this.#platform.now() + wait < due) this.#comeBack(wait, { code, slot: false });
  }

  /** Let go of the socket: with one the browser would not keep the page for a return. */
  #hide() {
    this.#abandon();
    this.#attempt = 0;
    this.#comeBack(SIGN_OF_LIFE_WITHIN_MS, { code: 0, slot: false }); // should the page stay after all
  }

  // Pings, renewals and other timers of the present attempt.

  #ping(within = SIGN_OF_LIFE_WITHIN_MS) {
    this.#send({ type: "ping", id: String(this.#platform.monotonic()) });
    this.#expectLife(within);
  }

  /** @param {number} quick how many come soon; all others are as far apart as keeps a quiet line known to be alive */
  #pingLater(quick) {
    const random = this.#platform.random();
    const wait = quick > 0 ? CLOCK_PINGS.within_ms * random : PING_EVERY_MS * (0.5 + random / 2);
    this.#start("ping", wait, () => {
      this.#ping();
      this.#pingLater(Math.max(0, quick - 1));
    });
  }

  #expectLife(within = SIGN_OF_LIFE_WITHIN_MS) {
    this.#start("life", within, () => this.#lost(0));
  }

  /** Fetch a fresh token somewhere in the second half of the old one's life: a crowd got theirs together. */
  #renewLater() {
    const { renewable, left } = this.#tokens;
    if (!renewable || left === Infinity) return;
    const wait = Math.max(RENEW_APART_MS, left * (0.5 + 0.4 * this.#platform.random()));
    this.#start("token", wait, () => this.#renew(this.#turn));
  }

  /** @param {number} turn */
  async #renew(turn) {
    const token = await this.#tokens.fetch().catch(() => null);
    if (turn !== this.#turn) return;
    if (token) this.#send({ type: "token", token });
    this.#renewLater();
  }

  /** @param {string} name @param {number} ms @param {() => void} run */
  #start(name, ms, run) {
    this.#stop(name);
    const fire = () => (this.#timers.delete(name), run());
    this.#timers.set(name, this.#platform.setTimeout(fire, Math.min(ms, LONGEST_TIMER_MS)));
  }

  /** @param {string} name */
  #stop(name) {
    this.#platform.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  /** @param {Message} message */
  #send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(this.#codec.encode(message));
  }

  /** @param {Connection} connection */
  #setConnection(connection) {
    this.connection = connection;
    this.#emit("connection", connection);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
