/** Short facts beside one another, such as a product's. */

import { direction } from "./text.js";

/**
 * @param {(string | null)[]} facts those that are null are left out
 * @returns {string} all in one line; none reorders its neighbours where lines run from right to left
 */
export function joined(facts) {
  const said = facts.filter((fact) => fact !== null);
  return said.map((fact) => (direction === "rtl" ? `\u2068${fact}\u2069` : fact)).join(" · ");
}
