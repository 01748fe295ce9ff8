/** One key for each move of the selected drop. They rest while somebody types, and can be switched off (WCAG 2.1.4). */

import { byId, make } from "./dom.js";
import { device, keep, recall } from "./memory.js";
import { text } from "./text.js";

const KEPT = "livedrop.host.keys";
/** What the help lists, in this order: the key as it is shown, and the words for it. */
const LISTED = [
  ["J", "next"],
  ["K", "previous"],
  ["⇧ J", "down"],
  ["⇧ K", "up"],
  ["O", "open"],
  ["C", "countdown"],
  ["U", "undo"],
  ["P", "pause"],
  ["R", "restock"],
  ["X", "close"],
  ["F", "find"],
  ["?", "help"],
];

export class Keys {
  #run;

  /** @param {import("./host-run.js").Run} run */
  constructor(run) {
    this.#run = run;
    this.dialog = byId("keys");
    this.on = recall(device, KEPT) !== false;
    this.#build();
    addEventListener("keydown", (event) => this.#pressed(event));
    document.body.classList.toggle("no-keys", !this.on);
  }

  /** Show the help, or put it away. */
  help() {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }

  #build() {
    const list = this.dialog.querySelector("dl");
    for (const [key, words] of LISTED) {
      const name = key.replace("⇧", text("keys.shift"));
      list.append(
        make("div", {}, make("dt", {}, make("kbd", {}, name)), make("dd", {}, text(`keys.${words}`))),
      );
    }
    this.dialog.querySelector(".close").addEventListener("click", () => this.dialog.close());
    const box = this.dialog.querySelector("input");
    box.checked = this.on;
    box.addEventListener("change", () => {
      this.on = box.checked;
      keep(device, KEPT, this.on);
      document.body.classList.toggle("no-keys", !this.on);
    });
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    const key = letterOf(event);
    if (isTyping(event.target) || (!this.on && key !== "?")) return;
    if (this.dialog.open ? key !== "?" : document.querySelector("dialog[open]")) return;
    const act = key === "?" ? () => this.help() : this.#act(key, event.shiftKey);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #act(key, shift) {
    const run = this.#run;
    if (key === "j") return () => (shift ? run.shift(1) : run.step(1));
    if (key === "k") return () => (shift ? run.shift(-1) : run.step(-1));
    if (shift) return null;
    if (key === "f") return () => byId("product-query").focus();
    if (key === "r") return () => run.selected?.askPieces();
    const moves = { o: ["open"], c: ["open-10"], u: ["cancel"], p: ["pause", "resume"], x: ["close"] }[key];
    return moves ? () => run.selected?.press(...moves) : null;
  }
}

/** The letter of a key; on a keyboard of other letters, the one that stands there on a Latin one. */
function letterOf({ key, code }) {
  if (/^[a-z?]$/i.test(key)) return key.toLowerCase();
  if (key === "؟") return "?";
  return /^Key[A-Z]$/.test(code) && key.length === 1 ? code.at(-1).toLowerCase() : key;
}

/** Whether keys go into a field there. A box to tick is none. */
function isTyping(element) {
  const fields = "input:not([type=checkbox]), select, textarea, [contenteditable]";
  return element instanceof Element && element.matches(fields);
}
