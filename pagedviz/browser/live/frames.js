/**
 * Decides when each panel is drawn: at most once in an animation frame of the browser, and only while the page can be seen. Panels in
 * sight come first; those that are scrolled away follow, so that a jump to another step shows at once. *News* are events that arrive
 * from a run that goes on. Knows nothing of what panels draw.
 */
import { attr, isDark, readPalette } from "../kit/dom.js";

/**
 * @typedef {object} Panel
 * @property {HTMLElement} root
 * @property {(scene: object) => void} draw draws what is in sight
 * @property {(scene: object) => void} [fill] draws what `draw` left out, in a later frame
 * @property {() => any} [measure] reads sizes, before anything changes; where they are others than before, the panel is drawn
 * @property {() => void} [settle] scrolls and reads sizes, after everything has changed: so the browser lays out once in a frame
 * @property {boolean} [hasCursor] false: it looks the same wherever a person points
 * @property {boolean} [spansRun] it shows steps after the one that is looked at too
 */

/** Drawing news may take 3 % of the time of all processors on average: the model runs on the same computer, and watching must not slow it down. */
const SHARE = 0.03;

/** Time that drawing did not take is saved up for when much happens, at most so many milliseconds of it. News wait at most MAX_REST milliseconds. */
const MAX_SAVED = 300;
const MAX_REST = 500;

/** While news keep coming, panels that are scrolled out of sight are drawn once in so many milliseconds. */
const MAX_WAIT = 250;

/** After a jump they are drawn in the next frames, for so many milliseconds of each frame: the person may jump again meanwhile. */
const MAX_FILL = 8;

/** How much time there is for drawing news: it grows as the clock goes on, and shrinks by what drawing took. In milliseconds. */
export class Budget {
  constructor(cores, clock) {
    Object.assign(this, { clock, share: SHARE * cores, saved: MAX_SAVED, counted: clock() });
  }

  spend(time) {
    const now = this.clock();
    const saved = Math.min(MAX_SAVED, this.saved + this.share * (now - this.counted)) - time;
    this.saved = Math.max(saved, -this.share * MAX_REST);
    this.counted = now;
  }

  /** How many milliseconds the next news must wait until there is time for them. */
  get rest() {
    this.spend(0);
    return Math.max(0, -this.saved / this.share);
  }
}

/** Call `onChange` when the page's theme changes; returns the function that ends it. */
function watchTheme(onChange) {
  const observer = new MutationObserver(onChange);
  for (const element of [document.body, document.documentElement]) {
    observer.observe(element, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-theme"] });
  }
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", onChange);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", onChange);
  };
}

function paletteOf(root) {
  attr(root, "data-theme", null); // colours are read from the page, not from the theme that was set here before
  attr(root, "data-theme", isDark(readPalette(root).ground) ? "dark" : "light");
  return readPalette(root);
}

/**
 * Draw in animation frames from now on, until `end` is called.
 * @param {HTMLElement} root
 * @param {import("./store.js").Store} store
 * @param {Panel[]} panels
 * @param {{drawAlways: (scene: object) => void, drawSeen: (scene: object) => void}} rest what is always right, also where nobody sees it; and
 *   what is drawn with the panels
 */
