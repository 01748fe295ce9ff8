/** The page's modules outside a browser: with the English words that the server puts into the page, and nothing else. */

import { readFileSync } from "node:fs";

const WEB = new URL("../../server/web/", import.meta.url);
const words = ["common", "viewer"].map((name) =>
  JSON.parse(readFileSync(new URL(`words/en/${name}.json`, WEB), "utf-8")),
);
const said = { language: "en", direction: "ltr", languages: {}, words: Object.assign({}, ...words) };
globalThis.document = {
  getElementById: (id) => (id === "words" ? { textContent: JSON.stringify(said) } : null),
};

/** @param {string} name of a module of the page */
export const load = (name) => import(new URL(name, WEB));

const { ShowState } = await load("show.js");

export const NOW = 1_800_000_000_000;

let made = 0;

/** A drop, open and full, but for what is said of it. */
export function drop(fields = {}) {
  made += 1;
  return {
    id: `dr_${made}`,
    show: "sh_1",
    sku: `SKU-${made}`,
    title: "Mug",
    quantity: 10,
    available: 10,
    held: 0,
    sold: 0,
    revision: 1,
    unit_price: 1250,
    currency: "EUR",
    limit_per_viewer: 2,
    hold_seconds: 120,
    mode: "fifo",
    waitlist: true,
    waitlist_length: 0,
    status: "open",
    created_at: NOW + made,
    ...fields,
  };
}

/** What a page knows after its welcome. */
export function state({ drops = [], reservations = [], waitlist = [], ...show } = {}) {
  const known = new ShowState();
  const told = { id: "sh_1", title: "Show", currency: "EUR", locale: "en-IE", status: "live", ...show };
  const snapshot = { show: told, drops, pinned: [], reservations, waitlist, viewers: 1 };
  known.apply({ type: "welcome", server_time_at: NOW, snapshot });
  return known;
}

/** A reservation of a drop. */
export function hold(of, fields = {}) {
  made += 1;
  return {
    id: `rs_${made}`,
    drop: of.id,
    sku: of.sku,
    quantity: 1,
    state: "held",
    unit_price: of.unit_price,
    currency: "EUR",
    expires_at: NOW + 60_000,
    ...fields,
  };
}
