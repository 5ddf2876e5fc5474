/** Memory over steps: token slots stacked as used, waste and free, with marks where a request was preempted or a block copied. */
import { css, h, legendItem, panel, parseHex, setAttribute, setLegend, setText, toggle } from "./dom.js";
import { plural } from "./describe.js";
import { memoryOf } from "./state.js";
import { THEME } from "./theme.js";

const PAD = { left: 44, right: 10, top: 32, bottom: 30 };
const colours = Object.fromEntries(Object.entries({ ...THEME.memory, ...THEME.marks }).map(([name, hex]) => [name, parseHex(hex)]));

/** Round numbers that divide 0 to `top` into about `parts`. */
export function ticksOf(top, parts = 4) {
  const raw = top / parts;
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1e-9)));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= raw) * power);
  const ticks = [];
  for (let at = 0; at <= top + step * 1e-6; at += step) ticks.push(Math.round(at));
  return ticks;
}

/** What the axis must reach to show all that was ever held, with room above it: few blocks in a large pool are still seen. */
function topOf(history, blockSize) {
  let peak = 4 * blockSize;
  for (let at = 0; at < history.length; at++) peak = Math.max(peak, history.at("used", at) + history.at("internal", at));
  return Math.ceil((1.25 * peak) / blockSize) * blockSize;
}

const short = (value) => (value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : String(value));

/** Waste is hatched, so that it is told from used without its colour. */
function hatch(context, ratio, colour, ground) {
  const tile = h("canvas", { width: 6 * ratio, height: 6 * ratio });
  const ink = tile.getContext("2d");
  ink.fillStyle = css(ground);
  ink.fillRect(0, 0, tile.width, tile.height);
  ink.strokeStyle = css(colour);
  ink.lineWidth = 2.2 * ratio;
  ink.beginPath();
  for (const shift of [-6, 0, 6]) {
    ink.moveTo((shift - 1) * ratio, 7 * ratio);
    ink.lineTo((shift + 7) * ratio, -1 * ratio);
  }
  ink.stroke();
  return context.createPattern(tile, "repeat");
}

