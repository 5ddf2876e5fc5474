import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { CellPainter, MODES } = await load("panels/block_map/cells.js");
const { layoutOf, viewOf } = await load("panels/block_map/layout.js");
const { ticksOf } = await load("panels/timeline/chart.js");
const { Run } = await load("run/run.js");

const palette = { ground: [255, 255, 255], text: [0, 0, 0], soft: [90, 90, 90], line: [200, 200, 200], cell: [240, 240, 240] };
const createImage = (width, height) => ({ width, height, data: new Uint8ClampedArray(width * height * 4) });

/** A state with as many blocks, every other one held by its own sequence, full or in part. */
function halfHeld(count) {
  const held = new Map();
  for (let id = 0; id < count; id += 2) {
    held.set(id, { group: 0, holders: [[id % 13, 0]], born: 0, copied_from: id % 3 ? -1 : 0, hash: "", cached: -1, moved_from: -1, fill: 1 + (id % 8), idle: 0 });
  }
  return { step: 2, block_size: 8, blocks: new Map([["device", held]]), evicted: new Map([["device", new Map([[1, { step: 2 }]])]]) };
}

test("every mode draws every cell inside its own place", () => {
  const run = new Run();
  run.push(readFileSync(join(process.env.PAGEDVIZ_CASES, "run.pvtrace")));
  for (const mode of Object.keys(MODES)) {
    for (const width of [30, 100, 547]) {
      const view = viewOf(layoutOf(24, width, 300, 1), { zoom: 1, x: 0, y: 0 });
      const painter = new CellPainter(view, palette, createImage);
      painter.draw(run.state, "device", mode);
      const { image } = painter;
      for (const [id] of run.state.blocks.get("device")) {
        const at = (Math.floor(id / view.columns) * view.step + view.size - 1) * image.width + (id % view.columns) * view.step;
        assert.notDeepEqual([...image.data.slice(at * 4, at * 4 + 3)], palette.cell, `block ${id} in mode ${mode}`);
      }
    }
  }
});

test("a part of a map is painted as it is in the whole", () => {
  const state = halfHeld(4096);
  for (const [count, zoom] of [[64, 2], [4096, 1], [4096, 2], [4096, 7]]) {
    const layout = layoutOf(count, 547, 300, 1);
    const part = viewOf(layout, { zoom, x: 20.3, y: 2.6 });
    const whole = viewOf({ ...layout, step: part.step, width: layout.columns * part.step, height: 1e9 }, { zoom: 1, x: 0, y: 0 });
    const [a, b] = [part, whole].map((view) => {
      const painter = new CellPainter(view, palette, createImage);
      painter.draw(state, "device", "owner");
      return painter;
    });
    for (let y = 0; y < a.image.height; y += 3) {
      const from = (part.row * part.step + y) * b.image.width + part.column * part.step;
      assert.deepEqual(a.pixels.slice(y * a.image.width, (y + 1) * a.image.width), b.pixels.slice(from, from + a.image.width), `${count} at ${zoom}, line ${y}`);
    }
  }
});

test("a pixel of many cells has their mean colour", () => {
  const count = 1_000_000;
  const layout = layoutOf(count, 547, 300, 1);
  const painter = new CellPainter(viewOf(layout, { zoom: 1, x: 0, y: 0 }), palette, createImage);
  const held = new Map();
  const block = { group: 0, holders: [[0, 0]], born: 0, copied_from: -1, hash: "", cached: -1, moved_from: -1, fill: 0, idle: 0 };
  for (let id = 0; id < 3; id++) held.set(id, block);
  painter.draw({ step: 0, block_size: 8, blocks: new Map([["device", held]]), evicted: new Map() }, "device", "fill");
  const main = MODES.fill.colour(block, { block_size: 8 });
  const mean = palette.cell.map((part, i) => part + ((main[i] - part) * 3) / painter.view.cells ** 2);
  [...painter.image.data.slice(0, 3)].forEach((part, i) => assert.ok(Math.abs(part - mean[i]) <= 1, `${part} for ${mean[i]}`));
  assert.deepEqual([...painter.image.data.slice(4, 7)], palette.cell);
});

test("axis ticks are round and not many", () => {
  for (const top of [1, 7, 20, 128, 4096, 65536, 2097152]) {
    const ticks = ticksOf(top);
    assert.equal(ticks[0], 0);
    assert.ok(ticks.length >= 2 && ticks.length <= 6 && ticks.at(-1) <= top, `${top}: ${ticks}`);
  }
});
