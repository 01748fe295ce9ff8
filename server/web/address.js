/**
 * Who gets the receipt and where it is sent to: the fields of the checkout, what is wrong with them, and a draft that
 * survives a reload in this tab.
 */

import { make } from "./dom.js";
import { keep, recall, tab } from "./memory.js";
import { language, text } from "./text.js";
import { countryName } from "./words.js";

const DRAFT = "livedrop.contact";
const EMAIL = /^[^@\s]+@[^@\s]+$/;
const NEEDED = ["name", "line1", "city", "country"];
/** Fields that most people leave empty, and are told that they may. */
const SPARE = new Set(["line2", "region", "phone"]);
/** Field -> what browsers know it as (WHATWG HTML, autofill), and how long the server lets it be. */
const FIELDS = {
  name: ["name", 200],
  line1: ["address-line1", 200],
  line2: ["address-line2", 200],
  postal_code: ["postal-code", 20],
  city: ["address-level2", 100],
  region: ["address-level1", 100],
  country: ["country", 2],
  phone: ["tel", 40],
};
const COUNTRIES =
  "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT " +
  "BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH " +
  "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT " +
  "HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS " +
  "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI " +
  "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG " +
  "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG " +
  "UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/**
 * What the fields say. Pure.
 * @param {Record<string, string>} values of `email` and the address's fields
 * @returns {{contact: {email?: string, shipping_address?: object}, wrong: Record<string, string>}} with `wrong` as
 *   field -> key of what to say
 */
export function contactOf(values) {
  const filled = Object.entries(values)
    .map(([name, value]) => [name, (value ?? "").trim()])
    .filter(([, value]) => value !== "");
  const { email, ...address } = Object.fromEntries(filled);
  const wrong = {};
  if (email !== undefined && !EMAIL.test(email)) wrong.email = "viewer.email-wrong";
  // A country alone says in which ways one can pay; an address is begun with anything else.
  const begun = Object.keys(address).some((name) => name !== "country");
  for (const name of begun ? NEEDED : []) if (!address[name]) wrong[name] = "viewer.address-missing";
  const somewhere = Object.keys(address).length > 0;
  return { contact: { ...(email && { email }), ...(somewhere && { shipping_address: address }) }, wrong };
}

export class ContactForm {
  #fields = new Map(); // name -> {input, wrong}
  #changed;

  /**
   * @param {HTMLElement} place where the fields go
   * @param {(name: string) => void} changed called after a person has changed a field
   */
  constructor(place, changed) {
    this.#changed = changed;
    const email = this.#emailField();
    this.details = make(
      "details",
      { class: "address" },
      make("summary", {}, text("viewer.address"), " ", make("small", {}, text("viewer.optional"))),
      make("div", { class: "fields" }, ...Object.keys(FIELDS).map((name) => this.#addressField(name))),
    );
    place.replaceChildren(email, this.details);
    this.#restore();
  }

  /** @returns {string} the country to deliver to, empty where none is chosen */
  get country() {
    return this.#fields.get("country").input.value;
  }

  set disabled(disabled) {
    for (const { input } of this.#fields.values()) input.disabled = disabled;
  }

  /**
   * Read the fields. What is wrong is said beside its field, and the first such one gets the focus.
   * @returns {object | null} the contact for the checkout; null where something is wrong
   */
  read() {
    const { contact, wrong } = contactOf(this.#values());
    for (const name of this.#fields.keys()) this.#mark(name, wrong[name]);
    this.wrong = Object.keys(wrong).length;
    if (this.wrong === 0) return contact;
    if (Object.keys(wrong).some((name) => name !== "email")) this.details.open = true;
    [...this.#fields].find(([name]) => name in wrong)?.[1].input.focus();
    return null;
  }

  #values() {
    return Object.fromEntries([...this.#fields].map(([name, { input }]) => [name, input.value]));
  }

  #restore() {
    const draft = recall(tab, DRAFT) ?? {};
    for (const [name, { input }] of this.#fields) if (draft[name]) input.value = draft[name];
    this.details.open = Object.keys(draft).some((name) => name !== "email" && draft[name]);
  }

  #emailField() {
    const input = make("input", {
      id: "email",
      type: "email",
      autocomplete: "email",
      inputmode: "email",
      maxlength: "254",
      enterkeyhint: "next",
      dir: "auto",
    });
    const optional = make("small", {}, text("viewer.optional"));
    return this.#field("email", input, text("viewer.email"), " ", optional);
  }

  #addressField(name) {
    const [autocomplete, maxlength] = FIELDS[name];
    const id = `address-${name}`;
    const input =
      name === "country"
        ? make("select", { id, autocomplete }, ...countries())
        : make("input", { id, autocomplete, maxlength, dir: "auto", type: name === "phone" ? "tel" : "text" });
    const optional = SPARE.has(name) ? make("small", {}, text("viewer.optional")) : null;
    return this.#field(name, input, text(`viewer.address.${name}`), " ", optional);
  }

  #field(name, input, ...label) {
    const wrong = make("small", { id: `${input.id}-wrong`, class: "wrong", hidden: true });
    input.setAttribute("aria-describedby", wrong.id);
    input.addEventListener("input", () => {
      this.#mark(name, undefined);
      keep(tab, DRAFT, this.#values());
      this.#changed(name);
    });
    this.#fields.set(name, { input, wrong });
    const words = make("span", {}, ...label);
    return make("div", { class: `field at-${name}` }, make("label", { for: input.id }, words), input, wrong);
  }

  #mark(name, key) {
    const { input, wrong } = this.#fields.get(name);
    if (key) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    wrong.hidden = !key;
    wrong.textContent = key ? text(key) : "";
  }
}

/** The countries by their names in the page's language, in its alphabet. */
function countries() {
  const collator = new Intl.Collator(language);
  const options = COUNTRIES.split(" ")
    .map((code) => [code, countryName(code)])
    .sort(([, one], [, other]) => collator.compare(one, other))
    .map(([code, name]) => make("option", { value: code }, name));
  return [make("option", { value: "" }, text("viewer.address-country-none")), ...options];
}
