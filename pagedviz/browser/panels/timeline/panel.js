/**
 * Memory over steps: token slots stacked as used, waste, cached and free, a band for each tier, with marks for what happened and a line
 * at the step that is looked at. A click goes to a step, a drag shows only a part of the run.
 */
import { MARKS, STACK, drawChart, markStep } from "./chart.js";
import { attr, css, fit, h, legendItem, pushButton, setLegend, setText, toggle } from "../../kit/dom.js";
import { number, plural } from "../../words/describe.js";
import { memoryOf } from "../../run/state.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

export function create(view, store, tooltip) {
  let isWhole = false;
  view.head.append(h("span", { class: "pv-tool" }, toggle("whole pool", false, (isOn) => {
    isWhole = isOn;
    store.touch();
  }, { class: "pv-toggle pv-mode", title: "Draw up to the size of the pool, also where most of it is free" })));
  /** Where steps are on the picture that was drawn last. @type {ReturnType<typeof drawChart> | null} */
  let chart = null;
  let row = null;
  let scene = null;
  let size = [0, 0];
  /** The whole run as it was last drawn, and of what: what a jump leaves as it is. */
  const picture = h("canvas");
  let shown = [];
  /** The steps shown, null for all of them; and where a drag began. */
  let { brush = null } = store.kept;
  let pressed = null;
  const all = pushButton({ "data-testid": "timeline-all", hidden: !brush, onclick: () => show(null) }, "all steps");
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
    tooltip.show(text, box.left + chart.scale.middle(store.run.history.at("step", at)), box.top + chart.pad.top, by);
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
    if (Math.abs(chart.scale.x(to) - chart.scale.x(from)) < 5) store.go(from);
    else show([from, to]);
  };
  const stepAt = (event) => chart.scale.step(event.clientX - canvas.getBoundingClientRect().left);
  const canvas = h("canvas", {
    class: "pv-chart", role: "img", tabindex: "0", onpointerleave: () => tooltip.by === "pointer" && leave(), onblur: leave,
    onpointermove(event) {
      if (chart) point(store.run.history.rowOf(stepAt(event)));
    },
    onpointerdown(event) {
      pressed = chart && stepAt(event);
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
      if (!chart || event.shiftKey) return;
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
      chart = drawChart(picture, scene, size, brush, isWhole);
    }
    const context = fit(canvas, width, height, ratio);
    context.drawImage(picture, 0, 0, width, height);
    if (!store.isLive) markStep(context, chart, palette, store.at, height - chart.pad.bottom);
    if (row !== null && row < history.length) {
      context.strokeStyle = css(palette.text);
      context.strokeRect(chart.scale.middle(history.at("step", row)), chart.pad.top, 0, height - chart.pad.top - chart.pad.bottom);
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

  const measure = () => (size = [view.body.clientWidth - 16, view.body.clientHeight - 16]);
  return { measure, draw, hasCursor: false, spansRun: true };
}
