/**
 * Where the cells of a block map are, for 8 blocks as for a million, and which of them are seen at a zoom. From cell to cell it is a
 * whole number of the canvas's pixels, or else a pixel stands for a square of whole cells: none is drawn larger than its neighbour,
 * and none is left out. Knows nothing of what a cell looks like.
 */

const MAX_PITCH = 40;
const MAX_ZOOMED_PITCH = 80;

/** @typedef {{count: number, columns: number, step: number, ratio: number, width: number, height: number}} Layout
 *   all of a pool: `step` from cell to cell (1/3: a pixel is 3 by 3 cells), `width` and `height`, in the canvas's pixels */
/** @typedef {{zoom: number, x: number, y: number}} Lens how many times a cell has its size; the cell in the view's corner */

/**
 * Cells are as large as fits, in as few rows as costs little of their size. Rows of 8, 16, 24… blocks are easy to count.
 * @returns {Layout}
 */
export function layoutOf(count, width, maxHeight, ratio) {
  const [wide, high] = [Math.floor(width * ratio), Math.floor(maxHeight * ratio)];
  const candidates = count <= wide ? [count] : [];
  for (let columns = 8; columns <= Math.min(count, wide); columns += 8) candidates.push(columns);
  const stepOf = (columns) => Math.floor(Math.min(wide / columns, high / Math.ceil(count / columns), MAX_PITCH * ratio));
  const best = Math.max(...candidates.map(stepOf));
  let columns = Math.max(1, ...candidates.filter((candidate) => stepOf(candidate) >= 0.8 * best));
  let step = stepOf(columns);
  for (let cells = 2; step === 0; cells++) {
    columns = (wide - (wide % 8)) * cells;
    if (Math.ceil(count / columns) <= high * cells) step = 1 / cells;
  }
  return { count, columns, step, ratio, width: extentOf(columns, step), height: extentOf(Math.max(1, Math.ceil(count / columns)), step) };
}

/** How many pixels so many cells take. */
export const extentOf = (cells, step) => (step >= 1 ? cells * step : Math.ceil(cells / Math.round(1 / step)));

const clampTo = (value, least, most) => Math.max(least, Math.min(value, most));
const wholeStep = (step) => (step >= 1 ? Math.round(step) : 1 / Math.round(1 / step));
const mostZoom = ({ step, ratio, width, height }) => Math.max(1, Math.min(MAX_ZOOMED_PITCH * ratio, width, height) / step);

/**
 * What is seen of a layout through a lens: the map's corner is at `left`, `top` (in pixels of the whole, enlarged map), and the cells
 * in view are `across` columns from `column` on and `down` rows from `row` on. A cell's side is `size` pixels; `cells` by `cells` of
 * them are one pixel.
 * @param {Layout} layout
 * @param {Lens} lens
 */
export function viewOf(layout, lens) {
  const { columns, count, ratio, width, height } = layout;
  const rows = Math.max(1, Math.ceil(count / columns));
  const step = wholeStep(layout.step * clampTo(lens.zoom, 1, mostZoom(layout)));
  const cells = Math.max(1, Math.round(1 / step));
  const gap = step >= 20 * ratio ? 3 * ratio : step >= 9 * ratio ? 2 * ratio : step >= 4 * ratio ? ratio : 0;
  const along = (at, all, length) => {
    const from = clampTo(Math.round(at * step), 0, Math.max(0, extentOf(all, step) - length));
    const first = cells > 1 ? from * cells : Math.floor(from / step);
    return [from, first, Math.min(all, cells > 1 ? (from + length) * cells : Math.ceil((from + length) / step)) - first];
  };
  const [left, column, across] = along(lens.x, columns, width);
  const [top, row, down] = along(lens.y, rows, height);
  return { ...layout, step, cells, size: Math.max(1, step - Math.round(gap)), pitch: step / ratio, left, top, column, row, across, down, zoom: step / layout.step };
}

/** The lens that makes cells `factor` times as large and leaves the point `x`, `y` of the view where it is. @returns {Lens} */
export function zoomed(layout, lens, factor, x, y) {
  const zoom = clampTo(lens.zoom * factor, 1, mostZoom(layout));
  const before = viewOf(layout, lens);
  const after = viewOf(layout, { ...lens, zoom });
  return { zoom, x: (before.left + x) / before.step - x / after.step, y: (before.top + y) / before.step - y / after.step };
}

/** The lens that looks from a place of the whole map. @returns {Lens} */
export const movedTo = (lens, { step }, left, top) => ({ ...lens, x: left / step, y: top / step });

/** The lens moved as little as brings all of a cell into view. @returns {Lens} */
export function revealing(lens, view, block) {
  const { columns, step, left, top, width, height } = view;
  const near = (at, from, length) => Math.min(Math.floor(at * step), Math.max(from, Math.ceil((at + 1) * step) - length));
  return movedTo(lens, view, near(block % columns, left, width), near(Math.floor(block / columns), top, height));
}

/** The block at a point of the view, null beside them. Of a pixel's cells, the first that is held. */
export function blockUnder({ count, columns, step, cells, left, top, width, height }, held, x, y) {
  if (x < 0 || y < 0 || x >= width || y >= height) return null;
  const cell = (at) => (cells > 1 ? Math.floor(at) * cells : Math.floor(at / step));
  const [column, row] = [cell(left + x), cell(top + y)];
  const inside = [];
  for (let i = 0; i < cells * cells; i++) {
    const [at, block] = [column + (i % cells), (row + Math.floor(i / cells)) * columns + column + (i % cells)];
    if (at < columns && block < count) inside.push(block);
  }
  return inside.find((block) => held?.has(block)) ?? inside[0] ?? null;
}