export function createTimeline(store, tooltip) {
  const view = panel("timeline", THEME.labels.timeline);
  const canvas = h("canvas", { class: "pv-chart", role: "img", tabindex: "0" });
  view.body.append(canvas);
  let isWhole = false;
  view.head.append(h("span", { class: "pv-tool" }, toggle("whole pool", false, (isOn) => {
    isWhole = isOn;
    store.touch();
  }, { title: "Draw up to the size of the pool, also where most of it is free" })));
  let scale = null;
  let row = null;
  let scene = null;

  const textOf = (history, at) => {
    const lines = [`Step ${history.at("step", at)}`];
    for (const name of ["used", "internal", "free"]) lines.push(`${THEME.labels[name]}: ${history.at(name, at).toLocaleString("en")} slots`);
    if (history.at("preempted", at)) lines.push(`${plural(history.at("preempted", at), "request")} preempted`);
    if (history.at("copied", at)) lines.push(`${plural(history.at("copied", at), "block")} copied on write`);
    return lines.join("\n");
  };
  const point = (at) => {
    row = at;
    draw(scene);
    const box = canvas.getBoundingClientRect();
    const text = textOf(store.run.history, at);
    setAttribute(canvas, "aria-label", text);
    tooltip.show(text, box.left + scale.x(store.run.history.at("step", at)), box.top + PAD.top);
  };
  const leave = () => {
    row = null;
    tooltip.hide();
    if (scene) draw(scene);
  };
  canvas.addEventListener("pointermove", (event) => {
    if (scale) point(store.run.history.rowOf(Math.round(scale.step(event.clientX - canvas.getBoundingClientRect().left))));
  });
  canvas.addEventListener("pointerleave", leave);
  canvas.addEventListener("blur", leave);
  canvas.addEventListener("keydown", (event) => {
    const last = (store.run?.history.length ?? 0) - 1;
    const move = { ArrowLeft: (row ?? last + 1) - 1, ArrowRight: (row ?? last) + 1, Home: 0, End: last }[event.key];
    if (!scale || move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    point(Math.min(last, Math.max(0, move)));
  });

  function draw(latest) {
    scene = latest;
    const { run, state, palette, ratio } = scene;
    const width = view.body.clientWidth - 16;
    const height = view.body.clientHeight - 16;
    if (width < 80 || height < 60) return;
    const { history } = run;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const pool = Math.max(1, (state.num_blocks.get("device") ?? 0) * state.block_size);
    const total = isWhole ? pool : Math.min(pool, topOf(history, state.block_size));
    setText(view.note, `pool of ${pool.toLocaleString("en")} ${THEME.labels.slots}`);
    const firstStep = history.at("step", 0);
    const lastStep = Math.max(firstStep + 20, history.at("step", history.length - 1));
    const inner = { width: width - PAD.left - PAD.right, height: height - PAD.top - PAD.bottom };
    scale = {
      x: (step) => PAD.left + (inner.width * (step - firstStep)) / (lastStep - firstStep),
      step: (x) => firstStep + ((x - PAD.left) * (lastStep - firstStep)) / inner.width,
      y: (slots) => PAD.top + inner.height * (1 - slots / total),
    };
    axes(context, palette, inner, total, firstStep, lastStep);
    areas(context, history, palette, ratio);
    marks(context, history, palette);
    if (row !== null && row < history.length) {
      context.strokeStyle = css(palette.text);
      context.strokeRect(scale.x(history.at("step", row)), PAD.top, 0, inner.height);
    }
    const memory = memoryOf(state);
    if (row === null) setAttribute(canvas, "aria-label", `Memory over steps: after step ${state.step}, ${memory.used} slots used, ${memory.internal} waste, ${memory.free} free.`);
    setLegend(view.legend, "all", () => [
      legendItem(THEME.labels.used, { colour: THEME.memory.used }), legendItem(THEME.labels.internal, { swatch: "pv-hatched", colour: THEME.memory.internal }),
      legendItem(THEME.labels.free, { swatch: "pv-empty" }), legendItem(`▼ ${THEME.labels.preempted}`, { swatch: "pv-none" }), legendItem(`◆ ${THEME.labels.copied}`, { swatch: "pv-none" }),
    ]);
  }

  function axes(context, palette, inner, total, firstStep, lastStep) {
    const bottom = PAD.top + inner.height;
    const right = PAD.left + inner.width;
    context.fillStyle = css(palette.cell);
    context.fillRect(PAD.left, PAD.top, inner.width, inner.height);
    context.font = "11px system-ui, sans-serif";
    context.strokeStyle = css(palette.line);
    context.lineWidth = 1;
    context.fillStyle = css(palette.soft);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tick of ticksOf(total)) {
      const y = Math.round(scale.y(tick)) + 0.5;
      context.fillText(short(tick), PAD.left - 6, y);
      context.strokeRect(PAD.left - 3, y, inner.width + 3, 0);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const tick of ticksOf(lastStep - firstStep, Math.max(2, Math.floor(inner.width / 80)))) {
      const text = short(firstStep + tick);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(scale.x(firstStep + tick), right + PAD.right - half), bottom + 4);
    }
    context.textAlign = "left";
    context.fillText(THEME.labels.slots, 2, 2);
    context.textAlign = "right";
    context.fillText(THEME.labels.step, right, bottom + 17);
  }

  /** Every step is a stair; with more steps than pixels, the last of a pixel counts. */
  function areas(context, history, palette, ratio) {
    const stairs = (top, bottom) => {
      context.beginPath();
      const points = [];
      const stride = Math.max(1, Math.floor(history.length / 2400));
      for (let at = 0; at < history.length; at += stride) {
        const next = Math.min(history.length - 1, at + stride);
        const last = next === at ? history.at("step", at) : history.at("step", next);
        points.push([scale.x(history.at("step", at)), scale.x(last), scale.y(top(at)), scale.y(bottom(at))]);
      }
      for (const [left, right, y] of points) {
        context.lineTo(left, y);
        context.lineTo(right, y);
      }
      for (const [left, right, , y] of points.reverse()) {
        context.lineTo(right, y);
        context.lineTo(left, y);
      }
      context.closePath();
      context.fill();
    };
    const used = (at) => history.at("used", at);
    context.fillStyle = css(colours.used);
    stairs(used, () => 0);
    context.fillStyle = hatch(context, ratio, colours.internal, palette.ground);
    stairs((at) => used(at) + history.at("internal", at), used);
  }

  function marks(context, history, palette) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    const lastX = { preempted: -10, copied: -10 };
    for (let at = 0; at < history.length; at++) {
      for (const [name, sign, y] of [["preempted", "▼", 20], ["copied", "◆", 26]]) {
        if (!history.at(name, at)) continue;
        const x = scale.x(history.at("step", at));
        if (x - lastX[name] < 3) continue;
        lastX[name] = x;
        context.fillStyle = css(palette.text);
        context.fillText(sign, x, y);
      }
    }
  }
  return { root: view.root, draw, hasCursor: false };
}
