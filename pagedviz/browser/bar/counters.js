/** Numbers in a strip: how full memory is, who runs, what has happened. */
import { number } from "../words/describe.js";
import { h, setText } from "../kit/dom.js";
import { memoryOf, useOf } from "../run/state.js";
import { labels, say } from "../words/vocabulary.js";

function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${share.toFixed(share > 0 && share < 10 ? 1 : 0)} %`;
}


/** name -> [label, explanation, value of a scene] */
const SHOWN_NUMBERS = {
  blocks: ["blocks held", "blocks of the device that somebody has", ({ state, held, total }) => `${number(held)} / ${number(total)}`],
  free: ["free", "blocks that hold nothing", ({ free }) => number(free)],
  used: ["slots used", "share of all slots that hold K and V", ({ memory, slots }) => percent(memory.used, slots)],
  waste: ["internal", "share of all slots that are held and empty", ({ memory, slots }) => percent(memory.internal, slots)],
  requests: ["run · wait · done", "requests running, waiting (also preempted or swapped), finished", ({ by }) => `${by.running} · ${by.waiting + by.preempted + by.swapped} · ${by.finished}`],
  preempted: ["preempted", "how often a request gave all its blocks back", ({ state }) => number(state.counters.preempted)],
  hits: ["prefix hits", "share of new requests' tokens found in the prefix cache; resumed requests are left out", ({ hit, looked }) => looked && percent(hit, looked)],
  cached: ["cached", "blocks of the device kept for their content", ({ cached, uses }) => uses && number(cached)],
  evicted: ["evicted", "cached blocks given up for others", ({ state, uses }) => uses && number(state.counters.evicted)],
  swapped: ["swapped out · in", "blocks moved to the host tier, and back", ({ state }) => state.num_blocks.get("host") && `${number(state.counters.swapped_out)} · ${number(state.counters.swapped_in)}`],
  copied: ["copies", "blocks copied before a sharer wrote (copy-on-write)", ({ state }) => number(state.counters.copied)],
  tokens: ["tokens", "tokens generated since the trace began", ({ run, row }) => number(run.history.at("generated", row))],
  rate: ["tokens/s", "tokens per second of engine time, over 24 steps", ({ rate }) => rateText(rate)],
};

export const rateText = (rate) => (rate ? (rate < 10 ? rate.toFixed(1) : String(Math.round(rate))) : "–");

export function createCounters() {
  const cells = Object.entries(SHOWN_NUMBERS).map(([name, [label, title]]) =>
    h("div", { class: "pv-counter", title: say(title), "data-counter": name }, h("dt", {}, say(label)), h("dd", {})));
  const root = h("dl", { class: "pv-counters", "data-testid": "counters", "aria-label": labels.counters }, ...cells);

  function draw(scene) {
    const { state } = scene;
    const total = state.num_blocks.get("device") ?? 0;
    const by = { running: 0, waiting: 0, preempted: 0, swapped: 0, finished: 0 };
    for (const request of state.requests.values()) by[request.status] += 1;
    const { cached } = useOf(state, "device");
    const taken = state.blocks.get("device")?.size ?? 0;
    const { hit_tokens: hit, missed_tokens: missed, cached: uses } = state.counters;
    const facts = {
      ...scene, by, total, cached, uses, hit, looked: hit + missed, held: taken - cached, free: total - taken, memory: memoryOf(state), slots: total * state.block_size,
    };
    Object.values(SHOWN_NUMBERS).forEach(([, , value], i) => {
      // A number that the engine has no use for (swaps without a host tier) is not shown.
      const text = value(facts);
      cells[i].hidden = !text;
      setText(cells[i].lastChild, text || "");
    });
  }
  return { root, draw };
}
