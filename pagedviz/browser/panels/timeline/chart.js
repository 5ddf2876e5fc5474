/**
 * The timeline's picture: a band of stacked areas for each tier, the axes, and marks for what happened. It decides where a step is on the
 * canvas, and knows nothing of the mouse and the keyboard.
 */
import { css, fit, h, mix, parseHex } from "../../kit/dom.js";
import { THEME } from "../../words/theme.js";
import { labels } from "../../words/vocabulary.js";

/** Around the bands and between them, in CSS pixels. */
const PAD = { left: 44, right: 10, top: 52, bottom: 30, between: 14 };
export const STACK = ["used", "internal", "cached"];

/** What is marked where it happened: sign, what is counted, and by which kind of event. Each has a row of its own above the bands. */
export const MARKS = {
  preempted: ["▼", "request", "RequestPreempted"], swapped_out: ["↓", "block", "SwappedOut"], swapped_in: ["↑", "block", "SwappedIn"],
  evicted: ["×", "block", "BlockEvicted"], copied: ["◆", "block", "BlockCopied"],
};

/** Round numbers that divide 0 to `top` into about `parts`. */
export function ticksOf(top, parts = 4) {
  const raw = top / parts;
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1e-9)));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= raw) * power);
  const ticks = [];
  for (let at = 0; at <= top + step * 1e-6; at += step) ticks.push(Math.round(at));
  return ticks;
}

/** For a row, the slots of a tier that are not free. */
function takenIn(history, tier) {
  const [used, internal, cached] = STACK.map((part) => history.columns[`${tier} ${part}`].data);
  return (row) => used[row] + internal[row] + cached[row];
}

/** What the axis must reach to show all that was ever taken, with room above it: few blocks in a large pool are still seen. */
function topOf(history, [from, to], tier, blockSize) {
  const taken = takenIn(history, tier);
  let peak = 4 * blockSize;
  for (let at = from; at <= to; at++) peak = Math.max(peak, taken(at));
  return Math.ceil((1.25 * peak) / blockSize) * blockSize;
}

const short = (value) => (value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : String(value));

/** Waste is hatched and cached dotted, so that they are told from used without their colours. */
function patternOf(context, ratio, part, ground) {
  const tile = h("canvas", { width: 6 * ratio, height: 6 * ratio });
  const ink = tile.getContext("2d");
  const colour = parseHex(THEME.memory[part]);
  const isCached = part === "cached";
  ink.scale(ratio, ratio);
  ink.fillStyle = css(part === "used" ? colour : isCached ? mix(ground, colour, 0.4) : ground);
  ink.fillRect(0, 0, 6, 6);
  ink.strokeStyle = css(colour);
  ink.lineWidth = 2.2;
  if (isCached) ink.setLineDash([2, 2.2]);
  for (const shift of [-6, 0, 6]) {
    ink.moveTo(shift - 1, 7);
    ink.lineTo(shift + 7, -1);
  }
  ink.stroke();
  return context.createPattern(tile, "repeat");
}

/**
 * Draw all that does not depend on the step that is looked at.
 * @param {HTMLCanvasElement} canvas
 * @param {[number, number]} size in CSS pixels
 * @param {[number, number] | null} range the steps that are shown, null for all
 * @param {boolean} isWhole whether bands reach up to the size of the pool, also where most of it is free
 * @returns {{pad: Record<string, number>, scale: {x: (step: number) => number, middle: (step: number) => number, step: (x: number) => number}}}
 *   where steps are on it: a step is as wide as the way to the next, the last one too; `step` is the one that is drawn there
 */
