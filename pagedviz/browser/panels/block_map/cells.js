/**
 * What a block looks like: colour by mode, and texture for every state, so that nothing depends on colour alone. Cells are written as
 * pixels into an ImageData, which costs a few milliseconds for 131,072 of them; letters come on top where cells are large enough.
 * Where cells are, and which of them are in view, is decided in `layout.js`.
 */
import { css, isDark, mix, onScale, parseHex } from "../../kit/dom.js";
import { letterOf } from "../../words/describe.js";
import { extentOf } from "./layout.js";
import { THEME } from "../../words/theme.js";

const pack = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
/** A colour with its pixel value beside it: a map of tiny cells reads it very often. */
const packed = (colour) => Object.assign(colour, { pixel: pack(colour) });
const owners = THEME.owners.map((hex) => packed(parseHex(hex)));
const states = Object.fromEntries(Object.entries(THEME.states).map(([name, hex]) => [name, packed(parseHex(hex))]));
const scaleOf = (scale) => Array.from({ length: 65 }, (_, i) => packed(onScale(scale, i / 64)));
const [viridis, cividis] = [scaleOf(THEME.viridis), scaleOf(THEME.cividis)];

const isYoung = (since, step) => step - since < THEME.copied_steps;
const isShared = (block) => block.holders.length > 1;
const isCopied = (block, step) => block.copied_from >= 0 && isYoung(block.born, step);
const isMoved = (block, step) => block.moved_from >= 0 && isYoung(block.born, step);

/** Ages span many orders: 1 step, 10, 100, 1000. Where on a scale they are. */
const AGES = Array.from({ length: 1000 }, (_, age) => Math.round((64 * Math.log10(1 + age)) / 3));
const onAges = (scale, age) => scale[AGES[age] ?? 64];

/** Colour modes: `colour` of a held block, and the text that a large cell shows. */
export const MODES = {
  owner: { colour: (block) => (block.idle ? states.cached : owners[block.holders[0][0] % owners.length]), text: (block) => (block.holders.length ? letterOf(block.holders[0][0]) : "") },
  state: {
    colour: (block, state) =>
      states[block.idle ? "cached" : isCopied(block, state.step) ? "copied" : isMoved(block, state.step) ? "moved" : isShared(block) ? "shared" : block.fill === state.block_size ? "full" : "filling"],
    text: () => "",
  },
  refcount: {
    scale: "viridis", low: "0 or 1", high: "8 or more",
    colour: (block) => viridis[Math.round((64 * Math.min(7, Math.max(0, block.holders.length - 1))) / 7)],
    text: (block) => String(block.holders.length),
  },
  fill: {
    scale: "cividis", low: "empty", high: "full",
    colour: (block, state) => cividis[Math.round((64 * block.fill) / state.block_size)],
    text: (block) => String(block.fill),
  },
  age: {
    scale: "viridis", low: "new", high: "1000 steps or more",
    colour: (block, state) => onAges(viridis, state.step - block.born),
    text: (block, state) => String(state.step - block.born),
  },
  idle: {
    scale: "cividis", low: "held, or just let go", high: "1000 steps or more",
    colour: (block, state) => block.idle ? onAges(cividis, state.step - block.cached) : cividis[0],
    text: (block, state) => (block.idle ? String(state.step - block.cached) : ""),
  },
};

/** A colour's pixels: itself, itself over an unfilled part, and the ink and the hatching that show on it. */
function inksOf(main, ground) {
  const contrast = isDark(main) ? [255, 255, 255] : [0, 0, 0];
  return { main: pack(main), unfilled: pack(mix(ground, main, 0.3)), ink: pack(mix(main, contrast, 0.75)), hatch: pack(mix(main, contrast, 0.3)) };
}

/**
 * Draws the cells of a view into an ImageData that is kept, as is the picture of an empty pool, as long as view and colours stay the
 * same. It has room for whole cells, of which the view may show a part.
 */
