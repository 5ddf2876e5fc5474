/**
 * Predict mode: the run stops before a decision, a person points at the block or sequence that they expect, and the reveal shows what was
 * chosen, why, and what Belady would have chosen where the future is known. A live session stops itself; in a recorded one we stop.
 */
import { attr, h, setText, toggle } from "./dom.js";
import { blockName, describe, letterOf, list } from "./describe.js";
import { say } from "./vocabulary.js";
import { BEFORE } from "./breaks.js";
import { THEME } from "./theme.js";

/** How many events ahead we look for the next use of content. */
const MAX_AHEAD = 200000;

const asks = {
  BlockEvicted: "Which block goes? Click it in the map.", BlockCopied: "Which block is copied? Click it in the map.",
  RequestPreempted: "Who has to go? Click one of its blocks or its lane.", SwappedOut: "Whose blocks move to the host? Click one.", SwappedIn: "Whose blocks come back? Click one.",
};

/** The decisions of a step, each event by field names with what its sentence needs. */
const decisionsIn = (run, step) => run.eventsIn(step).filter(({ event }) => BEFORE.includes(event[0])).map((entry) => run.read(entry));

/** The request that a cursor means. */
function requestMeant(state, { request, sequence, block, tier = "device" }) {
  const id = sequence ?? state.blocks.get(tier)?.get(block)?.holders[0]?.[0];
  return request ?? state.sequences.get(id)?.request;
}

/** Whether what a person pointed at, in the state before, is what an event then chose. */
export function isRight(state, guess, event) {
  const { block, tier = "device" } = guess;
  if (event.kind === "BlockEvicted") return tier === event.tier && block === event.block;
  if (event.kind === "BlockCopied") return (tier === event.tier && block === event.source) || guess.sequence === event.sequence;
  if (event.kind.startsWith("Swapped") && block !== undefined) {
    const from = event.kind === "SwappedOut" ? "device" : "host";
    return tier === from && event.pairs.some(([source]) => source === block);
  }
  return event.request !== "" && requestMeant(state, guess) === event.request;
}

/**
 * Belady's choice among the cached blocks of a tier: one whose content is needed last, or never again in this run.
 * @param {import("./state.js").State} state before the step
 * @returns {{block: number, step: number | null} | null} `step`: of its next use; null: none
 */
export function beladyChoice(run, state, tier = "device") {
  const candidates = [...(state.blocks.get(tier) ?? [])].filter(([, block]) => block.idle);
  if (!candidates.length) return null;
  const contentOf = new Map([...state.blocks].flatMap(([where, held]) => [...held].map(([id, block]) => [`${where}:${id}`, block.hash])));
  const next = new Map();
  const need = (hash, step) => next.has(hash) || next.set(hash, step);
  let left = MAX_AHEAD;
  for (let step = state.step + 1; step <= run.lastStep && left > 0; step++) {
    for (const { event } of run.eventsIn(step)) {
      left -= 1;
      if (event[0] !== "BlockFilled" && event[0] !== "BlockShared" && event[0] !== "BlockCached") continue;
      const { kind, tier: where, block, hash } = run.read({ event }).event;
      if (kind === "BlockShared") need(contentOf.get(`${where}:${block}`), step);
      else contentOf.set(`${where}:${block}`, hash);
      if (kind === "BlockFilled") need(hash, step);
    }
  }
  const [block, found] = candidates.reduce((best, each) => ((next.get(each[1].hash) ?? Infinity) > (next.get(best[1].hash) ?? Infinity) ? each : best));
  return { block, step: next.get(found.hash) ?? null };
}

