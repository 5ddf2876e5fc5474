/**
 * What a block looks like: colour by mode, and texture for every state, so that nothing depends on colour alone. Cells are written as
 * pixels into an ImageData, which costs a few milliseconds for 131,072 of them; letters come on top where cells are large enough.
 */
import { css, isDark, mix, onScale, parseHex } from "./dom.js";
import { letterOf } from "./describe.js";
import { THEME } from "./theme.js";

const MAX_PITCH = 40;
const owners = THEME.owners.map(parseHex);
const states = Object.fromEntries(Object.entries(THEME.states).map(([name, hex]) => [name, parseHex(hex)]));
const viridis = Array.from({ length: 65 }, (_, i) => onScale(THEME.viridis, i / 64));
const cividis = Array.from({ length: 65 }, (_, i) => onScale(THEME.cividis, i / 64));

const isYoung = (since, step) => step - since < THEME.copied_steps;
const isShared = (block) => block.holders.length > 1;
const isCopied = (block, step) => block.copied_from >= 0 && isYoung(block.born, step);
const isMoved = (block, step) => block.moved_from >= 0 && isYoung(block.born, step);

/** Ages span many orders: 1 step, 10, 100, 1000. */
const ageShare = (age) => Math.min(1, Math.log10(1 + age) / 3);

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
    colour: (block, state) => viridis[Math.round(64 * ageShare(state.step - block.born))],
    text: (block, state) => String(state.step - block.born),
  },
  idle: {
    scale: "cividis", low: "held, or just let go", high: "1000 steps or more",
    colour: (block, state) => cividis[block.idle ? Math.round(64 * ageShare(state.step - block.cached)) : 0],
    text: (block, state) => (block.idle ? String(state.step - block.cached) : ""),
  },
};

/**
 * Where cells are: as large as fits, in as few rows as costs little of their size. Rows of 8, 16, 24… blocks are easy to count.
 * @returns {{columns: number, pitch: number, step: number, size: number, deviceWidth: number, deviceHeight: number}} `pitch` in CSS pixels,
 *   `step` (from cell to cell) and `size` (of a cell) in the canvas's own
 */
export function layoutOf(count, width, maxHeight, ratio) {
  const smallest = Math.max(1, Math.round(ratio));
  const widest = Math.max(1, Math.floor((width * ratio) / smallest));
  const candidates = [Math.min(count, widest)];
  for (let columns = 8; columns <= Math.min(count, widest); columns += 8) candidates.push(columns);
  const stepOf = (columns) => {
    const fit = Math.min((width * ratio) / columns, (maxHeight * ratio) / Math.ceil(count / columns), MAX_PITCH * ratio);
    return Math.max(smallest, Math.floor(fit));
  };
  const best = Math.max(...candidates.map(stepOf));
  const columns = Math.max(1, ...candidates.filter((candidate) => stepOf(candidate) >= 0.8 * best));
  const step = stepOf(columns);
  const gap = step >= 20 * ratio ? 3 * ratio : step >= 9 * ratio ? 2 * ratio : step >= 4 * ratio ? ratio : 0;
  return {
    columns, step, pitch: step / ratio, size: step - Math.round(gap),
    deviceWidth: columns * step, deviceHeight: Math.max(1, Math.ceil(count / columns)) * step,
  };
}

const pack = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** A colour's pixels: itself, itself over an unfilled part, and the ink and the hatching that show on it. */
function inksOf(main, ground) {
  const contrast = isDark(main) ? [255, 255, 255] : [0, 0, 0];
  return { main: pack(main), unfilled: pack(mix(ground, main, 0.3)), ink: pack(mix(main, contrast, 0.75)), hatch: pack(mix(main, contrast, 0.3)) };
}