export class CellPainter {
  /** @param {ReturnType<typeof import("./layout.js").viewOf>} view @param {(width: number, height: number) => ImageData} createImage */
  constructor(view, palette, createImage) {
    const { columns, count, step, size, cells, column, row, across, down } = view;
    this.view = view;
    this.palette = palette;
    this.image = createImage(extentOf(across, step), extentOf(down, step));
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.inks = new Map();
    this.pixels.fill(pack(palette.ground));
    // Of cells smaller than a pixel: how many are in each, and by how much held ones change their sum of red, green and blue.
    this.counts = new Uint16Array(cells > 1 ? this.pixels.length : 0);
    this.sums = new Int32Array(3 * this.counts.length);
    const [free, edge] = [pack(palette.cell), pack(palette.line)];
    for (let y = 0; y < down; y++) {
      const end = Math.min(across, count - (row + y) * columns - column);
      for (let x = 0; x < end; x++) {
        if (cells > 1) {
          this.counts[this.pixelOf(x, y)] += 1;
          this.pixels[this.pixelOf(x, y)] = free;
          continue;
        }
        // A free cell is an empty box; a tiny one has one tone.
        this.fill(x * step, y * step, size, size, size >= 5 ? edge : free);
        if (size >= 5) this.fill(x * step + 1, y * step + 1, size - 2, size - 2, free);
      }
    }
    this.empty = this.pixels.slice();
  }

  /** The pixel that a cell smaller than one is in. */
  pixelOf(x, y) {
    const { cells } = this.view;
    return ((y / cells) | 0) * this.image.width + ((x / cells) | 0);
  }

  /** Visit those of a tier's blocks that are in view, by the column and row in it. */
  each(found, visit) {
    const { columns, column, row, across, down } = this.view;
    if (across * down * 8 < found?.size) {
      for (let i = 0; i < across * down; i++) {
        const [x, y] = [i % across, (i / across) | 0];
        const block = found.get((row + y) * columns + column + x);
        if (block) visit(x, y, block, (row + y) * columns + column + x);
      }
      return;
    }
    found?.forEach((block, id) => {
      const line = (id / columns) | 0;
      const x = id - line * columns - column;
      const y = line - row;
      if (x >= 0 && x < across && y >= 0 && y < down) visit(x, y, block, id);
    });
  }

  /** A rectangle of one colour. */
  fill(x, y, width, height, value) {
    const { pixels } = this;
    const stride = this.image.width;
    for (let at = y * stride + x; height > 0; height--, at += stride) {
      for (let i = at; i < at + width; i++) pixels[i] = value;
    }
  }

  /** Write the pixels of all held blocks in view. */
  draw(state, tier, mode) {
    const { step, size, cells } = this.view;
    const { pixels, image: { width } } = this;
    const held = state.blocks.get(tier);
    const { colour } = MODES[mode];
    pixels.set(this.empty);
    if (cells > 1) this.mixAll(held, colour, state);
    else if (step === 1) {
      this.each(held, (x, y, block) => {
        pixels[y * width + x] = colour(block, state).pixel;
      });
    } else if (size < 4) this.each(held, (x, y, block) => this.fill(x * step, y * step, size, size, colour(block, state).pixel));
    else this.each(held, (x, y, block) => this.cell(x * step, y * step, block, state, this.inksFor(colour(block, state)), mode));
    if (size < 6) return;
    const arm = Math.max(2, Math.round(size / 5));
    this.each(state.evicted.get(tier), (column, row, { step: when }, id) => {
      if (!isYoung(when, state.step)) return;
      const block = held?.get(id);
      const value = block && !block.idle && block.fill > 0.9 * state.block_size ? this.inksFor(colour(block, state)).ink : pack(this.palette.text);
      const [x, y] = [column * step + 2, row * step + 2];
      for (let i = 0; i <= arm; i++) for (const line of [i, arm - i]) this.fill(x + i, y + line, size >= 16 ? 2 : 1, 1, value);
    });
  }

  /** A pixel shows the mean of its cells. */
  mixAll(held, colour, state) {
    const { pixels, sums, counts, palette: { cell } } = this;
    sums.fill(0);
    this.each(held, (x, y, block) => {
      const main = colour(block, state);
      const at = 3 * this.pixelOf(x, y);
      sums[at] += main[0] - cell[0];
      sums[at + 1] += main[1] - cell[1];
      sums[at + 2] += main[2] - cell[2];
    });
    for (let i = 0; i < counts.length; i++) {
      const all = counts[i];
      if (all) pixels[i] = (255 << 24) | ((cell[2] + sums[3 * i + 2] / all) << 16) | ((cell[1] + sums[3 * i + 1] / all) << 8) | (cell[0] + sums[3 * i] / all);
    }
  }

