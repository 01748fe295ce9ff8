/**
 * What this browser keeps for the page. Where it keeps nothing (a frame of another site, a private window) the page
 * works all the same, and forgets with its tab.
 */

/** @param {() => Storage} store @param {string} name @returns {any} what was kept, or null */
export function recall(store, name) {
  try {
    return JSON.parse(store().getItem(name));
  } catch {
    return null;
  }
}

/** @param {() => Storage} store @param {string} name @param {unknown} value `undefined` forgets it */
export function keep(store, name, value) {
  try {
    if (value === undefined) store().removeItem(name);
    else store().setItem(name, JSON.stringify(value));
  } catch {
    // Then it is kept nowhere.
  }
}

/** The stores as functions: merely naming one is refused in some frames. */
export const tab = () => sessionStorage;
export const device = () => localStorage;