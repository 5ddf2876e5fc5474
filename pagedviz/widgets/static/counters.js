/** Numbers in a strip: how full memory is, who runs, what has happened. */
import { h, setText } from "./dom.js";
import { memoryOf } from "./state.js";
import { THEME } from "./theme.js";

function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${share.toFixed(share > 0 && share < 10 ? 1 : 0)} %`;
}

const number = (value) => value.toLocaleString("en");

/** name -> [label, explanation, value of a scene] */
const SHOWN_NUMBERS = {
  blocks: ["blocks held", "device blocks that somebody has, of all", ({ state, held, total }) => `${number(held)} / ${number(total)}`],
  free: ["free", "device blocks that nobody has", ({ held, total }) => number(total - held)],
  used: ["slots used", "share of all token slots that hold K and V", ({ memory, slots }) => percent(memory.used, slots)],
  waste: ["internal", "share of all token slots that are reserved and hold nothing yet", ({ memory, slots }) => percent(memory.internal, slots)],
  requests: ["run · wait · done", "requests running, waiting (preempted ones too) and finished", ({ by }) => `${by.running} · ${by.waiting + by.preempted} · ${by.finished}`],
  preempted: ["preempted", "how often a request gave all its blocks back", ({ state }) => number(state.counters.preempted)],
  copied: ["copies", "blocks copied because a sharer was about to write (copy-on-write)", ({ state }) => number(state.counters.copied)],
  tokens: ["tokens", "tokens generated since the trace began", ({ run }) => number(run.history.generated)],
  rate: ["tokens/s", "tokens generated per second of engine time, over the last 24 steps", ({ rate }) => rateText(rate)],
};

export const rateText = (rate) => (rate ? (rate < 10 ? rate.toFixed(1) : String(Math.round(rate))) : "–");

export function createCounters() {
  const cells = Object.entries(SHOWN_NUMBERS).map(([name, [label, title]]) =>
    h("div", { class: "pv-counter", title, "data-counter": name }, h("dt", {}, label), h("dd", {})));
  const root = h("dl", { class: "pv-counters", "data-testid": "counters", "aria-label": THEME.labels.counters }, ...cells);

  function draw(scene) {
    const { state } = scene;
    const total = state.num_blocks.get("device") ?? 0;
    const by = { running: 0, waiting: 0, preempted: 0, finished: 0 };
    for (const request of state.requests.values()) by[request.status] += 1;
    const facts = { ...scene, by, total, held: state.blocks.get("device")?.size ?? 0, memory: memoryOf(state), slots: total * state.block_size };
    Object.values(SHOWN_NUMBERS).forEach(([, , value], i) => setText(cells[i].lastChild, value(facts)));
  }
  return { root, draw };
}
