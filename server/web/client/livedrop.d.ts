/** Client of one Livedrop show: the live socket and the checkout. */

export type ErrorCode =
  | "invalid-message"
  | "payload-too-large"
  | "unauthenticated"
  | "not-allowed"
  | "not-found"
  | "wrong-state"
  | "idempotency-key-required"
  | "out-of-stock"
  | "limit-reached"
  | "drop-not-open"
  | "drop-closed"
  | "show-not-live"
  | "reservation-expired"
  | "payment-declined"
  | "total-changed"
  | "in-progress"
  | "idempotency-mismatch"
  | "rate-limited"
  | "unavailable";

/** What went wrong, with the numbers that belong to it. */
export class LiveDropError extends Error {
  constructor(code: ErrorCode | (string & {}), message: string, extras?: Record<string, any>);
  readonly code: ErrorCode | (string & {});
  readonly extras: {
    /** The operation's id, with which it can be asked for again. */
    id?: string;
    /** Units that are left, of `out-of-stock`. */
    available?: number;
    /** Units that others hold and may give back, of `out-of-stock`. */
    held?: number;
    /** Unix ms, of `drop-not-open`. */
    opens_at?: number;
    /** Minor units, of `total-changed`. */
    current_total?: number;
    retry_after_ms?: number;
    [more: string]: any;
  };
  /** Whether the operation may or may not have happened: the same id or key may and should be repeated. */
  get unknown(): boolean;
}

/** 32 random hexadecimal digits. */
export function newId(): string;

/** Encode null, booleans, numbers, text, lists and plain objects as msgpack. */
export function pack(value: unknown): Uint8Array<ArrayBuffer>;

/** Decode one msgpack value; refuses extension types, keys that are not text, and what is nested deeper than 32. */
export function unpack(data: ArrayBuffer | Uint8Array): any;

export interface Stock {
  /** Can be taken now. */
  available: number;
  /** Reserved and not yet paid. */
  held: number;
  sold: number;
  /** Offered: available + held + sold. */
  quantity: number;
  /** Grows with every change. */
  revision: number;
  waitlist_length: number;
}

export interface Show {
  id: string;
  title: string;
  currency: string;
  status: "scheduled" | "live" | "paused" | "ended";
  created_at: number;
  locale?: string;
  starts_at?: number;
  started_at?: number;
  ended_at?: number;
  limit_per_viewer?: number;
  video_url?: string;
  run?: string[];
  [more: string]: any;
}

export interface Drop extends Stock {
  id: string;
  show: string;
  sku: string;
  title: string;
  unit_price: number;
  currency: string;
  limit_per_viewer: number;
  hold_seconds: number;
  /** Who gets units: who comes first, who pays first, or who is drawn. */
  mode: "fifo" | "first_paid" | "draw";
  waitlist: boolean;
  status: "scheduled" | "countdown" | "open" | "paused" | "closed";
  created_at: number;
  options?: Record<string, string>;
  handle?: string;
  image?: string;
  opens_at?: number;
  closes_at?: number;
  opened_at?: number;
  closed_at?: number;
  [more: string]: any;
}

export interface Product {
  sku: string;
  handle: string;
  title: string;
  description: string;
  vendor: string;
  options: Record<string, string>;
  unit_price: number;
  currency: string;
  compare_at_price?: number;
  images: string[];
  inventory_quantity?: number;
  tags: string[];
}

export interface Reservation {
  id: string;
  drop: string;
  sku: string;
  quantity: number;
  state: "held" | "paying" | "sold" | "released" | "expired";
  unit_price: number;
  currency: string;
  expires_at: number;
}

/** A place in a drop's queue, or which entry into its draw it is: 1 is the next, 0 none. */
export interface Place {
  drop: string;
  position: number;
  quantity: number;
}

export interface Order {
  id: string;
  show: string;
  status:
    | "confirming"
    | "requires_action"
    | "paid"
    | "fulfilled"
    | "cancelled"
    | "refunded"
    | "partially_refunded";
  lines: {
    sku: string;
    title: string;
    drop: string;
    reservation: string;
    quantity: number;
    unit_price: number;
  }[];
  total: number;
  currency: string;
  payment: {
    provider: string;
    status: "pending" | "authorized" | "captured" | "voided" | "declined" | "refunded";
  };
  created_at: number;
  action_url?: string;
  [more: string]: any;
}