export function createPredict(store) {
  const on = toggle("predict", false, (isOn) => {
    isOwn = isOn && !isLive();
    [asked, revealed] = [null, ""];
    if (isLive()) store.feed.send({ cmd: "predict", on: isOn });
    store.touch();
  }, { class: "pv-toggle pv-mode", "data-testid": "predict" });
  const question = h("span", { role: "status", "data-testid": "question" });
  const answer = h("span", { class: "pv-answer" });
  const reveal = h("button", { type: "button", class: "pv-button", "data-testid": "reveal", onclick: () => uncover() }, "Reveal");
  const score = h("span", { class: "pv-fact", "data-testid": "score" });
  const result = h("p", { class: "pv-result", role: "status", "data-testid": "result" });
  const root = h("div", { class: "pv-predict" }, question, answer, reveal, score, result);

  const isLive = () => store.feed.status?.live === true;
  let isOwn = false;
  /** The decision that is waited for: in which step, and of what kinds. @type {{step: number, kinds: string[]} | null} */
  let asked = null;
  let guess = null;
  let before = null;
  let points = [0, 0];
  let revealed = "";

  /** Whether the run must stand before this step, because somebody wants to predict it. */
  function holds(step) {
    if (!isOwn || asked?.step === step || step > store.run.lastStep) return asked?.step === step && isOwn;
    const found = decisionsIn(store.run, step).map(({ event }) => event.kind);
    const kinds = BEFORE.filter((kind) => found.includes(kind));
    if (!kinds.length) return false;
    [asked, revealed] = [{ step, kinds }, ""];
    store.pin(null);
    store.touch();
    return true;
  }

  function uncover() {
    guess = store.pinned;
    before = isOwn ? store.run.stateAt(asked.step - 1).state : store.run.stateAt(store.run.lastStep).state;
    if (isOwn) {
      const { step } = asked;
      tell(step);
      asked = null;
      store.go(step);
    } else {
      const { tier, block, sequence, request } = guess ?? {};
      if (guess) store.feed.send({ cmd: "guess", ...(block === undefined ? (sequence === undefined ? { request } : { sequence }) : { tier: tier ?? "device", block }) });
      waiting = asked;
      store.feed.command("step");
    }
    store.touch();
  }
  let waiting = null;

  function tell(step) {
    const { run } = store;
    const found = decisionsIn(run, step).sort((a, b) => BEFORE.indexOf(a.event.kind) - BEFORE.indexOf(b.event.kind));
    const hit = guess && found.some(({ event }) => isRight(before, guess, event));
    if (guess) points = [points[0] + Number(hit), points[1] + 1];
    const parts = [guess ? (hit ? "Right." : "Not what you expected.") : "", ...found.slice(0, 3).map(({ event, where }) => describe(event, where))];
    if (found.length > 3) parts.push(`And ${found.length - 3} more.`);
    const eviction = found.find(({ event }) => event.kind === "BlockEvicted" && event.tier === "device");
    const best = isOwn && eviction ? beladyChoice(run, before) : null;
    if (best) parts.push(say`Belady, who knows the future, would have taken block ${best.block}: its content is ${best.step === null ? "never needed again in this run" : `needed last, in step ${best.step}`}.`);
    revealed = parts.filter(Boolean).join(" ");
  }

  const chosen = () => {
    const { block, tier = "device", sequence, request } = store.pinned ?? {};
    if (block !== undefined) return say`block ${blockName(tier, block)}`;
    return sequence !== undefined ? letterOf(sequence) : request ?? "";
  };

  function draw() {
    const { status, run } = store.feed;
    const isOn = isLive() ? status.predicting === true : isOwn;
    attr(on, "aria-pressed", isOn);
    attr(on, "title", say("Stop before each eviction, copy-on-write, swap and preemption, and let me say what I expect"));
    on.hidden = isLive() && status.predicting === undefined;
    if (isLive()) {
      asked = status.upcoming && { ...status.upcoming, kinds: BEFORE.filter((kind) => status.upcoming.kinds.includes(kind)) };
      if (waiting && run.lastStep >= waiting.step) {
        tell(waiting.step);
        waiting = null;
      } else if (asked && asked.step !== run.lastStep + 1) asked = null;
    }
    root.hidden = !isOn && !revealed;
    setText(question, asked ? `Step ${asked.step} will cause ${list(asked.kinds.map((kind) => `a ${say(THEME.kinds[kind])}`.replace(/^a (?=e)/, "an ")))}. ${say(asks[asked.kinds[0]])}` : isOn ? "Run on: it stops before the next decision." : "");
    setText(answer, asked && chosen() ? `You say: ${chosen()}` : "");
    reveal.hidden = !asked;
    const [right, total] = isLive() ? status.score ?? points : points;
    setText(score, total ? `${right} of ${total} right` : "");
    setText(result, revealed);
  }
  return { root, toggle: on, draw, holds };
}
