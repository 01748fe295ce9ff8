/** Bringing a list into another order by hand: with a mouse, a pen or a finger, by the handle of each of its items. */

/** So near to the upper or lower edge of the window it scrolls along. */
const EDGE = 70;
const SCROLL_BY = 14;

export class Sorting {
  #list;
  #moved;
  #item = null;
  #before = [];
  #y = 0;
  #timer = 0;

  /** @param {HTMLElement} list its items have a `.handle` @param {() => void} moved called when the order is another */
  constructor(list, moved) {
    this.#list = list;
    this.#moved = moved;
    list.addEventListener("pointerdown", (event) => this.#begin(event));
    list.addEventListener("pointermove", (event) => this.#follow(event));
    list.addEventListener("pointerup", () => this.#end(true));
    list.addEventListener("pointercancel", () => this.#end(false));
    addEventListener("keydown", ({ key }) => key === "Escape" && this.#end(false));
  }

  /** Whether something is being moved: nobody else may touch the order meanwhile. */
  get busy() {
    return this.#item !== null;
  }

  #begin(event) {
    const handle = event.target.closest(".handle");
    if (!handle || event.button !== 0 || this.#list.children.length < 2) return;
    event.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    this.#item = [...this.#list.children].find((one) => one.contains(handle));
    this.#before = [...this.#list.children];
    // All items shrink to their heads, which are of one height; the one in the hand stays below it.
    const top = this.#item.getBoundingClientRect().top;
    this.#list.classList.add("sorting");
    this.#item.classList.add("moving");
    scrollBy(0, this.#item.getBoundingClientRect().top - top);
    this.#y = event.clientY;
    this.#timer = setInterval(() => this.#scroll(), 16);
  }

  #follow({ clientY }) {
    if (!this.#item) return;
    this.#y = clientY;
    this.#settle();
  }

  /** Let neighbours change sides: the item itself stays in the page, else it would slip out of the hand. */
  #settle() {
    const { previousElementSibling: above, nextElementSibling: below } = this.#item;
    if (above && this.#y < middle(above)) this.#item.after(above);
    else if (below && this.#y > middle(below)) this.#item.before(below);
    else return;
    this.#settle();
  }

  #scroll() {
    if (this.#y < EDGE) scrollBy(0, -SCROLL_BY);
    else if (this.#y > innerHeight - EDGE) scrollBy(0, SCROLL_BY);
    else return;
    this.#settle();
  }

  #end(keep) {
    if (!this.#item) return;
    clearInterval(this.#timer);
    this.#list.classList.remove("sorting");
    this.#item.classList.remove("moving");
    const item = this.#item;
    this.#item = null;
    const changed = this.#before.some((one, index) => this.#list.children[index] !== one);
    if (!keep) this.#list.append(...this.#before);
    else if (changed) this.#moved();
    item.scrollIntoView({ block: "nearest" });
  }
}

function middle(element) {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}
