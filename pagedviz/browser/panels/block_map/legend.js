/** What the block map's colours and marks stand for, for the mode and the size at which cells are drawn. */
import { MODES } from "./cells.js";
import { css, h, legendItem, onScale, ownerColour } from "../../kit/dom.js";
import { letterOf } from "../../words/describe.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

/** @param {{isTiny: boolean, cells: number}[]} lods of the tiers' maps */
export function modeLegend(mode, state, lods) {
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
