/**
 * Memory over steps: token slots stacked as used, waste, cached and free, a band for each tier, with marks for what happened and a line
 * at the step that is looked at. A click goes to a step, a drag shows only a part of the run.
 */
import { attr, css, fit, h, legendItem, mix, parseHex, setLegend, setText, toggle } from "../../kit/dom.js";
import { number, plural } from "../../words/describe.js";
import { memoryOf } from "../../run/state.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

const PAD = { left: 44, right: 10, top: 52, bottom: 30, between: 14 };
const STACK = ["used", "internal", "cached"];

/** What is marked where it happened: sign, what is counted, and by which kind of event. Each has a row of its own above the bands. */
const MARKS = {
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

export function create(view, store, tooltip) {
  let isWhole = false;
  view.head.append(h("span", { class: "pv-tool" }, toggle("whole pool", false, (isOn) => {
    isWhole = isOn;
    store.touch();
  }, { class: "pv-toggle pv-mode", title: "Draw up to the size of the pool, also where most of it is free" })));
  let pad = PAD;
  let scale = null;
  let row = null;
  let scene = null;
  let size = [0, 0];
  /** The whole run as it was last drawn, and of what: what a jump leaves as it is. */
  const picture = h("canvas");
  let shown = [];
  /** The steps shown, null for all of them; and where a drag began. */
  let { brush = null } = store.kept;
  let pressed = null;
  const all = h("button", { type: "button", class: "pv-button", "data-testid": "timeline-all", hidden: !brush, onclick: () => show(null) }, "all steps");
  view.head.append(all);
  const show = (range) => {
    store.kept.brush = brush = range;
    all.hidden = !range;
    store.touch();
  };

  const textOf = ({ history, state }, at) => {
    const lines = [`Step ${history.at("step", at)}`];
    for (const [tier, count] of state.num_blocks) {
      const parts = [...STACK, "free"].map((part) => `${number(history.at(`${tier} ${part}`, at))} ${labels[part]}`);
      if (count) lines.push(`${labels.tiers[tier]}: ${parts.join(", ")} ${say("slots")}`);
    }
    for (const [name, [, what]] of Object.entries(MARKS)) if (history.at(name, at)) lines.push(`${plural(history.at(name, at), what)} ${labels[name]}`);
    return lines.join("\n");
  };
  const point = (at, by) => {
    row = at;
    draw(scene);
    const box = canvas.getBoundingClientRect();
    const text = textOf(store.run, at);
    attr(canvas, "aria-label", text);
    tooltip.show(text, box.left + scale.x(store.run.history.at("step", at)), box.top + pad.top, by);
  };
  const leave = () => {
    row = null;
    tooltip.hide();
    if (scene) draw(scene);
  };
  /** A brush that began at `pressed` ends; where it is no longer than a click, it was one. */
  const release = (step) => {
    const [from, to] = [pressed, step].sort((a, b) => a - b);
    pressed = null;
    if (Math.abs(scale.x(to) - scale.x(from)) < 5) store.go(from);
    else show([from, to]);
  };
  const stepAt = (event) => Math.round(scale.step(event.clientX - canvas.getBoundingClientRect().left));
  const canvas = h("canvas", {
    class: "pv-chart", role: "img", tabindex: "0", onpointerleave: () => tooltip.by === "pointer" && leave(), onblur: leave,
    onpointermove(event) {
      if (scale) point(store.run.history.rowOf(stepAt(event)));
    },
    onpointerdown(event) {
      pressed = scale && stepAt(event);
      canvas.setPointerCapture(event.pointerId);
    },
    onpointerup(event) {
      if (pressed !== null) release(stepAt(event));
    },
    ondblclick: () => show(null),
    onkeydown(event) {
      const { history } = store.run ?? {};
      const last = (history?.length ?? 0) - 1;
      const step = row === null ? null : history.at("step", row);
      const move = { ArrowLeft: (row ?? last + 1) - 1, ArrowRight: (row ?? last) + 1, Home: 0, End: last }[event.key];
      if (!scale || event.shiftKey) return;
      if (move !== undefined) point(Math.min(last, Math.max(0, move)), "keys");
      else if (event.key === "Escape" && brush) show(null);
      else if (event.key === "Enter" && step !== null) store.go(step);
      else if (event.key === "b" && step !== null && pressed === null) pressed = step;
      else if (event.key === "b" && step !== null) release(step);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  view.body.append(canvas);

  function draw(latest) {
    scene = latest;
    const { run, state, palette, ratio } = scene;
    const { history } = run;
    const [width, height] = size;
    if (width < 80 || height < 120) return;
    const key = [run, run.seq, width, height, ratio, palette, brush, isWhole];
    if (key.some((part, i) => part !== shown[i])) {
      shown = key;
      drawRun();
    }
    const context = fit(canvas, width, height, ratio);
    context.drawImage(picture, 0, 0, width, height);
    if (!store.isLive) here(context, palette, height - pad.bottom);
    if (row !== null && row < history.length) {
      context.strokeStyle = css(palette.text);
      context.strokeRect(scale.x(history.at("step", row)), pad.top, 0, height - pad.top - pad.bottom);
    }
    const tiers = [...state.num_blocks].filter(([, count]) => count > 0);
    setText(view.note, tiers.map(([tier, count]) => `${labels.tiers[tier]} ${number(count * state.block_size)}`).join(", ") + ` ${labels.slots}`);
    const memory = memoryOf(state);
    if (row === null) attr(canvas, "aria-label", say`Memory over steps: after step ${state.step}, ${memory.used} slots used, ${memory.internal} waste, ${memory.cached} cached, ${memory.free} free.`);
    const { counters } = state;
    const happened = Object.keys(MARKS).filter((name) => counters[name]);
    const parts = STACK.filter((part) => part !== "cached" || counters.cached);
    setLegend(view.legend, `${parts}/${happened}`, () => [
      ...parts.map((part) => legendItem(labels[part], { swatch: { internal: "pv-hatched", cached: "pv-cached" }[part], colour: THEME.memory[part] })),
      legendItem(labels.free, { swatch: "pv-empty" }),
      ...happened.map((name) => legendItem(`${MARKS[name][0]} ${labels[name]}`, { swatch: "pv-none" })),
    ]);
  }

  /** Draw all that does not depend on the step that is looked at. */
  function drawRun() {
    const { run: { history }, state, palette, ratio } = scene;
    const [width, height] = size;
    const context = fit(picture, width, height, ratio);
    pad = Object.fromEntries(Object.entries(PAD).map(([side, size]) => [side, size * palette.type]));
    const firstStep = Math.max(history.at("step", 0), brush?.[0] ?? 0);
    const lastStep = brush ? Math.max(firstStep + 1, brush[1]) : Math.max(firstStep + 20, history.at("step", history.length - 1));
    const rows = [history.rowOf(firstStep), history.rowOf(lastStep)];
    const across = width - pad.left - pad.right;
    scale = {
      x: (step) => pad.left + (across * (step - firstStep)) / (lastStep - firstStep),
      step: (x) => firstStep + ((x - pad.left) * (lastStep - firstStep)) / across,
    };
    context.font = `${11 * palette.type}px system-ui, sans-serif`;
    const tiers = [...state.num_blocks].filter(([, count]) => count > 0);
    const down = height - pad.top - pad.bottom - pad.between * (tiers.length - 1);
    let top = pad.top;
    for (const [tier, count] of tiers) {
      const pool = count * state.block_size;
      const total = isWhole ? pool : Math.min(pool, topOf(history, rows, tier, state.block_size));
      const band = { tier, total, top, height: tiers.length === 1 ? down : down * (tier === "device" ? 0.65 : 0.35) };
      band.y = (slots) => band.top + band.height * (1 - slots / total);
      axis(context, palette, band, across, tiers.length > 1);
      areas(context, history, rows, palette, ratio, band);
      top += band.height + pad.between;
    }
    steps(context, palette, across, height - pad.bottom, firstStep, lastStep);
    marks(context, history, rows, palette);
  }

  function axis(context, palette, { tier, total, top, height, y }, across, isNamed) {
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

  function steps(context, palette, across, bottom, firstStep, lastStep) {
    const right = pad.left + across;
    context.fillStyle = css(palette.soft);
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const tick of ticksOf(lastStep - firstStep, Math.max(3, Math.floor(across / 80 / palette.type)))) {
      const text = short(firstStep + tick);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(scale.x(firstStep + tick), right + pad.right - half), bottom + 4);
    }
    context.textAlign = "right";
    context.fillText(labels.step, right, bottom + 17 * palette.type);
  }

  /** Every step is a stair; with more steps than pixels, the fullest of a pixel counts. */
  function areas(context, history, [from, to], palette, ratio, { tier, y }) {
    const points = [];
    const stride = Math.max(1, Math.floor((to - from) / 2400));
    const taken = takenIn(history, tier);
    for (let at = from; at <= to; at += stride) {
      const next = Math.min(to, at + stride);
      let fullest = at;
      for (let other = at + 1; other < next; other++) if (taken(other) > taken(fullest)) fullest = other;
      points.push([fullest, scale.x(history.at("step", at)), scale.x(history.at("step", next)), 0]);
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

  /** The step that is looked at. */
  function here(context, palette, bottom) {
    const x = scale.x(store.at);
    if (x < pad.left) return;
    context.lineWidth = 2;
    context.strokeStyle = context.fillStyle = css(palette.text);
    context.strokeRect(x, pad.top - 6, 0, bottom - pad.top + 6);
    context.fillRect(x - 4, pad.top - 9, 8, 5);
    context.lineWidth = 1;
  }

  function marks(context, history, [from, to], palette) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = css(palette.text);
    Object.values(MARKS).forEach(([sign, , kind], i) => {
      let last = -10;
      for (const at of history.rowsOf.get(kind) ?? []) {
        const x = scale.x(history.at("step", at));
        if (at < from || at > to || x - last < 3) continue;
        last = x;
        context.fillText(sign, x, (7 + 8 * i) * palette.type);
      }
    });
  }
  const measure = () => (size = [view.body.clientWidth - 16, view.body.clientHeight - 16]);
  return { measure, draw, hasCursor: false, spansRun: true };
}
