/** A world for the client: time that the test moves on, a network that breaks on demand, and a show at its other end. */

const { CLIENT } = process.env;
/** The client under test; a broken copy of it takes its place where the tests themselves are tested. */
export const { LiveDrop, LiveDropError, newId, pack, unpack } = await import(
  CLIENT ?? "../../server/web/client/livedrop.js"
);

export const DAY = 86_400_000;
export const START = Date.UTC(2026, 0, 1);

/** Mulberry32: the same numbers for the same seed. */
export function randomness(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Let everything happen that waits for nothing but its turn. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Virtual time in ms, and everything that runs on it. */
export class World {
  #timers = []; // in the order in which they are due
  #due = new Set(); // the ids of those that were not cancelled
  #ids = 0;

  constructor(seed = 1) {
    this.time = 0;
    this.random = randomness(seed);
  }

  /** Call `run` in `ms`. */
  after(ms, run) {
    const id = (this.#ids += 1);
    const at = this.time + Math.max(0, ms);
    let [low, high] = [0, this.#timers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#timers[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, { id, at, run });
    this.#due.add(id);
    return id;
  }

  cancel(id) {
    this.#due.delete(id);
  }

  /** Move time on; everything due runs in order, each at its own moment. */
  async advance(ms) {
    const until = this.time + ms;
    await settled();
    while (this.#timers[0]?.at <= until) {
      const { id, at, run } = this.#timers.shift();
      if (!this.#due.delete(id)) continue;
      this.time = at;
      run();
      await settled();
    }
    this.time = until;
    await settled();
  }

  /** Move on in steps until the predicate holds; throws after `most` ms. */
  async until(predicate, most = 120_000) {
    const end = this.time + most;
    await settled();
    while (!predicate()) {
      if (this.time >= end) throw new Error(`still not so after ${most} ms: ${predicate}`);
      await this.advance(5);
    }
  }

  /** Move on until a promise is settled, and give its value or throw its error; throws after `most` ms. */
  async result(promise, most) {
    let known = false;
    const done = () => (known = true);
    promise.then(done, done);
    await this.until(() => known, most);
    return promise;
  }
}

/** What a page gives the client, each page with a clock of its own. */
export class Page {
  /** @param {World} world @param {Show} show @param {{ahead?: number, seed?: number, answer?: Function}} options */
  constructor(world, show, { ahead = 0, seed = 1, answer } = {}) {
    this.ahead = ahead; // ms that its clock is ahead of the server's
    this.window = new EventTarget();
    this.document = Object.assign(new EventTarget(), { hidden: false });
    this.requests = [];
    const page = this;
    this.platform = {
      WebSocket: class extends Socket {
        constructor(url, protocol) {
          super(world, show, url, protocol);
        }
      },
      fetch: async (url, request) => {
        page.requests.push({ url: url.pathname, ...request, body: request.body && JSON.parse(request.body) });
        const aborted = new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason));
        });
        return Promise.race([answer(page.requests.at(-1), page.requests.length), aborted]);
      },
      setTimeout: (run, ms) => world.after(ms, run),
      clearTimeout: (id) => world.cancel(id),
      now: () => Math.floor(START + world.time + page.ahead),
      monotonic: () => world.time,
      random: randomness(seed),
      window: this.window,
      document: this.document,
    };
  }

  /** Tell the client of an event of the page. */
  tell(type, fields = {}) {
    const place = type === "visibilitychange" || type === "resume" ? this.document : this.window;
    place.dispatchEvent(Object.assign(new Event(type), fields));
  }
}

/** A browser's websocket with a network of `show.trip` ms there and back. */
class Socket {
  readyState = 0;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(world, show, url, protocol) {
    this.world = world;
    this.show = show;
    this.url = String(url);
    this.binary = protocol === "livedrop.v1.msgpack";
    this.protocol = protocol;
    show.attempts.push({ at: world.time, socket: this });
    world.after(show.trip / 2, () => {
      if (this.readyState !== 0) return;
      if (!show.reachable) this.ended(1006, "");
      else {
        this.readyState = 1;
        show.sockets.add(this);
        this.onopen?.();
      }
    });
  }

  /** Called by the client. */
  send(data) {
    const message = this.binary ? unpack(data) : JSON.parse(data);
    this.world.after(this.show.trip / 2, () => this.show.sockets.has(this) && this.show.hear(this, message));
  }

  close() {
    this.readyState = 3;
    this.show.sockets.delete(this);
  }

  /** Called by the show: bring a message, after its way. */
  bring(message) {
    const data = this.binary ? pack(message).buffer : JSON.stringify(message);
    this.world.after(this.show.trip / 2, () => this.readyState === 1 && this.onmessage?.({ data }));
  }