export function drawInFrames(root, store, panels, { drawAlways, drawSeen }) {
  const pieces = panels.map((panel) => ({ panel, isSeen: true, isNew: true, isDue: true, isPart: false, size: "" }));
  let palette = null;
  const budget = new Budget(navigator.hardwareConcurrency || 4, () => performance.now());
  let frame = 0;
  let timer = 0;
  let newsTimer = 0;
  let isNews = false;
  /** Whether panels out of sight are still to be drawn; when one of them was drawn last; whether they wait because a person jumped. */
  let isLeft = false;
  let since = 0;
  let hasJumped = false;
  let isVisible = true;
  let painted = {};

  function paint() {
    frame = 0;
    attr(root, "data-drawing", null);
    if (!root.isConnected) return;
    if (isVisible) pieces.forEach(measure);
    const { run, state } = store;
    const row = state ? run.history.rowOf(state.step) : 0;
    const scene = { run, state, row, rate: state ? run.history.rate(row) : 0, engine: run?.header?.engine };
    drawAlways(scene);
    if (!isVisible) return;
    palette ??= paletteOf(root);
    const was = painted;
    painted = { view: store.viewVersion, data: store.dataVersion, cursor: store.cursorVersion };
    if (!state) return;
    Object.assign(scene, { palette, ratio: Math.max(1, window.devicePixelRatio || 1), links: store.links });
    drawSeen(scene);
    for (const piece of pieces) {
      const { hasCursor, spansRun } = piece.panel;
      piece.isNew ||= was.view !== painted.view;
      piece.isDue ||= piece.isNew || (spansRun && was.data !== painted.data) || (hasCursor !== false && was.cursor !== painted.cursor);
    }
    const began = performance.now();
    drawPanels(scene);
    store.isTouched = false;
    // The browser lays out and paints before it runs this, so the time for that is counted too.
    if (isNews) setTimeout(() => budget.spend(performance.now() - began));
    isNews = false;
  }

  function measure(piece) {
    const size = String(piece.panel.measure?.() ?? "");
    piece.isNew ||= size !== piece.size;
    piece.size = size;
  }

  function drawPanels(scene) {
    const now = performance.now();
    const shown = pieces.filter(({ panel }) => !panel.root.hidden);
    const first = shown.filter(({ isDue, isSeen }) => isDue && isSeen);
    for (const piece of first) draw(piece, scene);
    const isJump = store.isTouched && first.length > 0;
    hasJumped ||= isJump;
    if (isJump && !isLeft) since = now;
    // Panels out of sight: in the frames after a jump, else once in MAX_WAIT milliseconds.
    const isTurn = (hasJumped && !isJump) || now >= since + MAX_WAIT;
    const end = hasJumped ? performance.now() + MAX_FILL : Infinity;
    const left = () => shown.filter(({ isDue, isPart }) => isDue || isPart);
    const then = left().filter((piece) => isTurn && performance.now() < end && fill(piece, scene));
    for (const { panel } of new Set([...first, ...then])) panel.settle?.();
    isLeft = left().length > 0;
    clearTimeout(timer);
    if (isTurn) since = now;
    if (!isLeft) hasJumped = false;
    else if (hasJumped) schedule();
    else timer = setTimeout(schedule, since + MAX_WAIT - now);
    if (isLeft) attr(root, "data-drawing", "");
  }

  function draw(piece, scene) {
    piece.panel.draw({ ...scene, isNew: piece.isNew });
    Object.assign(piece, { isNew: false, isDue: false, isPart: piece.panel.fill !== undefined });
  }

  function fill(piece, scene) {
    if (piece.isDue) draw(piece, scene);
    if (piece.isPart) piece.panel.fill(scene);
    piece.isPart = false;
    return true;
  }

  const schedule = () => {
    attr(root, "data-drawing", "");
    frame ||= requestAnimationFrame(paint);
  };
  const scheduleNews = () => {
    attr(root, "data-drawing", "");
    newsTimer ||= setTimeout(() => {
      newsTimer = 0;
      isNews = true;
      schedule();
    }, budget.rest);
  };
  const repaint = () => {
    painted = {};
    schedule();
  };
  const onTheme = () => {
    palette = null;
    repaint();
  };
  const unwatch = watchTheme(onTheme);
  const sizes = new ResizeObserver(schedule);
  for (const { root: box, measure: isMeasured } of panels) if (isMeasured) sizes.observe(box);
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (target !== root) pieces.find(({ panel }) => panel.root === target).isSeen = isIntersecting;
      else if ((isVisible = isIntersecting)) repaint();
    }
  });
  for (const box of [root, ...panels.map((panel) => panel.root)]) sight.observe(box);
  schedule();
  const end = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    clearTimeout(newsTimer);
    unwatch();
    sizes.disconnect();
    sight.disconnect();
  };
  return { paint, schedule, scheduleNews, onTheme, end };
}
