/**
 * When what is drawn: once an animation frame, only while somebody can see it, and what is in sight before the rest, so that a jump
 * shows at once however much there is below.
 */
import { attr, isDark, readPalette } from "./dom.js";

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

/** A panel that took longer to draw, in milliseconds, rests for three times as long. */
const SLOW_DRAW = 30;

/** Where there are news in every frame, what is out of sight waits no longer, in milliseconds. */
const MAX_WAIT = 250;

/** What is out of sight is drawn for so long in a frame, in milliseconds: a person may want to go on. */
const MAX_FILL = 8;

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
  attr(root, "data-theme", null); // the page's colours are to be read, not those that were settled on
  attr(root, "data-theme", isDark(readPalette(root).ground) ? "dark" : "light");
  return readPalette(root);
}

/**
 * Draw in frames from now on.
 * @param {HTMLElement} root
 * @param {import("./store.js").Store} store
 * @param {Panel[]} panels
 * @param {{drawAlways: (scene: object) => void, drawSeen: (scene: object) => void}} rest what is always right, also where nobody sees it; and
 *   what is drawn with the panels
 */
export function drawInFrames(root, store, panels, { drawAlways, drawSeen }) {
  const pieces = panels.map((panel) => ({ panel, isSeen: true, isNew: true, isDue: true, isPart: false, restUntil: 0, size: "" }));
  let palette = null;
  let frame = 0;
  let timer = 0;
  let waitsSince = 0;
  let isVisible = true;
  let painted = {};

  function paint() {
    frame = 0;
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
    drawPanels(scene);
    store.isTouched = false;
  }

  function measure(piece) {
    const size = String(piece.panel.measure?.() ?? "");
    piece.isNew ||= size !== piece.size;
    piece.size = size;
  }

  function drawPanels(scene) {
    const now = performance.now();
    const shown = pieces.filter(({ panel }) => !panel.root.hidden);
    const ready = () => shown.filter(({ isDue, restUntil }) => isDue && (now >= restUntil || store.isTouched));
    const first = ready().filter(({ isSeen }) => isSeen);
    for (const piece of first) draw(piece, scene);
    if (!root.hasAttribute("data-drawing")) waitsSince = now;
    const rest = !first.length || now > waitsSince + MAX_WAIT ? [...ready(), ...shown.filter(({ isPart }) => isPart)] : [];
    const end = performance.now() + MAX_FILL;
    const then = rest.filter((piece) => performance.now() < end && fill(piece, scene));
    for (const { panel } of new Set([...first, ...then])) panel.settle?.();
    const isMore = ready().length > 0 || shown.some(({ isPart }) => isPart);
    attr(root, "data-drawing", isMore ? "" : null);
    clearTimeout(timer);
    const resting = shown.filter(({ isDue }) => isDue).map(({ restUntil }) => restUntil);
    if (isMore) schedule();
    else if (resting.length) timer = setTimeout(schedule, Math.min(...resting) - now);
  }

  /** A panel that took long rests, and news wait, so that a million blocks do not keep the page busy. */
  function draw(piece, scene) {
    const began = performance.now();
    piece.panel.draw({ ...scene, isNew: piece.isNew });
    const took = performance.now() - began;
    Object.assign(piece, { isNew: false, isDue: false, isPart: piece.panel.fill !== undefined, restUntil: took > SLOW_DRAW ? began + 4 * took : 0 });
  }

  function fill(piece, scene) {
    if (piece.isDue) draw(piece, scene);
    if (piece.isPart) piece.panel.fill(scene);
    piece.isPart = false;
    return true;
  }

  const schedule = () => {
    frame ||= requestAnimationFrame(paint);
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
    unwatch();
    sizes.disconnect();
    sight.disconnect();
  };
  return { paint, schedule, onTheme, end };
}
