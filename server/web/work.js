/**
 * The work that a server may ask of a viewer whom it does not know, done by a worker beside the page: it is sent
 * `{nonce, bits}`, and sends the answer back.
 */

import { sha256 } from "./vendor/noble/sha2.mjs";

const TO_UTF8 = new TextEncoder();

/**
 * @param {string} nonce @param {number} bits 32 at most
 * @returns {string} the first number for which SHA-256 of `nonce:number` begins with so many zero bits
 */
export function answerOf(nonce, bits) {
  for (let number = 0; ; number += 1) {
    const [a, b, c, d] = sha256(TO_UTF8.encode(`${nonce}:${number}`));
    if (Math.clz32((a << 24) | (b << 16) | (c << 8) | d) >= bits) return String(number);
  }
}

globalThis.onmessage = ({ data: { nonce, bits } }) => postMessage(answerOf(nonce, bits));
