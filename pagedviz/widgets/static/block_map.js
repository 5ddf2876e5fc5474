/**
 * The block map: one cell a block, from 8 to 131,072 of them. What a cell looks like is decided in `cells.js`; here is where it is,
 * what the mouse and the keyboard do with it, and when it is drawn.
 */
import { CellPainter, MODES, layoutOf } from "./cells.js";
import { attr, css, fit, h, legendItem, mix, onScale, ownerColour, panel, parseHex, setLegend, setText } from "./dom.js";
import { describeBlock, letterOf, plural, tierName } from "./describe.js";
import { useOf } from "./state.js";
import { THEME } from "./theme.js";
import { labels, say } from "./vocabulary.js";

const MAX_HEIGHT = 300;
const MAX_HOST_HEIGHT = 150;

/** For how many steps a move between the tiers is drawn as an arrow, and how many arrows at most. */
const ARROW_STEPS = 3;
const MAX_ARROWS = 64;

/** One tier's canvas. */
function createTierMap(tier, store, tooltip) {
  const speech = h("span", { class: "pv-speech", "aria-live": "polite" });
  const title = h("p", { class: "pv-note" });
  let layout = null;
  let focused = 0;
  /** @type {CellPainter | null} */
  let painter = null;
  let lastPlace = "";

  const count = () => store.state?.num_blocks.get(tier) ?? 0;
  const blockAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / layout.pitch);
    const y = Math.floor((event.clientY - box.top) / layout.pitch);
    const block = y * layout.columns + x;
    return x >= 0 && x < layout.columns && y >= 0 && block < count() ? block : null;
  };
  /** The middle of a block's cell, from the map's corner. */
  const centre = (block, left, top) => [left + ((block % layout.columns) + 0.5) * layout.pitch, top + (Math.floor(block / layout.columns) + 0.5) * layout.pitch];
  const pointAt = (block) => {
    focused = block;
    store.hover({ tier, block });
    const text = describeBlock(store.state, tier, block);
    setText(speech, text);
    const { left, top } = canvas.getBoundingClientRect();
    tooltip.show(text, ...centre(block, left, top));
  };

  const leave = () => {
    store.hover(null);
    tooltip.hide();
  };
  const canvas = h("canvas", {
    class: "pv-map", role: "img", tabindex: "0", onpointerleave: leave, onblur: leave,
    onpointermove(event) {
      if (!layout) return;
      const block = blockAt(event);
      if (block === null) return leave();
      store.hover({ tier, block });
      tooltip.show(describeBlock(store.state, tier, block), event.clientX, event.clientY);
    },
    onclick(event) {
      const block = layout && blockAt(event);
      if (block === null) return;
      focused = block;
      store.pin({ tier, block });
    },
    onfocus: () => layout && canvas.matches(":focus-visible") && pointAt(Math.min(focused, count() - 1)),
    onkeydown(event) {
      if (!layout) return;
      const { columns } = layout;
      const last = count() - 1;
      const moves = { ArrowRight: focused + 1, ArrowLeft: focused - 1, ArrowDown: focused + columns, ArrowUp: focused - columns, Home: 0, End: last };
      const target = moves[event.key];
      if (target >= 0 && target <= last) pointAt(target);
      else if (event.key === "Enter" || event.key === " ") store.pin({ tier, block: focused });
      else if (event.key === "Escape") store.pin(null);
      else if (target === undefined) return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  const root = h("div", { class: "pv-tier", "data-tier": tier }, title, canvas, speech);

  function draw({ state, links, palette, width, ratio, isNew }) {
    const context = canvas.getContext("2d");
    const place = `${count()}/${width}/${ratio}`;
    const isMoved = !painter || place !== lastPlace || painter.palette !== palette;
    if (isMoved) {
      lastPlace = place;
      layout = layoutOf(count(), width, tier === "host" ? MAX_HOST_HEIGHT : MAX_HEIGHT, ratio);
      // Cells are drawn in the canvas's own pixels.
      fit(canvas, layout.deviceWidth / ratio, layout.deviceHeight / ratio, ratio).resetTransform();
      painter = new CellPainter(context.createImageData(layout.deviceWidth, layout.deviceHeight), layout, palette, count());
    }
    if (isMoved || isNew) painter.draw(state, tier, store.mode);
    painter.show(context, state, tier, store.mode);
    outline(context, layout, links, palette, ratio);
    const { cached } = useOf(state, tier);
    const held = (state.blocks.get(tier)?.size ?? 0) - cached;
    attr(canvas, "aria-label", say`Block map, ${tierName(tier)} tier: ${held} of ${count()} blocks are held, ${cached} cached. Arrow keys move from block to block.`);
    setText(title, `${tierName(tier)}: ${held} of ${plural(count(), "block")} held, ${cached} cached`);
    title.hidden = !state.num_blocks.get("host");
  }

  function outline(context, { columns, pitch }, links, palette, ratio) {
    for (const key of links.blocks) {
      if (!key.startsWith(`${tier}:`)) continue;
      const block = Number(key.slice(tier.length + 1));
      const size = Math.max(pitch, 7) * ratio;
      const x = (block % columns) * pitch * ratio;
      const y = Math.floor(block / columns) * pitch * ratio;
      context.lineWidth = 4 * ratio;
      context.strokeStyle = css(palette.ground);
      context.strokeRect(x, y, size, size);
      context.lineWidth = 2 * ratio;
      context.strokeStyle = css(palette.text);
      context.strokeRect(x, y, size, size);
    }
  }
  return { root, draw, placeOf: (block) => centre(block, canvas.offsetLeft, canvas.offsetTop), isTiny: () => layout.size < 4 };
}

/** Lines from where the latest steps' blocks were, in the other tier, to where they are. Drawn, not moved: it can be looked at in peace. */
function drawArrows(canvas, maps, { state, palette, ratio }) {
  const { offsetWidth: width, offsetHeight: height } = canvas.parentElement;
  const context = fit(canvas, width, height, ratio);
  if (maps.size < 2 || !(state.counters.swapped_out + state.counters.swapped_in)) return 0;
  let count = 0;
  for (const [tier, other] of [["host", "device"], ["device", "host"]]) {
    for (const [id, { moved_from: source, born }] of state.blocks.get(tier) ?? []) {
      if (source < 0 || state.step - born >= ARROW_STEPS || (count += 1) > MAX_ARROWS) continue;
      const [x, y] = maps.get(other).placeOf(source);
      const [toX, toY] = maps.get(tier).placeOf(id);
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

function modeLegend(mode, state, isTiny) {
  const copied = `${labels.copied} (last ${THEME.copied_steps} steps)`;
  const marks = isTiny ? [legendItem(labels.free, { swatch: "pv-empty" }), h("span", {}, "cells are too small for marks: point at one")] : [
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
    return [...owners, ...marks];
  }
  if (mode === "state") {
    const swatches = { shared: "pv-dot", copied: "pv-diagonal", filling: "pv-filling", cached: "pv-cached", moved: "pv-moved" };
    const states = Object.entries(THEME.states).map(([name, colour]) => legendItem(name === "copied" ? copied : labels[name], { colour, swatch: swatches[name] }));
    return [...states, ...(isTiny ? marks : marks.slice(state.counters.evicted ? -2 : -1))];
  }
  const scale = MODES[mode].scale;
  const bar = h("i", { class: "pv-scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((at) => css(onScale(THEME[scale], at))).join(", ")})`;
  return [h("span", { class: "pv-legend-item" }, MODES[mode].low, bar, MODES[mode].high), ...marks];
}

export function createBlockMap(store, tooltip) {
  const view = panel("block-map", labels.block_map);
  const select = h("select", { class: "pv-select", "aria-label": say("Colour of the blocks"), "data-testid": "colour-mode" },
    ...Object.keys(MODES).map((name) => h("option", { value: name }, THEME.modes[name])));
  view.head.append(h("label", { class: "pv-tool" }, "colour", select));
  select.addEventListener("change", () => store.setMode(select.value));
  const arrows = h("canvas", { class: "pv-arrows", "aria-hidden": "true" });
  /** @type {Map<string, ReturnType<typeof createTierMap>>} */
  const maps = new Map();

  function draw(scene) {
    const { state, links } = scene;
    const { mode } = store;
    select.value = mode;
    const tiers = [...state.num_blocks].filter(([, count]) => count > 0).map(([tier]) => tier);
    if (tiers.join() !== [...maps.keys()].join()) {
      maps.clear();
      for (const tier of tiers) maps.set(tier, createTierMap(tier, store, tooltip));
      view.body.replaceChildren(h("div", { class: "pv-tiers" }, ...[...maps.values()].map((map) => map.root), arrows));
    }
    const width = view.body.clientWidth - 16;
    if (width < 16) return;
    for (const map of maps.values()) map.draw({ ...scene, width });
    attr(view.root, "data-arrows", drawArrows(arrows, maps, scene));
    const place = scene.engine?.simulated ? `${labels.tiers.device} (${labels.simulated})` : labels.tiers.device;
    setText(view.note, say`${place}, ${(state.num_blocks.get("device") ?? 0).toLocaleString("en")} blocks of ${state.block_size} slots`);
    attr(view.root, "data-block", links.first?.block);
    attr(view.root, "data-blocks", links.blocks.size ? [...links.blocks].join(" ") : null);
    const owners = mode === "owner" ? [...state.sequences.values()].map((s) => ([...s.tables.values()].some((t) => t.length) ? s.id : "")).join() : "";
    const isTiny = maps.get("device")?.isTiny() ?? false;
    const { cached, evicted } = state.counters;
    setLegend(view.legend, `${mode}/${isTiny}/${owners}/${cached > 0}/${evicted > 0}`, () => modeLegend(mode, state, isTiny));
  }
  return { root: view.root, draw };
}

