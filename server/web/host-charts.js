/**
 * Small curves beside the figures, drawn by uPlot. It is fetched when there is something to draw; where it is not
 * installed there are numbers only.
 */

import { make } from "./dom.js";
import { text } from "./text.js";
import { countdown } from "./words.js";

const HEIGHT = 36;

export class Charts {
  #places = new Map();
  #drawn = new Map(); // name -> {times, values, write}
  #plots = new Map();
  #library = null;

  constructor() {
    // Colours and widths are the page's: another theme, or another size, is another picture.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    this.sizes = new ResizeObserver(() => this.#resize());
  }

  /** @param {string} name @param {HTMLElement} place */
  add(name, place) {
    this.#places.set(name, place);
    this.sizes.observe(place.parentElement); // itself it may be hidden
  }

  /**
   * @param {string} name @param {number[]} times Unix seconds @param {number[]} values
   * @param {(value: number) => string} write
   */
  async draw(name, times, values, write) {
    this.#drawn.set(name, { times, values, write });
    const uPlot = await (this.#library ??= load());
    const place = this.#places.get(name);
    place.hidden = !uPlot; // else its room is kept for it, so that nothing jumps when it comes
    if (!uPlot || this.#drawn.get(name).values !== values) return;
    place.removeAttribute("aria-hidden");
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", described(name, times, values, write));
    if (this.#plots.has(name)) this.#plots.get(name).setData([times, values]);
    else this.#plots.set(name, new uPlot(options(place), [times, values], place));
  }

  #resize() {
    for (const [name, plot] of this.#plots) {
      const width = this.#places.get(name).clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }

  #redraw() {
    for (const plot of this.#plots.values()) plot.destroy();
    this.#plots.clear();
    for (const [name, { times, values, write }] of this.#drawn) this.draw(name, times, values, write);
  }
}

/** @returns {Promise<any>} uPlot with its style sheet, or null */
async function load() {
  try {
    const href = new URL("./vendor/uplot.css", import.meta.url).href;
    const styles = make("link", { rel: "stylesheet", href });
    // Without its styles a plot is of another size than its place.
    const styled = new Promise((resolve, reject) => ((styles.onload = resolve), (styles.onerror = reject)));
    document.head.append(styles);
    const [{ default: uPlot }] = await Promise.all([import("./vendor/uplot.mjs"), styled]);
    return uPlot;
  } catch {
    return null;
  }
}

function options(place) {
  const colour = getComputedStyle(place).color;
  return {
    width: Math.max(1, place.clientWidth),
    height: HEIGHT,
    padding: [3, 0, 3, 0],
    cursor: { show: false },
    select: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: { x: { time: true }, y: { range: (_plot, least, most) => [Math.min(0, least), most * 1.05 || 1] } },
    series: [{}, { stroke: colour, width: 1.75, fill: faint(colour), points: { show: false } }],
  };
}

/** The same colour, nearly through to the ground. @param {string} colour `rgb(…)` */
function faint(colour) {
  return colour.replace("rgb(", "rgba(").replace(")", ", 0.14)");
}

/** What a curve says, for who does not see it. */
function described(name, times, values, write) {
  return text("host.curve", {
    name: text(`host.${name}`),
    time: countdown((times.at(-1) - times[0]) * 1000),
    first: write(values[0]),
    last: write(values.at(-1)),
    most: write(Math.max(...values)),
  });
}