export function drawChart(canvas, { run: { history }, state, palette, ratio }, [width, height], range, isWhole) {
  const context = fit(canvas, width, height, ratio);
  const pad = Object.fromEntries(Object.entries(PAD).map(([side, length]) => [side, length * palette.type]));
  const firstStep = Math.max(history.at("step", 0), range?.[0] ?? 0);
  const lastStep = range ? Math.max(firstStep + 1, range[1]) : Math.max(firstStep + 20, history.at("step", history.length - 1));
  const rows = [history.rowOf(firstStep), history.rowOf(lastStep)];
  const across = width - pad.left - pad.right;
  const count = lastStep + 1 - firstStep;
  const x = (step) => pad.left + (across * (step - firstStep)) / count;
  const scale = {
    x,
    middle: (step) => x(step + 0.5),
    step: (at) => Math.min(lastStep, Math.max(firstStep, Math.floor(firstStep + ((at - pad.left) * count) / across))),
  };
  const chart = { context, history, palette, ratio, pad, scale, rows, across };
  context.font = `${11 * palette.type}px system-ui, sans-serif`;
  const tiers = [...state.num_blocks].filter(([, count]) => count > 0);
  const down = height - pad.top - pad.bottom - pad.between * (tiers.length - 1);
  let top = pad.top;
  for (const [tier, count] of tiers) {
    const pool = count * state.block_size;
    const total = isWhole ? pool : Math.min(pool, topOf(history, rows, tier, state.block_size));
    const band = { tier, total, top, height: tiers.length === 1 ? down : down * (tier === "device" ? 0.65 : 0.35) };
    band.y = (slots) => band.top + band.height * (1 - slots / total);
    axis(chart, band, tiers.length > 1);
    areas(chart, band);
    top += band.height + pad.between;
  }
  steps(chart, height - pad.bottom, firstStep, lastStep);
  marks(chart);
  return { pad, scale };
}

function axis({ context, palette, pad, across }, { tier, total, top, height, y }, isNamed) {
  context.fillStyle = css(palette.cell);
  context.fillRect(pad.left, top, across, height);
  context.strokeStyle = css(palette.line);
  context.lineWidth = 1;
  context.fillStyle = css(palette.soft);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of ticksOf(total, Math.max(1, Math.round(height / 34 / palette.type)))) {
    const at = Math.round(y(tick)) + 0.5;
    context.fillText(short(tick), pad.left - 6, at);
    context.strokeRect(pad.left - 3, at, across + 3, 0);
  }
  context.textAlign = "left";
  context.textBaseline = "bottom";
  if (isNamed) context.fillText(labels.tiers[tier], pad.left, top);
}

function steps({ context, palette, pad, scale, across }, bottom, firstStep, lastStep) {
  const right = pad.left + across;
  context.fillStyle = css(palette.soft);
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const tick of ticksOf(lastStep - firstStep, Math.max(3, Math.floor(across / 80 / palette.type)))) {
    const text = short(firstStep + tick);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(scale.middle(firstStep + tick), right + pad.right - half), bottom + 4);
  }
  context.textAlign = "right";
  context.fillText(labels.step, right, bottom + 17 * palette.type);
}

/** Every step is a stair; with more steps than pixels, the fullest of a pixel counts. */
function areas({ context, history, rows: [from, to], palette, ratio, scale }, { tier, y }) {
  const points = [];
  const stride = Math.max(1, Math.floor((to - from) / 2400));
  const taken = takenIn(history, tier);
  const edge = (row) => scale.x(row > to ? history.at("step", to) + 1 : history.at("step", row));
  for (let at = from; at <= to; at += stride) {
    const next = Math.min(to + 1, at + stride);
    let fullest = at;
    for (let other = at + 1; other < next; other++) if (taken(other) > taken(fullest)) fullest = other;
    points.push([fullest, edge(at), edge(next), 0]);
  }
  for (const part of STACK) {
    const upper = points.map(([at, left, right, below]) => [at, left, right, below + history.at(`${tier} ${part}`, at)]);
    context.beginPath();
    for (const [, left, right, slots] of upper) {
      context.lineTo(left, y(slots));
      context.lineTo(right, y(slots));
    }
    for (const [, left, right, slots] of points.splice(0, points.length, ...upper).reverse()) {
      context.lineTo(right, y(slots));
      context.lineTo(left, y(slots));
    }
    context.fillStyle = patternOf(context, ratio, part, palette.ground);
    context.fill();
  }
}

function marks({ context, history, rows: [from, to], palette, scale }) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = css(palette.text);
  Object.values(MARKS).forEach(([sign, , kind], i) => {
    let last = -10;
    for (const at of history.rowsOf.get(kind) ?? []) {
      const x = scale.middle(history.at("step", at));
      if (at < from || at > to || x - last < 3) continue;
      last = x;
      context.fillText(sign, x, (7 + 8 * i) * palette.type);
    }
  });
}

/** Mark the step that is looked at. */
export function markStep(context, { pad, scale }, palette, step, bottom) {
  const x = scale.middle(step);
  if (x < pad.left) return;
  context.lineWidth = 2;
  context.strokeStyle = context.fillStyle = css(palette.text);
  context.strokeRect(x, pad.top - 6, 0, bottom - pad.top + 6);
  context.fillRect(x - 4, pad.top - 9, 8, 5);
  context.lineWidth = 1;
}
