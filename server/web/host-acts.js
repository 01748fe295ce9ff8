/** What a host's buttons and keys do: changes over HTTP, each asked for until its outcome is known, and done once. */

import { notice } from "./dom.js";
import { newId } from "./client/livedrop.js";
import { hasText, text } from "./text.js";

const TRIES = 4;
const TRY_AGAIN_AFTER_MS = 700;

export class Acts {
  #live;
  #base;
  #done;

  /**
   * @param {import("./client/livedrop.js").LiveDrop} live @param {string} base the show's path
   * @param {() => void} done called after each change, whatever came of it
   */
  constructor(live, base, done) {
    this.#live = live;
    this.#base = base;
    this.#done = done;
  }

  /**
   * Ask for a change. Where the outcome stays unknown it is asked for again under the same key, so that it happens once.
   * @param {string} method @param {string} path @param {object} [body]
   * @returns {Promise<any>} the answer; rejects with a LiveDropError after telling the host
   */
  async change(method, path, body) {
    const key = newId();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#live.request(method, path, { body, key });
      } catch (error) {
        if (!error.unknown || attempt === TRIES) {
          notice(refusal(error), "bad");
          throw error;
        }
        const pause = error.extras.retry_after_ms ?? TRY_AGAIN_AFTER_MS;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  /**
   * Run a change with its button out of reach; the notice has told the host of a failure already.
   * @param {HTMLButtonElement} button @param {() => Promise<any>} run
   */
  async pressed(button, run) {
    const focused = document.activeElement === button;
    button.setAttribute("aria-busy", "true");
    button.disabled = true;
    await run().catch(() => null);
    button.removeAttribute("aria-busy");
    button.disabled = false;
    if (focused && document.activeElement === document.body) button.focus();
    this.#done();
  }

  /** @param {string} move `start`, `pause`, `resume`, `end` */
  moveShow(move) {
    return this.change("POST", `${this.#base}/${move}`, {});
  }

  /** @param {{id: string}} drop @param {string} move `open`, `cancel`, `pause`, … @param {object} [body] */
  moveDrop(drop, move, body = {}) {
    return this.change("POST", `${this.#base}/drops/${encodeURIComponent(drop.id)}/${move}`, body);
  }

  /** @param {string[]} drops their ids, in the order in which they are to come */
  arrange(drops) {
    return this.change("PUT", `${this.#base}/run`, { drops });
  }

  /** @param {object} terms of the new drop */
  async prepare(terms) {
    const drop = await this.change("POST", `${this.#base}/drops`, terms);
    notice(text("host.drop-prepared", { title: drop.title }), "good");
  }

  /** @param {string[]} skus */
  pin(skus) {
    return this.change("PUT", `${this.#base}/pinned`, { skus });
  }
}

/** @param {import("./client/livedrop.js").LiveDropError} error @returns {string} what to tell a host */
export function refusal({ code, message }) {
  const key = `host.error.${code}`;
  return hasText(key) ? text(key, { detail: message }) : message;
}
