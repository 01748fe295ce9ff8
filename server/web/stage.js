/** What is told of the show itself, on its picture: title, state, how many watch, what comes next. */

import { byId, setText, webAddress } from "./dom.js";
import { text } from "./text.js";
import { countdown, dateOf, isFar, nameOf, SHOW_WORDS } from "./words.js";

/**
 * One sentence on what the show is waiting for. Pure.
 * @param {import("./show.js").ShowState} state @param {number} now the server's time, Unix ms
 * @returns {string} empty where the drops speak for themselves
 */
export function stageWords(state, now) {
  const { status, starts_at: startsAt } = state.show;
  if (status === "paused") return text("viewer.break");
  if (status === "ended") return text("viewer.ended");
  if (status === "live") return openingWords(state, now);
  const left = (startsAt ?? 0) - now;
  if (left <= 0) return text("viewer.starts-soon");
  return isFar(left)
    ? text("viewer.starts-at", { date: dateOf(startsAt) })
    : text("viewer.starts-in", { time: countdown(left) });
}

/** The next countdown: the stage stays in view when its card does not. */
function openingWords(state, now) {
  const next = [...state.drops.values()]
    .filter(({ status }) => status === "countdown")
    .sort((one, other) => one.opens_at - other.opens_at)[0];
  if (!next) return "";
  return text("viewer.opens-in-named", { title: nameOf(next), time: countdown(next.opens_at - now) });
}

/** @param {import("./show.js").ShowState} state @param {number} now @param {import("./video.js").Video} video */
export function paintStage(state, now, video) {
  const { title, status, video_url: url } = state.show;
  document.title = title;
  setText(byId("title"), title);
  byId("stage").dataset.status = status;
  setText(byId("show-status"), SHOW_WORDS[status] ?? status);
  // Whoever reads this watches, whatever was last counted while their line was cut.
  setText(byId("viewers"), text("page.watching", { count: Math.max(1, state.viewers) }));
  setText(byId("stage-words"), stageWords(state, now));
  video.show(status === "ended" ? null : webAddress(url));
  paintFeatured(webAddress(state.featured));
}

/** Put what the show is about on the stage; where there is no picture of it the test picture stays. */
function paintFeatured(address) {
  const image = byId("featured");
  if ((image.dataset.shows ?? "") === (address ?? "")) return;
  image.dataset.shows = address ?? "";
  image.hidden = true;
  if (address) image.src = address;
}

/** Let a picture appear once it is there. */
export function wireStage() {
  byId("featured").addEventListener("load", ({ target }) => (target.hidden = !target.dataset.shows));
}
