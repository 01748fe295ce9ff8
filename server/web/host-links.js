/** Links for others: a viewer's, to try the show or to invite somebody, and a moderator's. Each is for one person. */

import { byId, notice, setText } from "./dom.js";
import { newId } from "./client/livedrop.js";
import { text } from "./text.js";

const HOURS = { viewer: 6, moderator: 12 };

export class Links {
  #acts;
  #show;

  /** @param {import("./host-acts.js").Acts} acts @param {string} show */
  constructor(acts, show) {
    this.#acts = acts;
    this.#show = show;
    byId("link").querySelector("[data-do=copy]").addEventListener("click", () => this.#copy());
    byId("link")
      .querySelector(".close")
      .addEventListener("click", () => (byId("link").hidden = true));
  }

  /** Make a link for one more person and show it. @param {"viewer" | "moderator"} role */
  async make(role) {
    const minted = await this.#acts.change("POST", "/v1/tokens", {
      sub: `${role === "viewer" ? "guest" : role}-${newId().slice(0, 8)}`,
      role,
      ...(role === "viewer" && { anonymous: true }), // who opens the link is anybody
      shows: [this.#show],
      ttl_seconds: HOURS[role] * 3600,
    });
    const address = `${location.origin}/watch/${encodeURIComponent(this.#show)}#token=${minted.token}`;
    const anchor = byId("link").querySelector("a");
    const field = this.#field;
    anchor.href = address;
    setText(anchor, text(`host.${role}-link-open`));
    field.value = address;
    field.setAttribute("aria-label", text(`host.${role}-link`));
    byId("link").hidden = false;
    field.select();
  }

  get #field() {
    return byId("link").querySelector("input");
  }

  /** Copy the link; where the browser does not let a page do that, select it for the host to copy. */
  async #copy() {
    this.#field.select();
    try {
      await navigator.clipboard.writeText(this.#field.value);
      notice(text("host.link-copied"), "good");
    } catch {
      notice(text("host.link-selected"));
    }
  }
}