  inksFor(main) {
    if (!this.inks.has(main)) this.inks.set(main, inksOf(main, this.palette.ground));
    return this.inks.get(main);
  }

  /** A cell that is large enough for its state's texture. */
  cell(x, y, block, state, inks, mode) {
    const { size } = this.view;
    const filled = Math.max(block.fill ? 1 : 0, Math.round((size * block.fill) / state.block_size));
    if (filled < size) this.fill(x, y, size, size - filled, inks.unfilled);
    this.fill(x, y + size - filled, size, filled, block.idle ? inks.unfilled : inks.main);
    this.texture(x, y, block, state, inks, mode);
  }

  /**
   * Dots around a cached block, hatching for owners beyond the eighth, a diagonal for a copy, a dot for a shared block, a filled
   * corner for one that came from the other tier. (A cross, drawn above, is where a block was evicted.)
   */
  texture(x, y, block, state, { ink, hatch }, mode) {
    const { size } = this.view;
    const end = size - 1;
    if (block.idle) {
      const soft = pack(this.palette.soft);
      for (let at = 0; at < size; at += 3) {
        for (const [left, top, width, height] of [[at, 0, 2, 1], [at, end, 2, 1], [0, at, 1, 2], [end, at, 1, 2]]) {
          this.fill(x + left, y + top, Math.min(width, size - left), Math.min(height, size - top), soft);
        }
      }
    }
    if (isMoved(block, state.step)) {
      const side = Math.max(2, Math.round(size / 2.6));
      for (let row = 0; row < side; row++) this.fill(x, y + size - side + row, row + 1, 1, block.idle ? pack(this.palette.text) : ink);
    }
    const round = mode === "owner" && !block.idle ? Math.floor(block.holders[0][0] / owners.length) : 0;
    for (let at = 2; round && size >= 8 && at < size; at += 4) {
      if (round % 3 !== 2) this.fill(x, y + at, size, 1, hatch);
      if (round % 3 !== 1) this.fill(x + at, y, 1, size, hatch);
    }
    if (isCopied(block, state.step)) {
      const thick = Math.max(1, Math.round(size / 12));
      for (let i = 0; i < size; i++) this.fill(x + Math.min(i, size - thick), y + size - 1 - i, thick, 1, ink);
    }
    if (isShared(block)) {
      const dot = Math.max(2, Math.round(size / 4.5));
      const edge = size >= 12 ? Math.max(1, Math.round(size / 10)) : Math.floor((size - dot) / 2);
      for (let row = 0; row < dot; row++) {
        const inset = dot >= 4 && (row === 0 || row === dot - 1) ? 1 : 0;
        this.fill(x + size - edge - dot + inset, y + edge + row, dot - 2 * inset, 1, ink);
      }
    }
  }

  /** Put the pixels on the canvas, and letters over them where cells are large enough. */
  show(context, state, tier, mode) {
    const { step, size, cells, pitch, column, row, left, top } = this.view;
    const [dx, dy] = cells > 1 ? [0, 0] : [column * step - left, row * step - top];
    context.putImageData(this.image, dx, dy);
    if (pitch < 15) return;
    const { text, colour } = MODES[mode];
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.each(state.blocks.get(tier), (x, y, block) => {
      const word = text(block, state);
      if (!word || word.length > 3) return;
      const main = colour(block, state);
      // Letters stand in the lower half, so the half-filled part decides their colour.
      const ground = block.fill / state.block_size > 0.4 && !block.idle ? main : mix(this.palette.ground, main, 0.3);
      context.font = `600 ${Math.round(size * (word.length > 2 ? 0.36 : 0.46))}px system-ui, sans-serif`;
      context.fillStyle = css(isDark(ground) ? [255, 255, 255] : [17, 17, 17]);
      context.fillText(word, x * step + dx + size / 2, y * step + dy + size * 0.58);
    });
  }
}
