import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_STATIC, name));
const { CellPainter, MODES, layoutOf } = await load("cells.js");
const { ticksOf } = await load("timeline.js");
const { Run } = await load("run.js");

test("cells fit the width, and the height while they can shrink", () => {
  for (const count of [1, 8, 9, 31, 256, 4096, 65537, 131072]) {
    for (const width of [60, 300, 547, 1000]) {
      for (const ratio of [1, 1.25, 2]) {
        const { columns, pitch, step, size, deviceHeight } = layoutOf(count, width, 300, ratio);
        assert.ok(columns >= 1 && columns * pitch <= width + 0.001, `${count} blocks in ${width} at ${ratio}: ${columns} of ${pitch}`);
        assert.ok(size >= 1 && size <= step);
        assert.ok(columns * (deviceHeight / step) >= count);
        if (step > Math.round(ratio)) assert.ok(deviceHeight <= 300 * ratio);
      }
    }
  }
});

test("rows of many blocks have round lengths", () => {
  assert.equal(layoutOf(32, 547, 300, 1).columns % 8, 0);
  assert.equal(layoutOf(4096, 547, 300, 1).columns % 8, 0);
});

test("every mode draws every cell inside its own place", () => {
  const run = new Run();
  run.push(readFileSync(join(process.env.PAGEDVIZ_CASES, "run.pvtrace")));
  const palette = { ground: [255, 255, 255], text: [0, 0, 0], soft: [90, 90, 90], line: [200, 200, 200], cell: [240, 240, 240] };
  for (const mode of Object.keys(MODES)) {
    for (const width of [30, 100, 547]) {
      const layout = layoutOf(24, width, 300, 1);
      const columns = layout.columns * layout.step;
      const image = { width: columns, height: layout.deviceHeight, data: new Uint8ClampedArray(columns * layout.deviceHeight * 4) };
      const painter = new CellPainter(image, layout, palette, 24);
      painter.draw(run.state, "device", mode);
      for (const [id] of run.state.blocks.get("device")) {
        const at = (Math.floor(id / layout.columns) * layout.step + layout.size - 1) * columns + (id % layout.columns) * layout.step;
        assert.notDeepEqual([...image.data.slice(at * 4, at * 4 + 3)], palette.cell, `block ${id} in mode ${mode}`);
      }
    }
  }
});

test("axis ticks are round and not many", () => {
  for (const top of [1, 7, 20, 128, 4096, 65536, 2097152]) {
    const ticks = ticksOf(top);
    assert.equal(ticks[0], 0);
    assert.ok(ticks.length >= 2 && ticks.length <= 6 && ticks.at(-1) <= top, `${top}: ${ticks}`);
  }
});
