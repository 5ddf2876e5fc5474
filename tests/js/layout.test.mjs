import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

const { blockUnder, layoutOf, movedTo, revealing, viewOf, zoomed } = await import(join(process.env.PAGEDVIZ_BROWSER, "panels/block_map/layout.js"));

const WHOLE = { zoom: 1, x: 0, y: 0 };
const COUNTS = [1, 8, 9, 31, 64, 256, 4096, 65537, 131072, 1000000];

/** Every pool on every screen. */
function* layouts() {
  for (const count of COUNTS) for (const width of [60, 300, 547, 1000]) for (const ratio of [1, 1.25, 2]) yield layoutOf(count, width, 300, ratio);
}

test("every pool fits the width and the height", () => {
  for (const layout of layouts()) {
    const { count, columns, step, ratio, width, height } = layout;
    const what = JSON.stringify(layout);
    assert.ok(columns >= 1 && height <= 300 * ratio && width <= 1000 * ratio, what);
    assert.ok(Number.isInteger(step) || Number.isInteger(Math.round(1e9 / step) / 1e9), what);
    assert.ok(columns * Math.ceil(height / step) >= count, what);
    assert.ok(step < 1 || (width === columns * step && height % step === 0), what);
  }
});

test("rows of many blocks have round lengths", () => {
  for (const count of [32, 4096, 131072, 1000000]) assert.equal(layoutOf(count, 547, 300, 1).columns % 8, 0, `${count}`);
});

test("without zoom all cells are in view", () => {
  for (const layout of layouts()) {
    const { left, top, column, row, across, down, zoom } = viewOf(layout, WHOLE);
    assert.deepEqual([left, top, column, row, across, zoom], [0, 0, 0, 0, layout.columns, 1]);
    assert.equal(down, Math.ceil(layout.count / layout.columns));
  }
});

test("a view never leaves the map, and its cells cover it", () => {
  for (const layout of layouts()) {
    for (const zoom of [0, 1, 1.4, 2, 3.7, 16, 1e9]) {
      for (const at of [-5, 0, 0.4, 7.7, 1e9]) {
        const view = viewOf(layout, { zoom, x: at, y: at });
        const { step, cells, left, top, column, row, across, down } = view;
        assert.ok(step >= layout.step - 1e-9 && step <= Math.max(layout.step, 80 * layout.ratio));
        assert.ok(left >= 0 && top >= 0 && across >= 1 && down >= 1);
        assert.ok(column + across <= layout.columns);
        const covers = cells > 1 ? across / cells + 1e-9 >= layout.width - 1 : (column + across) * step >= left + layout.width && column * step <= left;
        assert.ok(covers, JSON.stringify(view));
        assert.ok(row + down === Math.ceil(layout.count / layout.columns) || (row + down) * step >= top + layout.height - 1e-6);
      }
    }
  }
});

test("zooming leaves what is under the mouse there, and zooming out ends at the whole", () => {
  for (const count of [4096, 131072, 1000000]) {
    const layout = layoutOf(count, 547, 300, 1);
    const [x, y] = [200, 100];
    const block = blockUnder(viewOf(layout, WHOLE), null, x, y);
    let lens = WHOLE;
    for (let i = 0; i < 12; i++) lens = zoomed(layout, lens, 1.7, x, y);
    const near = blockUnder(viewOf(layout, lens), null, x, y);
    const off = Math.round(1 / layout.step) + 2;
    assert.ok(Math.abs((near % layout.columns) - (block % layout.columns)) <= off, `${count}: ${block} ${near}`);
    assert.ok(Math.abs(Math.floor(near / layout.columns) - Math.floor(block / layout.columns)) <= off, `${count}: ${block} ${near}`);
    for (let i = 0; i < 13; i++) lens = zoomed(layout, lens, 1 / 1.7, 30, 40);
    assert.deepEqual(viewOf(layout, lens), viewOf(layout, WHOLE));
  }
});

test("any block can be brought into view, and is then where it is pointed at", () => {
  for (const layout of layouts()) {
    let lens = zoomed(layout, WHOLE, 20, 5, 5);
    for (const block of [layout.count - 1, 0, layout.count >> 1, layout.columns - 1]) {
      if (block >= layout.count) continue;
      lens = revealing(lens, viewOf(layout, lens), block);
      const view = viewOf(layout, lens);
      const { step, left, top, columns, width, height } = view;
      const [x, y] = [((block % columns) + 0.5) * step - left, (Math.floor(block / columns) + 0.5) * step - top];
      assert.ok(x > 0 && y > 0 && x < width && y < height, `${block} of ${layout.count}: ${x}, ${y}`);
      assert.equal(blockUnder(view, new Set([block]), Math.floor(x), Math.floor(y)), block);
    }
  }
});

test("what is in view is not moved, and a move by pixels is one", () => {
  const layout = layoutOf(131072, 547, 300, 1);
  const lens = zoomed(layout, WHOLE, 8, 0, 0);
  const view = viewOf(layout, lens);
  assert.deepEqual(viewOf(layout, revealing(lens, view, view.columns * 3 + 4)), view);
  assert.equal(viewOf(layout, movedTo(lens, view, view.left + 13, view.top + 7)).left, view.left + 13);
});

test("nothing is beside the map", () => {
  const view = viewOf(layoutOf(31, 300, 300, 1), WHOLE);
  for (const [x, y] of [[-1, 0], [0, -1], [view.width, 0], [0, view.height]]) assert.equal(blockUnder(view, null, x, y), null);
  const last = viewOf(layoutOf(1000000, 547, 300, 1), WHOLE);
  assert.equal(blockUnder(last, null, last.width - 1, last.height - 1), null);
});
