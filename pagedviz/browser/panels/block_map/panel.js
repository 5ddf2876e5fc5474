/**
 * The block map: one cell a block, from 8 to a million of them. What a cell looks like is decided in `cells.js`, where it is in
 * `layout.js`; here is what the mouse and the keyboard do with it, and when it is drawn.
 */
import { CellPainter, MODES } from "./cells.js";
import { blockUnder, layoutOf, movedTo, revealing, viewOf, zoomed } from "./layout.js";
import { attr, css, fit, h, legendItem, mix, onScale, ownerColour, parseHex, setLegend, setText } from "../../kit/dom.js";
import { describeBlock, letterOf, number, plural, tierName } from "../../words/describe.js";
import { useOf } from "../../run/state.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_HEIGHT = 300;
const MAX_HOST_HEIGHT = 150;

/** For how many steps a move between the tiers is drawn as an arrow, and how many arrows at most. */
const ARROW_STEPS = 3;
const MAX_ARROWS = 64;

/** So far, in CSS pixels, a pressed mouse moves before it drags. */
const DRAG_FROM = 4;

const WHOLE = { zoom: 1, x: 0, y: 0 };

/** One tier's canvas. `redraw` draws the map again soon. */
function createTierMap(tier, store, tooltip, redraw) {
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
    h("button", { type: "button", class: "pv-button", "aria-label": `${say(name)}, ${tierName(tier)}`, title: `${say(name)} (${key})`, "data-zoom": factor, onclick: () => view && zoomBy(factor) }, text);
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

/** Lines from where the latest steps' blocks were, in the other tier, to where they are. Drawn, not moved: it can be looked at in peace. */
function drawArrows(canvas, maps, { state, palette, ratio }) {
  const { offsetWidth: width, offsetHeight: height } = canvas.parentElement;
  const context = fit(canvas, width, height, ratio);
  if (maps.size < 2 || !(state.counters.swapped_out + state.counters.swapped_in)) return 0;
  let count = 0;
  for (const [tier, other] of [["host", "device"], ["device", "host"]]) {
    for (const [id, { moved_from: source, born }] of state.blocks.get(tier) ?? []) {
      if (source < 0 || state.step - born >= ARROW_STEPS || count >= MAX_ARROWS) continue;
      const [x, y, isFromSeen] = maps.get(other).placeOf(source);
      const [toX, toY, isToSeen] = maps.get(tier).placeOf(id);
      if (!isFromSeen && !isToSeen) continue;
      count += 1;
      const angle = Math.atan2(toY - y, toX - x);
      const head = (turn) => context.lineTo(toX - 9 * Math.cos(angle + turn), toY - 9 * Math.sin(angle + turn));
      context.globalAlpha = 1 - (state.step - born) / (ARROW_STEPS + 1);
      context.beginPath();
      context.arc(x, y, 3, 0, 7);
      context.moveTo(x, y);
      context.lineTo(toX, toY);
      head(0.4);
      context.moveTo(toX, toY);
      head(-0.4);
      for (const [colour, thickness] of [[css(palette.ground), 4], [css(mix(parseHex(THEME.marks[tier === "host" ? "swapped_out" : "swapped_in"]), palette.text, 0.3)), 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = thickness;
        context.stroke();
      }
    }
  }
  return count;
}

/** @param {{isTiny: boolean, cells: number}[]} lods of the tiers' maps */
function modeLegend(mode, state, lods) {
  const copied = `${labels.copied} (last ${THEME.copied_steps} steps)`;
  const isTiny = lods.every((lod) => lod.isTiny);
  const cells = Math.max(...lods.map((lod) => lod.cells));
  const hints = lods.some((lod) => lod.isTiny) ? [h("span", {}, `${cells > 1 ? say`a pixel mixes ${cells * cells} blocks` : "cells are too small for marks"}: point at one, or zoom in`)] : [];
  const marks = isTiny ? [legendItem(labels.free, { swatch: "pv-empty" })] : [
    legendItem(labels.shared, { swatch: "pv-dot" }),
    legendItem(copied, { swatch: "pv-diagonal" }),
    ...(state.counters.cached ? [legendItem(labels.cached, { swatch: "pv-cached" })] : []),
    ...(state.num_blocks.get("host") ? [legendItem(labels.moved, { swatch: "pv-moved" })] : []),
    legendItem("part full: K and V up to this height", { swatch: "pv-half" }),
    ...(state.counters.evicted ? [legendItem(labels.evicted, { swatch: "pv-cross" })] : []),
    legendItem(labels.free, { swatch: "pv-empty" }),
  ];
  if (mode === "owner") {
    const alive = [...state.sequences.values()].filter((s) => [...s.tables.values()].some((table) => table.length)).map((s) => s.id);
    const owners = alive.slice(0, 8).map((id) => legendItem(letterOf(id), { colour: ownerColour(id) }));
    if (alive.length > 8) owners.push(h("span", {}, `and ${alive.length - 8} more`));
    return [...owners, ...marks, ...hints];
  }
  if (mode === "state") {
    const swatches = { shared: "pv-dot", copied: "pv-diagonal", filling: "pv-filling", cached: "pv-cached", moved: "pv-moved" };
    const states = Object.entries(THEME.states).map(([name, colour]) => legendItem(name === "copied" ? copied : labels[name], { colour, swatch: swatches[name] }));
    return [...states, ...(isTiny ? marks : marks.slice(state.counters.evicted ? -2 : -1)), ...hints];
  }
  const scale = MODES[mode].scale;
  const bar = h("i", { class: "pv-scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((at) => css(onScale(THEME[scale], at))).join(", ")})`;
  return [h("span", { class: "pv-legend-item" }, MODES[mode].low, bar, MODES[mode].high), ...marks, ...hints];
}

export function create(view, store, tooltip) {
  const select = h("select", { class: "pv-select", "aria-label": say("Colour of the blocks"), "data-testid": "colour-mode" },
    ...Object.keys(MODES).map((name) => h("option", { value: name }, THEME.modes[name])));
  const tools = h("span", {});
  view.head.append(h("span", { class: "pv-tool" }, tools, h("label", { class: "pv-tool" }, "colour", select)));
  select.addEventListener("change", () => store.setMode(select.value));
  const arrows = h("canvas", { class: "pv-arrows", "aria-hidden": "true" });
  /** @type {Map<string, ReturnType<typeof createTierMap>>} */
  const maps = new Map();
  let last = null;
  let width = 0;
  let frame = 0;

  /** Draw again what only this panel must: it was moved or zoomed. */
  function redraw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!store.state || !view.root.isConnected) return;
      draw({ ...last, isNew: last.state.seq !== store.state.seq, state: store.state, links: store.links });
      settle();
    });
  }

  function draw(scene) {
    last = scene;
    const { state, links } = scene;
    const { mode } = store;
    select.value = mode;
    const tiers = [...state.num_blocks].filter(([, count]) => count > 0).map(([tier]) => tier);
    if (tiers.join() !== [...maps.keys()].join()) {
      maps.clear();
      for (const tier of tiers) maps.set(tier, createTierMap(tier, store, tooltip, redraw));
      view.body.replaceChildren(h("div", { class: "pv-tiers" }, ...[...maps.values()].map((map) => map.root), arrows));
      tools.replaceChildren(...(maps.size === 1 ? [maps.get(tiers[0]).tools] : []));
    }
    if (width < 16) return;
    for (const map of maps.values()) map.draw({ ...scene, width });
    const place = scene.engine?.simulated ? `${labels.tiers.device} (${labels.simulated})` : labels.tiers.device;
    setText(view.note, say`${place}, ${number(state.num_blocks.get("device") ?? 0)} blocks of ${state.block_size} slots`);
    attr(view.root, "data-block", links.first?.block);
    attr(view.root, "data-blocks", links.blocks.size ? [...links.blocks].join(" ") : null);
    const owners = mode === "owner" ? [...state.sequences.values()].map((s) => ([...s.tables.values()].some((t) => t.length) ? s.id : "")).join() : "";
    const lods = [...maps.values()].map((map) => map.lodOf());
    const { cached, evicted } = state.counters;
    setLegend(view.legend, `${mode}/${JSON.stringify(lods)}/${owners}/${cached > 0}/${evicted > 0}`, () => modeLegend(mode, state, lods));
  }
  const measure = () => (width = view.body.clientWidth - 16);
  function settle() {
    if (width >= 16) attr(view.root, "data-arrows", drawArrows(arrows, maps, last));
  }
  return { measure, draw, settle };
}