export interface Snapshot {
  show: Show;
  drops: Drop[];
  pinned: Product[];
  reservations: Reservation[];
  waitlist: Place[];
  viewers: number;
  [more: string]: any;
}

/** Where a viewer stands who waits for a seat. */
export interface Room {
  /** Before the opening nobody has a place: they are drawn by lot for all who came before it. */
  status: "before_opening" | "in_line";
  /** 1 is the next. */
  place: number | null;
  /** How many wait. */
  waiting: number;
  /** Until it is their turn; null while it is not known. */
  estimate_ms: number | null;
  /** When the show is to begin, Unix ms. */
  opens_at: number | null;
  /** How long the place is kept for one whose connection is lost. */
  keep_ms: number;
  /** The show's. */
  title: string;
}

interface Logged {
  /** Gapless per show. */
  offset: number;
  /** Unix ms. */
  at: number;
}

/** What the server says, by `type`. */
export interface Messages {
  welcome: {
    session: string;
    viewer: string;
    epoch: string;
    offset: number;
    server_time_at: number;
    /** Whether the stream goes on where this client stood; else there is a snapshot. */
    recovered: boolean;
    snapshot?: Snapshot;
    missed?: number;
    reservations?: Reservation[];
    waitlist?: Place[];
  };
  reservation: {
    id?: string;
    reservation: Reservation;
    replayed: boolean;
    waiting?: Omit<Place, "drop"> & { length: number };
    receipt?: string;
  };
  bundle: { id: string; reservations: Reservation[]; replayed: boolean };
  waitlist: Place & { id?: string; length: number; receipt?: string };
  "waitlist.promoted": { drop: string; reservation: Reservation };
  error: { id?: string; code: ErrorCode; message: string; retry_after_ms?: number; available?: number; held?: number };
  /** The show is full, or has not begun: this viewer waits for a seat. The welcome follows by itself. */
  waiting: Room;
  /** Work to be done before the welcome; the client does it by itself. */
  challenge: { nonce: string; bits: number; answer_by_at: number; expires_at: number };
  pong: { id?: string; server_time_at: number };
  ok: {};
  "show.started": Logged;
  "show.paused": Logged;
  "show.resumed": Logged;
  "show.ended": Logged;
  /** The hosts mean to bring the drops in this order. */
  "show.arranged": Logged & { drops: string[] };
  /** Without an address the show has no video any more. */
  "video.changed": Logged & { video_url?: string };
  "product.pinned": Logged & { products: Product[] };
  "drop.scheduled": Logged & { drop: Drop };
  "drop.countdown": Logged & { drop: Drop; opens_at: number };
  "drop.opened": Logged & { drop: Drop };
  "drop.paused": Logged & { drop_id: string };
  "drop.resumed": Logged & { drop_id: string };
  "drop.restocked": Logged & { drop_id: string; stock: Stock & { drop_id: string }; wave?: number };
  "drop.sold_out": Logged & { drop_id: string };
  "drop.drawn": Logged & { drop_id: string; seed: string; seed_hash: string; entries: number; units: number };
  "drop.closed": Logged & { drop_id: string; stock: Stock & { drop_id: string } };
  "stock.updated": Stock & { drop_id: string };
  "viewers.updated": { count: number };
  reactions: { counts: Record<string, number> };
  "order.updated": { order: Order };
}

export type Message = { [Type in keyof Messages]: { type: Type } & Messages[Type] }[keyof Messages];

export interface Connection {
  /**
   * `checking` does the work that this server asks of unknown viewers, `queued` waits for a seat, `waiting` comes back
   * at `retry_at`, `ended` never does.
   */
  state: "connecting" | "checking" | "queued" | "live" | "waiting" | "ended";
  /** Where this viewer stands, while `queued`. */
  room?: Room;
  /** The close code that led here; 0 where there was none. */
  code?: number;
  reason?: string;
  /** Unix ms by this computer's own clock. */
  retry_at?: number;
  /** Whether the server wants nobody back before that. */
  slot?: boolean;
}

