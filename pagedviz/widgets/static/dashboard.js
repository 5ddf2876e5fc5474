/** The whole: lays the panels out and draws what changed, once an animation frame and only while somebody can see it. */
import { createBlockMap } from "./block_map.js";
import { createBlockTables } from "./block_tables.js";
import { createCaption } from "./caption.js";
import { createControls } from "./controls.js";
import { createCounters } from "./counters.js";
import { Tooltip, attr, h, isDark, readPalette, toggle } from "./dom.js";
import { labels } from "./describe.js";
import { createEvents } from "./events.js";
import { createRequests } from "./requests.js";
import { Store } from "./store.js";
import { createTimeline } from "./timeline.js";
import { createTokens } from "./tokens.js";

const PANELS = {
  block_map: createBlockMap, block_tables: createBlockTables, timeline: createTimeline, requests: createRequests, tokens: createTokens, events: createEvents,
};

/** The attributes that tests and styles read. */
function markRoot(root, store) {
  const { feed, state } = store;
  attr(root, "data-step", state ? state.step : null);
  attr(root, "data-next-seq", state ? state.seq : null);
  attr(root, "data-state", feed.status?.state);
  attr(root, "data-frozen", feed.frozen ? "" : null);
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

/**
 * Build a dashboard inside an element.
 * @param {HTMLElement} element
 * @param {{send: (message: object) => void, onMessage: (callback: Function) => () => void}} port
 * @returns {() => void} takes it away again
 */
export function mount(element, port) {
  const root = h("div", { class: "pagedviz", "data-testid": "pagedviz", "data-lm-suppress-shortcuts": "true" });
  const store = new Store(port);
  const tooltip = new Tooltip(root);
  const controls = createControls(store);
  const caption = createCaption(store, controls.status);
  const counters = createCounters();
  const panels = Object.entries(PANELS).map(([name, create]) => ({ name, ...create(store, tooltip) }));
  const switches = panels.map(({ name, root: panelRoot }) =>
    toggle(labels[name], true, (isOn) => {
      panelRoot.hidden = !isOn;
      store.touch();
    }, { "data-panel": name }));
  const grid = h("div", { class: "pv-grid" }, ...panels.map((panel) => panel.root));
  root.append(controls.root, caption.root, counters.root, grid, h("footer", { class: "pv-switches", role: "group", "aria-label": "Panels shown" }, "panels", ...switches));
  element.append(root);

  let palette = null;
  let frame = 0;
  let isVisible = true;
  let drawn = "";
  let painted = -1;

  function paint() {
    frame = 0;
    if (!root.isConnected) return;
    const { run, state } = store;
    const rate = run?.state ? run.history.rate() : 0;
    const engine = run?.header?.engine;
    // Buttons and status are always right; the rest is drawn where somebody can see it.
    controls.draw({ run, engine, rate });
    if (!isVisible) return;
    if (!palette) {
      palette = readPalette(root);
      attr(root, "data-theme", isDark(palette.ground) ? "dark" : "light");
      palette = readPalette(root);
    }
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    const isNew = painted !== store.dataVersion;
    painted = store.dataVersion;
    const scene = { isNew, run, state, rate, ratio, palette, links: store.links, engine };
    if (!state) return;
    caption.draw(scene);
    counters.draw(scene);
    for (const panel of panels) if (!panel.root.hidden && (isNew || panel.hasCursor !== false)) panel.draw(scene);
  }
  const schedule = () => {
    frame ||= requestAnimationFrame(paint);
  };
  const onChange = () => {
    markRoot(root, store);
    const version = `${store.dataVersion}/${store.cursorVersion}`;
    if (version !== drawn) schedule();
    drawn = version;
  };
  const unsubscribe = store.subscribe(onChange);
  const repaint = () => {
    painted = -1;
    schedule();
  };
  const unwatch = watchTheme(() => {
    palette = null;
    repaint();
  });
  const sizes = new ResizeObserver(repaint);
  for (const box of [root, ...panels.map((panel) => panel.root)]) sizes.observe(box);
  const sight = new IntersectionObserver((entries) => {
    isVisible = entries[entries.length - 1].isIntersecting;
    if (isVisible) repaint();
  });
  sight.observe(root);
  // Keys pressed in here are ours: JupyterLab must not take them for its commands.
  root.addEventListener("keydown", (event) => event.stopPropagation());
  schedule();

  return () => {
    cancelAnimationFrame(frame);
    unsubscribe();
    unwatch();
    sizes.disconnect();
    sight.disconnect();
    store.feed.end();
    root.remove();
  };
}