  ended(code, reason) {
    if (this.readyState === 3) return;
    this.close();
    this.onclose?.({ code, reason });
  }
}

/** The server's end of one show: a log with an epoch, and operations that are done once per id. */
export class Show {
  attempts = []; // {at, socket} of every try to connect
  heard = []; // every message that came, with `at`
  sockets = new Set();
  reachable = true;
  trip = 20;
  epoch = "e1";
  log = []; // events; the first has offset 1
  done = new Map(); // operation id -> its answer
  /** What a message is answered with; tests put their own in front. */
  answers = { ...ANSWERS };

  constructor(world) {
    this.world = world;
  }

  get now() {
    return Math.floor(START + this.world.time);
  }

  hear(socket, message) {
    this.heard.push({ at: this.world.time, ...message });
    this.answers[message.type]?.(this, socket, message);
  }

  of(type) {
    return this.heard.filter((message) => message.type === type);
  }

  /** Append an event to the log and tell everybody, but for those that `lose` picks. */
  happen(type, fields = {}, { lose = () => false } = {}) {
    const event = { type, offset: this.log.length + 1, at: this.now, ...fields };
    this.log.push(event);
    for (const socket of this.sockets) if (socket.welcomed && !lose(socket)) socket.bring(event);
    return event;
  }

  say(message) {
    for (const socket of this.sockets) socket.bring(message);
  }

  /** Close every connection, as a server does or a network: at once. */
  close(code = 1006, reason = {}) {
    for (const socket of [...this.sockets]) socket.ended(code, JSON.stringify(reason));
  }
}

export function welcome(show, socket, { since }) {
  const offset = show.log.length;
  const fields = { session: "s", viewer: "v", epoch: show.epoch, server_time_at: show.now };
  socket.welcomed = true;
  if (since?.epoch === show.epoch && since.offset <= offset) {
    socket.bring({ type: "welcome", ...fields, offset, recovered: true, missed: offset - since.offset });
    for (const event of show.log.slice(since.offset)) socket.bring(event);
  } else socket.bring({ type: "welcome", ...fields, offset, recovered: false, snapshot: { drops: [] } });
}

function once(answer) {
  return (show, socket, message) => {
    const known = show.done.get(message.id);
    if (!known) show.done.set(message.id, answer(show, message));
    socket.bring({ id: message.id, ...show.done.get(message.id), replayed: Boolean(known) });
  };
}

const ANSWERS = {
  hello: welcome,
  ping: (show, socket, { id }) => socket.bring({ type: "pong", id, server_time_at: show.now }),
  token: (show, socket) => socket.bring({ type: "ok" }),
  reserve: once((show, { drop, quantity }) => ({
    type: "reservation",
    reservation: { id: `rs_${show.done.size}`, drop, quantity, state: "held", expires_at: show.now + 120_000 },
  })),
  release: once((show, { reservation: id }) => ({ type: "reservation", reservation: { id, state: "released" } })),
  bundle: once((show, { items }) => ({
    type: "bundle",
    reservations: items.map(({ drop, quantity }, index) => ({ id: `rs_${index}`, drop, quantity, state: "held" })),
  })),
  "waitlist.join": once((show, { drop, quantity }) => ({ type: "waitlist", drop, position: 1, length: 1, quantity })),
  "waitlist.leave": once((show, { drop }) => ({ type: "waitlist", drop, position: 0, length: 0, quantity: 0 })),
};

/** A JWT of which only the end counts. @param {number} expiresAt Unix ms */
export function tokenUntil(expiresAt, name = "v") {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part({ sub: name, exp: Math.floor(expiresAt / 1000) })}.${name}`;
}

/** A client at a show, with what it tells its page. */
export function client(world, show, { page = new Page(world, show), ...options } = {}) {
  const live = new LiveDrop({
    show: "sh_1",
    token: "t",
    origin: "http://shop.test",
    storage: null,
    platform: page.platform,
    ...options,
  });
  live.page = page;
  live.events = []; // of the log, as delivered
  live.welcomes = [];
  live.connections = [];
  live.addEventListener("connection", ({ detail }) => live.connections.push({ at: world.time, ...detail }));
  live.addEventListener("welcome", ({ detail }) => {
    live.welcomes.push(detail);
    if (!detail.recovered) live.events = [];
  });
  live.addEventListener("message", ({ detail }) => detail.at && live.events.push(detail));
  return live;
}

/** The same, connected. */
export async function connected(world, show, options) {
  const live = client(world, show, options);
  live.connect();
  await world.until(() => live.connection.state === "live");
  return live;
}