export type LiveDropEvents = {
  [Type in keyof Messages]: CustomEvent<{ type: Type } & Messages[Type]>;
} & {
  /** Every message, before the event of its own type. */
  message: CustomEvent<Message>;
  connection: CustomEvent<Connection>;
};

/** What the client uses of its surroundings. */
export interface Platform {
  WebSocket: typeof globalThis.WebSocket;
  fetch: (url: URL, request: RequestInit) => Promise<Response>;
  setTimeout: (run: () => void, ms: number) => any;
  clearTimeout: (timer: any) => void;
  /** This computer's clock, Unix ms; it may be wrong, and may jump. */
  now: () => number;
  /** Ms since some moment; it never jumps. */
  monotonic: () => number;
  /** From 0 to below 1. */
  random: () => number;
  /** Finds a number for which SHA-256 of `nonce:number` begins with so many zero bits, until the signal ends it. */
  work: (challenge: { nonce: string; bits: number; origin: string }, signal: AbortSignal) => Promise<string>;
  /** Where `online`, `offline`, `pagehide` and `pageshow` are told, or null. */
  window: any;
  /** Where `visibilitychange` and `resume` are told, or null. */
  document: any;
}

export interface Options {
  show: string;
  /** A token, or a function that fetches a fresh one: then it is renewed before it ends. A falsy one ends it all. */
  token: string | (() => string | Promise<string>);
  /** The server's; by default the page's own. */
  origin?: string;
  /** Default: msgpack. */
  codec?: "msgpack" | "json";
  /** Keeps an unanswered checkout across reloads; by default the tab's sessionStorage, null: memory alone. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  platform?: Partial<Platform>;
}

export interface CheckoutBody {
  reservations?: string[];
  items?: { drop: string; quantity: number }[];
  payment: { method: string; token: string };
  email?: string;
  expected_total?: number;
  [more: string]: any;
}

/** A reservation with a place for the rest, where only a part was left, and the signed account, where asked for. */
export type Taken = Reservation & { waiting?: Omit<Place, "drop"> & { length: number }; receipt?: string };

export class LiveDrop extends EventTarget {
  constructor(options: Options);
  connection: Connection;
  /** The server's Unix time in ms, as near as the quickest of the last round trips tells. */
  now(): number;
  /** Open the socket; it is kept open, or opened again, until `disconnect` or a final close code. */
  connect(): void;
  /** Close for good; what waits for an answer is rejected as `unavailable`. */
  disconnect(reason?: string): void;
  /** Take units; repeated until answered, and at most one reservation comes of it. */
  reserve(drop: string, quantity?: number, terms?: { part?: false; receipt?: boolean; id?: string }): Promise<Taken>;
  /** Take what is left, and wait for the rest: a place alone where nothing was left. */
  reserve(
    drop: string,
    quantity: number,
    terms: { part: boolean; receipt?: boolean; id?: string },
  ): Promise<Taken | Messages["waitlist"]>;
  /** Take units of several drops, all or none. */
  bundle(items: { drop: string; quantity: number }[], terms?: { id?: string }): Promise<Reservation[]>;
  /** Give a reservation back. */
  release(reservation: string): Promise<Reservation>;
  /** Wait for units, or enter a draw. */
  join(drop: string, quantity?: number, terms?: { id?: string }): Promise<Messages["waitlist"]>;
  /** Give the place up. */
  leave(drop: string): Promise<Messages["waitlist"]>;
  /** Applaud; tells whether it was sent. */
  react(kind: string, count?: number): Promise<boolean>;
  /** Hand over a fresh token before the old one expires. */
  renew(token: string): void;
  /** One HTTP request of the API; rejects with a LiveDropError. */
  request(method: string, path: string, content?: { body?: object; key?: string }): Promise<any>;
  /** The checkout that has no answer yet, to be handed to `checkout` again, or null. */
  get pendingCheckout(): CheckoutBody | null;
  /** Turn reservations into one paid order; asks with one key for a minute until the answer is known. */
  checkout(body: CheckoutBody): Promise<Order>;

  addEventListener<Type extends keyof LiveDropEvents>(
    type: Type,
    listener: (event: LiveDropEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof LiveDropEvents>(
    type: Type,
    listener: (event: LiveDropEvents[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
