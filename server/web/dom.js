/**
 * Making and changing elements. Text from people and feeds enters the page here, and only as text.
 */

const MOST_NOTICES = 2;
const NOTICE_STAYS_MS = 6000;
const QUESTION_STAYS_MS = 4000;

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `class`, `data-…`, …; `onclick` takes a function; null and false leave out
 * @param {...(Node | string | null)} children strings become text, never markup
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set text only where it differs, so that screen readers and selections are not disturbed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make the children of a list anew, but only when what they stand for has changed. */
export function fill(list, items, makeOne) {
  const written = JSON.stringify(items);
  if (list.dataset.written === written) return;
  list.dataset.written = written;
  list.replaceChildren(...items.map(makeOne));
}

/**
 * Bring elements to the beginning of a list, in their order; those that stand right stay, and so does the focus.
 * @param {HTMLElement} list @param {HTMLElement[]} elements
 */
export function place(list, elements) {
  const focused = document.activeElement;
  elements.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
  if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}

/** @param {string} id @returns {HTMLElement} the element that the page is known to have */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A product's picture. Only http(s) addresses are loaded, without telling where from; else, or if it fails,
 * the title's first letter stands in.
 * @param {string | undefined} url @param {string} title
 */
export function picture(url, title) {
  const frame = make("div", {
    class: "picture",
    "aria-hidden": "true",
    "data-letter": Array.from(title ?? "")[0] ?? "",
  });
  const address = webAddress(url);
  if (address) {
    const image = make("img", { alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" });
    image.addEventListener("error", () => image.remove());
    image.src = address;
    frame.append(image);
  }
  return frame;
}

/** @param {string | undefined} url @returns {string | null} the absolute address if it is http(s) */
export function webAddress(url) {
  if (!url) return null;
  try {
    const address = new URL(url, location.href);
    return ["http:", "https:"].includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

/**
 * A button that asks once: the first press shows the question, a second one within 4 s acts.
 * @param {HTMLButtonElement} button @param {string} question @param {() => void} act
 */
export function askOnce(button, question, act) {
  const label = [...button.childNodes];
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    button.classList.remove("asking");
    button.replaceChildren(...label);
  };
  button.addEventListener("click", ({ detail }) => {
    if (detail > 1) return; // a double click is one press, not an answer
    if (button.classList.contains("asking")) {
      rest();
      act();
      return;
    }
    button.classList.add("asking");
    button.textContent = question;
    timer = setTimeout(rest, QUESTION_STAYS_MS);
  });
  button.addEventListener("blur", rest);
}

/**
 * Show a sentence for a while, and say it to screen readers.
 * @param {string} sentence @param {"info"|"good"|"bad"} [tone]
 */
export function notice(sentence, tone = "info") {
  const place = byId("notices");
  const line = make("p", { class: "notice", "data-tone": tone }, sentence);
  // An open dialog covers everything else: the notice has to stand inside it to be seen.
  const dialog = document.querySelector("dialog[open]");
  (dialog ?? document.body).append(place);
  place.append(line);
  while (place.children.length > MOST_NOTICES) place.firstElementChild.remove();
  setTimeout(() => line.remove(), NOTICE_STAYS_MS);
}

/**
 * Say a sentence to screen readers alone, politely. The same sentence again is said again.
 * @param {string} sentence
 */
export function aloud(sentence) {
  const dialog = document.querySelector("dialog[open]");
  const place = byId("aloud");
  // What stands outside an open dialog is out of reach for a screen reader as well.
  if (place.parentElement !== (dialog ?? document.body)) (dialog ?? document.body).append(place);
  place.textContent = place.textContent === sentence ? `${sentence}\u00a0` : sentence;
}
