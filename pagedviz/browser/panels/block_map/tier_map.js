/**
 * One tier's map: what the mouse and the keyboard do with its canvas, and what of it is drawn when. What a cell looks like is decided in
 * `cells.js`, where it is in `layout.js`.
 */
import { CellPainter } from "./cells.js";
import { blockUnder, layoutOf, movedTo, revealing, viewOf, zoomed } from "./layout.js";
import { attr, css, fit, h, pushButton, setText } from "../../kit/dom.js";
import { describeBlock, plural, tierName } from "../../words/describe.js";
import { useOf } from "../../run/state.js";
import { say } from "../../words/vocabulary.js";

const MAX_HEIGHT = 300;
const MAX_HOST_HEIGHT = 150;

/** So far, in CSS pixels, a pressed mouse moves before it drags. */
const DRAG_FROM = 4;

const WHOLE = { zoom: 1, x: 0, y: 0 };

/** One tier's canvas. `redraw` draws the map again soon. */
export function createTierMap(tier, store, tooltip, redraw) {
  const speech = h("span", { class: "pv-speech", "aria-live": "polite" });
  const title = h("p", { class: "pv-note" });
  let layout = null;
  let lens = store.kept[tier] ?? WHOLE;
  /** What is seen of the layout through the lens. @type {ReturnType<typeof viewOf>} */
  let view = null;
  let focused = 0;
  /** Where a drag began. */
  let grip = null;
  /** @type {CellPainter | null} */
  let painter = null;
  let lastPlace = "";

  const count = () => store.state?.num_blocks.get(tier) ?? 0;
  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((at) => Math.floor(at * view.ratio));
  };
  const blockAt = (event) => blockUnder(view, store.state.blocks.get(tier), ...pointOf(event));
  /** The middle of a block's cell, in CSS pixels from the canvas's corner. */
  const centre = (block) => [((block % view.columns) + 0.5) * view.pitch - view.left / view.ratio, (Math.floor(block / view.columns) + 0.5) * view.pitch - view.top / view.ratio];
  const isSeen = ([x, y]) => x >= 0 && y >= 0 && x * view.ratio < view.width && y * view.ratio < view.height;

  const look = (next) => {
    store.kept[tier] = lens = next;
    view = viewOf(layout, lens);
    redraw();
  };
  /** Zoom about a point of the view in device pixels; without one, about the focused block, or the middle where that is not in view. */
  const zoomBy = (factor, point) => {
    const { zoom } = lens;
    const [x, y] = centre(focused);
    const about = point ?? (isSeen([x, y]) && (store.cursor?.tier === tier || canvas.matches(":focus")) ? [x * view.ratio, y * view.ratio] : [view.width / 2, view.height / 2]);
    look(zoomed(layout, lens, factor, ...about));
    const seen = Math.min(count(), view.across * view.down);
    setText(speech, `Zoom ${zoomText()}: ${plural(seen, "block")} in view`);
    return lens.zoom !== zoom;
  };
  const zoomText = () => `${Number(view.zoom.toFixed(1))}×`;

  const tell = (block, x, y, by) => {
    store.hover({ tier, block });
    tooltip.show(describeBlock(store.state, tier, block), x, y, by);
  };
  const tellFocused = () => {
    const { left, top } = canvas.getBoundingClientRect();
    const [x, y] = centre(focused);
    tell(focused, left + x, top + y, "keys");
  };
  const pointAt = (block) => {
    focused = block;
    look(revealing(lens, view, block));
    setText(speech, describeBlock(store.state, tier, block));
    tellFocused();
  };
  const leave = () => {
    store.hover(null);
    tooltip.hide();
  };
  const hoverAt = (event) => {
    const block = blockAt(event);
    if (block === null) leave();
    else tell(block, event.clientX, event.clientY);
  };
  const drag = (event) => {
    const [x, y] = [event.clientX - grip.x, event.clientY - grip.y];
    if (!grip.isDrag && Math.hypot(x, y) < DRAG_FROM) return;
    if (!grip.isDrag) {
      grip.isDrag = true;
      canvas.setPointerCapture(event.pointerId);
      leave();
    }
    look(movedTo(lens, view, grip.left - x * view.ratio, grip.top - y * view.ratio));
  };
  const ZOOM_KEYS = { "+": 2, "=": 2, "-": 0.5, _: 0.5, 0: 0 };
  const canvas = h("canvas", {
    class: "pv-map", role: "img", tabindex: "0", onpointerleave: () => tooltip.by === "pointer" && leave(), onblur: leave,
    onpointerdown({ button, clientX: x, clientY: y }) {
      grip = view?.zoom > 1 && button === 0 ? { x, y, left: view.left, top: view.top, isDrag: false } : null;
    },
    onpointermove(event) {
      if (!view) return;
      if (grip && event.buttons & 1) drag(event);
      else hoverAt(event);
    },
    onclick(event) {
      const isDrag = grip?.isDrag;
      grip = null;
      const block = view && !isDrag ? blockAt(event) : null;
      if (block === null) return;
      focused = block;
      store.pin({ tier, block });
    },
    // The page scrolls with a plain wheel, unless somebody went into the map.
    onwheel(event) {
      const { ctrlKey, deltaMode, deltaY } = event;
      if (!view || !(ctrlKey || canvas.matches(":focus"))) return;
      const turn = deltaY * (deltaMode ? 20 : 1) * (ctrlKey ? 0.01 : 0.004);
      const hasZoomed = zoomBy(2 ** Math.max(-2, Math.min(-turn, 2)), pointOf(event));
      if (hasZoomed || ctrlKey) event.preventDefault();
      if (hasZoomed) hoverAt(event);
    },
    onfocus: () => view && canvas.matches(":focus-visible") && pointAt(Math.min(focused, count() - 1)),
    onkeydown(event) {
      const movesInTime = event.shiftKey && event.key.startsWith("Arrow");
      if (!view || movesInTime || event.ctrlKey || event.metaKey || event.altKey) return;
      const { columns } = view;
      const last = count() - 1;
      const moves = { ArrowRight: focused + 1, ArrowLeft: focused - 1, ArrowDown: focused + columns, ArrowUp: focused - columns, Home: 0, End: last };
      const target = moves[event.key];
      const factor = ZOOM_KEYS[event.key];
      if (target >= 0 && target <= last) pointAt(target);
      else if (factor !== undefined) {
        zoomBy(factor);
        tellFocused();
      } else if (event.key === "Enter" || event.key === " ") store.pin({ tier, block: focused });
      else if (event.key === "Escape") store.pin(null);
      else if (target === undefined) return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  const zoomButton = (text, name, key, factor) =>
    pushButton({ "aria-label": `${say(name)}, ${tierName(tier)}`, title: `${say(name)} (${key})`, "data-zoom": factor, onclick: () => view && zoomBy(factor) }, text);
  const shown = h("span", {});
  const tools = h("span", { class: "pv-zoom", role: "group", "aria-label": `Zoom, ${tierName(tier)}` },
    shown, zoomButton("−", "Zoom out", "-", 0.5), zoomButton("+", "Zoom in", "+, or Ctrl and the wheel", 2), zoomButton("fit", "Fit all blocks", "0", 0));
  const root = h("div", { class: "pv-tier", "data-tier": tier }, h("div", { class: "pv-tier-head" }, title, tools), canvas, speech);

  function draw({ state, links, palette, width, ratio, isNew }) {
    const context = canvas.getContext("2d");
    layout = layoutOf(count(), width, (tier === "host" ? MAX_HOST_HEIGHT : MAX_HEIGHT) * palette.type, ratio);
    view = viewOf(layout, lens);
    const place = [view.count, view.columns, view.width, view.height, view.step, view.left, view.top, ratio].join();
    const isMoved = place !== lastPlace || painter.palette !== palette;
    if (isMoved) {
      lastPlace = place;
      // Cells are drawn in the canvas's own pixels.
      if (canvas.width !== view.width || canvas.height !== view.height || canvas.style.width !== `${view.width / ratio}px`) fit(canvas, view.width / ratio, view.height / ratio, ratio).resetTransform();
      painter = new CellPainter(view, palette, (...size) => context.createImageData(...size));
    }
    if (isMoved || isNew) painter.draw(state, tier, store.mode);
    painter.show(context, state, tier, store.mode);
    outline(context, links, palette);
    const { cached } = useOf(state, tier);
    const held = (state.blocks.get(tier)?.size ?? 0) - cached;
    attr(canvas, "aria-label", say`Block map, ${tierName(tier)} tier: ${held} of ${count()} blocks are held, ${cached} cached. Arrow keys move from block to block, + and - zoom, 0 shows all.`);
    attr(canvas, "data-zoom", view.zoom > 1 ? zoomText() : null);
    setText(shown, view.zoom > 1 ? zoomText() : "");
    setText(title, `${tierName(tier)}: ${held} of ${plural(count(), "block")} held, ${cached} cached`);
    title.hidden = !state.num_blocks.get("host");
  }

  function outline(context, links, palette) {
    const { columns, step, left, top, width, height, ratio } = view;
    const size = Math.max(step, 7 * ratio);
    for (const key of links.blocks) {
      const block = Number(key.slice(tier.length + 1));
      if (!key.startsWith(`${tier}:`)) continue;
      const corner = (at, from, length) => {
        const start = at * step - from;
        // Around a tiny cell, and all of it inside the map.
        return size === step || start < 0 || start >= length ? start : Math.max(ratio, Math.min(start - (size - step) / 2, length - size - ratio));
      };
      const [x, y] = [corner(block % columns, left, width), corner(Math.floor(block / columns), top, height)];
      for (const [colour, thickness] of [[palette.ground, 4], [palette.text, 2]]) {
        context.lineWidth = thickness * ratio;
        context.strokeStyle = css(colour);
        context.strokeRect(x, y, size, size);
      }
    }
  }

  /** Where an arrow to a block ends: [x, y, whether its cell is in view]; at the edge where it is not. */
  const placeOf = (block) => {
    const at = centre(block);
    const [x, y] = [view.width, view.height].map((length, i) => Math.max(0, Math.min(at[i], length / view.ratio)));
    return [x + canvas.offsetLeft, y + canvas.offsetTop, isSeen(at)];
  };
  return { root, tools, draw, placeOf, lodOf: () => ({ isTiny: view.size < 4, cells: view.cells }) };
}
