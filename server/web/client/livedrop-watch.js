/**
 * `<livedrop-watch show="sh_…" token="…">`: the viewer's page of a show, inside another page.
 *
 *     <script type="module" src="https://live.example/static/client/livedrop-watch.js"></script>
 *     <livedrop-watch show="sh_…" token="…" lang="de"></livedrop-watch>
 *
 * Attributes: `show` and `token` (a viewer's) are needed; `server` is where Livedrop is, by default where this file came
 * from; `lang` is the language, by default that of the page around; `title` names the frame for screen readers. A new
 * `token` is handed over without a reload. What happens inside arrives as events that bubble, each under two names:
 * `livedrop:reservation` and `ADD_TO_CART`, `livedrop:checkout` and `CHECKOUT` … (docs/embedding.md has them all).
 * The server must allow the page around it in `LIVEDROP_FRAME_ANCESTORS`; else the frame stays empty.
 */

const OUR_NAMES = /^livedrop:[a-z]+$/;
const ALIAS = /^[A-Z_]+$/;
/** What the frame may do: be itself, with scripts, and open the bank's page in a window that is free of this. */
const SANDBOX = "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox";
const ALLOWED = "autoplay; fullscreen; picture-in-picture; clipboard-write";
const STYLE = `
  :host { display: block; inline-size: 100%; block-size: min(844px, 100vh); }
  :host([hidden]) { display: none; }
  iframe { display: block; inline-size: 100%; block-size: 100%; border: 0; }
`;

export class LivedropWatch extends HTMLElement {
  static observedAttributes = ["show", "server", "token", "lang", "title"];
  #frame = document.createElement("iframe");
  #shown = ""; // the address that the frame has, without its token
  #token = ""; // the one that the frame knows
  #hear = (message) => this.#heard(message);

  constructor() {
    super();
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    this.#frame.setAttribute("sandbox", SANDBOX);
    this.#frame.allow = ALLOWED;
    this.#frame.referrerPolicy = "no-referrer";
    this.#frame.addEventListener("load", () => this.#say({ type: "livedrop:hello" }));
  }

  /** Where Livedrop is. @returns {string} an origin */
  get server() {
    return new URL(this.getAttribute("server") || import.meta.url, document.baseURI).origin;
  }

  connectedCallback() {
    addEventListener("message", this.#hear);
    this.#update();
  }

  disconnectedCallback() {
    removeEventListener("message", this.#hear);
    this.#frame.remove();
    this.#shown = "";
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#update();
  }

  #update() {
    this.#frame.title = this.getAttribute("title") || "Livedrop";
    const show = this.getAttribute("show");
    const token = this.getAttribute("token");
    if (!show || !token) return;
    const address = this.#address(show);
    if (address !== this.#shown) this.#open(address, token);
    else if (token !== this.#token) this.#say({ type: "livedrop:token", token });
    this.#token = token;
  }

  #address(show) {
    const address = new URL(`/watch/${encodeURIComponent(show)}?embed=1`, this.server);
    const language = this.lang || this.closest("[lang]")?.lang;
    if (language) address.searchParams.set("lang", language);
    return address.href;
  }

  /** A token travels behind the #, which browsers do not send. */
  #open(address, token) {
    this.#shown = address;
    this.#frame.remove();
    this.#frame.src = `${address}#token=${encodeURIComponent(token)}`;
    this.shadowRoot.append(this.#frame);
  }

  /** Only a page of the server hears it: one that the frame was led away to does not. */
  #say(message) {
    this.#frame.contentWindow?.postMessage(message, new URL(this.#shown).origin);
  }

  #heard({ source, origin, data }) {
    if (source === null || source !== this.#frame.contentWindow) return;
    if (origin !== new URL(this.#shown).origin || !OUR_NAMES.test(data?.type)) return;
    const names = ALIAS.test(data.alias ?? "") ? [data.type, data.alias] : [data.type];
    for (const name of names) {
      this.dispatchEvent(new CustomEvent(name, { detail: data.detail, bubbles: true, composed: true }));
    }
  }
}

customElements.get("livedrop-watch") ?? customElements.define("livedrop-watch", LivedropWatch);
