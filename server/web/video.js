/**
 * The show's video: played by the browser itself where it can, by hls.js where that is installed; muted until somebody
 * wants to hear it, because no browser starts it otherwise. Everything else goes on without it.
 */

import { byId, setText } from "./dom.js";
import { text } from "./text.js";

const HLS_TYPE = "application/vnd.apple.mpegurl";
const HLS_MODULE = "./vendor/hls.mjs";
/** A broken video is tried again after these pauses, and then not until the address changes. */
const PAUSES_MS = [2000, 5000, 10_000, 30_000, 60_000];

/**
 * Pure.
 * @param {string} url @param {(type: string) => string} canPlay as `HTMLMediaElement.canPlayType`
 * @returns {"native" | "hls"} who plays it
 */
export function playerOf(url, canPlay) {
  const isHls = /\.m3u8$/i.test(new URL(url).pathname);
  return isHls && canPlay(HLS_TYPE) === "" ? "hls" : "native";
}

/** @param {number} failures in a row @returns {number | null} ms until the next try; null: give up. Pure. */
export function pauseAfter(failures) {
  return PAUSES_MS[failures - 1] ?? null;
}

export class Video {
  #url = "";
  #hls = null;
  #failures = 0;
  #timer = 0;
  #wanted = true; // whether the viewer lets it play

  constructor() {
    this.video = byId("video");
    this.stage = byId("stage");
    this.sound = byId("sound");
    this.play = byId("play");
    this.sound.addEventListener("click", () => this.#toggleSound());
    this.play.addEventListener("click", () => this.#togglePlay());
    this.video.addEventListener("playing", () => this.#playing());
    this.video.addEventListener("pause", () => this.#paint());
    this.video.addEventListener("waiting", () => this.#state("waiting", text("viewer.video-waits")));
    this.video.addEventListener("error", () => this.#url && !this.#hls && this.#broken());
    this.video.addEventListener("volumechange", () => this.#paint());
    document.addEventListener("visibilitychange", () => document.hidden || this.#resume());
  }

  /** Show what is at the address; none: the test picture. @param {string | null} url */
  show(url) {
    if ((url ?? "") === this.#url) return;
    this.#stop();
    this.#url = url ?? "";
    this.#failures = 0;
    if (url) this.#start();
    else this.#state("none", "");
  }

  #start() {
    this.#state("waiting", text("viewer.video-waits"));
    this.video.muted = this.video.muted || this.#failures === 0;
    const start = { native: () => this.#startNative(), hls: () => this.#startHls() };
    start[playerOf(this.#url, (type) => this.video.canPlayType(type))]();
  }

  #startNative() {
    this.video.src = this.#url;
    this.#resume();
  }

  async #startHls() {
    const url = this.#url;
    const Hls = await import(HLS_MODULE).then(
      ({ default: found }) => found,
      () => null, // not installed
    );
    if (url !== this.#url) return;
    if (!Hls?.isSupported()) {
      this.#state("cannot", text("viewer.video-cannot"));
      return;
    }
    this.#hls = new Hls({ enableWorker: false }); // a worker made of a blob is against the page's policy
    this.#hls.on(Hls.Events.ERROR, (_event, { fatal }) => fatal && this.#broken());
    this.#hls.loadSource(url);
    this.#hls.attachMedia(this.video);
    this.#resume();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#hls?.destroy();
    this.#hls = null;
    this.#url = "";
    this.video.removeAttribute("src");
    this.video.load();
  }

  #broken() {
    const url = this.#url;
    this.#failures += 1;
    const failures = this.#failures;
    const pause = pauseAfter(failures);
    this.#stop();
    this.#url = url;
    if (pause === null) {
      this.#state("cannot", text("viewer.video-cannot"));
      return;
    }
    this.#state("broken", text("viewer.video-again"));
    this.#timer = setTimeout(() => this.#start(), pause);
  }

  /** Go on after a sleep or a break; where the browser wants a press first, the button asks for it. */
  #resume() {
    if (!this.#url || !this.#wanted) return;
    if (!this.#hls && !this.video.getAttribute("src")) return;
    this.video.play().catch(() => this.#paint());
  }

  #playing() {
    this.#failures = 0;
    this.#state("playing", "");
  }

  #togglePlay() {
    this.#wanted = this.video.paused;
    if (this.#wanted) this.#resume();
    else this.video.pause();
  }

  #toggleSound() {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 1;
    if (this.video.paused) this.#togglePlay();
  }

  #state(state, words) {
    this.stage.dataset.video = state;
    setText(byId("video-words"), words);
    this.#paint();
  }

  #paint() {
    const there = ["playing", "waiting"].includes(this.stage.dataset.video);
    const { muted, paused } = this.video;
    this.sound.hidden = !there;
    this.play.hidden = !there;
    this.sound.dataset.muted = String(muted);
    this.play.dataset.paused = String(paused);
    const sound = text(muted ? "viewer.unmute" : "viewer.mute");
    // Who hears it needs no words any more; a screen reader always does.
    setText(this.sound.querySelector("span"), muted ? sound : "");
    this.sound.setAttribute("aria-label", sound);
    this.play.setAttribute("aria-label", text(paused ? "viewer.play" : "viewer.pause"));
  }
}
