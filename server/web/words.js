/**
 * Numbers and codes in words that a person can act on.
 */

/** @param {number} ms left @returns {string} `0:07`, `12:00`, `1:02:03`; seconds are rounded up, so 0:00 means over */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, minutes, rest] = parts.map(String);
  if (hours === "0") return `${minutes}:${rest.padStart(2, "0")}`;
  return `${hours}:${minutes.padStart(2, "0")}:${rest.padStart(2, "0")}`;
}

/** @param {number} count @param {string} one @param {string} [many] @returns {string} `1 unit`, `2 units` */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/**
 * A variant's name: its product's title with what sets it apart, where the title does not say it already.
 * @param {{title: string, options?: Record<string, string>}} product @returns {string}
 */
export function nameOf({ title, options }) {
  const values = Object.values(options ?? {}).filter(
    (value) => value !== "Default Title" && !title.includes(value),
  );
  return [title, ...values].join(" · ");
}

const SENTENCES = {
  "out-of-stock": ({ available }) =>
    available > 0
      ? `Only ${available} left: choose fewer.`
      : "Somebody was faster: nothing is left right now.",
  "limit-reached": () => "You already have as many as one person can take.",
  "drop-not-open": () => "Not open yet.",
  "drop-closed": () => "This drop has closed.",
  "show-not-live": () => "The show is not live right now.",
  "reservation-expired": () => "Your time ran out and the items went back. Nothing was charged.",
  "payment-declined": () =>
    "The card was declined. Nothing was charged: try another one while your time runs.",
  "total-changed": () => "The price has changed. Please look at the new total and pay again.",
  "in-progress": () => "This is still being worked on. One moment.",
  "rate-limited": () => "That was a bit fast. One moment.",
  unauthenticated: () => "This link is no longer valid. Ask for a new one.",
  "not-allowed": () => "This link does not allow that.",
  unavailable: () => "No answer from the server. Nothing is taken or charged twice: try again.",
};

/** @param {import("./livedrop.js").LiveDropError} error @returns {string} a sentence for buyers */
export function sentence(error) {
  const known = SENTENCES[error.code];
  return known ? known(error.extras ?? {}) : error.message;
}

/** @type {Record<string, string>} an order's status in words */
export const ORDER_WORDS = {
  confirming: "Being confirmed",
  requires_action: "Your bank asks for a confirmation",
  paid: "Paid",
  fulfilled: "On its way",
  cancelled: "Cancelled",
  refunded: "Refunded",
  partially_refunded: "Partly refunded",
};

/** @type {Record<string, string>} what an order's sheet is headed with, by the order's status */
export const ORDER_HEADINGS = {
  confirming: "Nearly there",
  requires_action: "Nearly there",
  cancelled: "This order was cancelled",
  refunded: "This order was refunded",
  partially_refunded: "Part of this order was refunded",
};

/** @type {Record<string, string>} a show's status in words */
export const SHOW_WORDS = { scheduled: "Not started", live: "Live", paused: "Paused", ended: "Ended" };

/** @type {Record<string, string>} a drop's status in words */
export const DROP_WORDS = {
  scheduled: "Coming up",
  countdown: "Countdown",
  open: "Open",
  paused: "Paused",
  closed: "Closed",
};