/** Draws cells into an ImageData that is kept, as is the picture of an empty pool, as long as place and colours stay the same. */
export class CellPainter {
  /** @param {ImageData} image of the canvas's size */
  constructor(image, layout, palette, count) {
    this.image = image;
    this.layout = layout;
    this.palette = palette;
    this.pixels = new Uint32Array(image.data.buffer);
    this.inks = new Map();
    this.pixels.fill(pack(palette.ground));
    const { columns, step, size } = layout;
    for (let id = 0; id < count; id++) {
      // A free cell is an empty box; a tiny one has one tone.
      const x = (id % columns) * step;
      const y = Math.floor(id / columns) * step;
      this.fill(x, y, size, size, pack(size >= 5 ? palette.line : palette.cell));
      if (size >= 5) this.fill(x + 1, y + 1, size - 2, size - 2, pack(palette.cell));
    }
    this.empty = this.pixels.slice();
  }

  /** A rectangle of one colour. */
  fill(x, y, width, height, value) {
    const { pixels } = this;
    const stride = this.image.width;
    for (let at = y * stride + x; height > 0; height--, at += stride) {
      for (let i = at; i < at + width; i++) pixels[i] = value;
    }
  }

  /** Write all held blocks' pixels. */
  draw(state, tier, mode) {
    const { columns, step, size } = this.layout;
    this.pixels.set(this.empty);
    const { colour } = MODES[mode];
    for (const [id, block] of state.blocks.get(tier) ?? []) {
      const x = (id % columns) * step;
      const y = Math.floor(id / columns) * step;
      const main = colour(block, state);
      let inks = this.inks.get(main);
      if (!inks) this.inks.set(main, (inks = inksOf(main, this.palette.ground)));
      const filled = size < 4 ? size : Math.max(block.fill ? 1 : 0, Math.round((size * block.fill) / state.block_size));
      if (filled < size) this.fill(x, y, size, size - filled, inks.unfilled);
      this.fill(x, y + size - filled, size, filled, block.idle && size >= 4 ? inks.unfilled : inks.main);
      if (size >= 4) this.texture(x, y, block, state, inks, mode);
    }
    if (size < 6) return;
    const arm = Math.max(2, Math.round(size / 5));
    for (const [id, { step: when }] of state.evicted.get(tier) ?? []) {
      if (!isYoung(when, state.step)) continue;
      const block = state.blocks.get(tier)?.get(id);
      const value = block && !block.idle && block.fill > 0.9 * state.block_size ? this.inks.get(colour(block, state)).ink : pack(this.palette.text);
      const [x, y] = [(id % columns) * step + 2, Math.floor(id / columns) * step + 2];
      for (let i = 0; i <= arm; i++) for (const row of [i, arm - i]) this.fill(x + i, y + row, size >= 16 ? 2 : 1, 1, value);
    }
  }

  /**
   * Dots around a cached block, hatching for owners beyond the eighth, a diagonal for a copy, a dot for a shared block, a filled
   * corner for one that came from the other tier. (A cross, drawn above, is where a block was evicted.)
   */
  texture(x, y, block, state, { ink, hatch }, mode) {
    const { size } = this.layout;
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
    context.putImageData(this.image, 0, 0);
    if (this.layout.pitch >= 15) drawLetters(context, this.layout, state.blocks.get(tier) ?? new Map(), state, mode, this.palette);
  }
}

function drawLetters(context, { columns, step, size }, held, state, mode, palette) {
  const { text, colour } = MODES[mode];
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [id, block] of held) {
    const word = text(block, state);
    if (!word || word.length > 3) continue;
    const main = colour(block, state);
    // Letters stand in the lower half, so the half-filled part decides their colour.
    const ground = block.fill / state.block_size > 0.4 && !block.idle ? main : mix(palette.ground, main, 0.3);
    context.font = `600 ${Math.round(size * (word.length > 2 ? 0.36 : 0.46))}px system-ui, sans-serif`;
    context.fillStyle = css(isDark(ground) ? [255, 255, 255] : [17, 17, 17]);
    context.fillText(word, (id % columns) * step + size / 2, Math.floor(id / columns) * step + size * 0.58);
  }
}
