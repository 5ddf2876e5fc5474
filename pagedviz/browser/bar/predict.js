/**
 * Predict mode: the run stops before a decision, a person points at the block or sequence that they expect, and the reveal shows what was
 * chosen, why, and what Belady would have chosen where the future is known. A live session stops itself; in a recorded run this module stops.
 */
import { beladyChoice } from "../run/belady.js";
import { blockName, describe, letterOf, list } from "../words/describe.js";
import { attr, h, pushButton, setText, toggle } from "../kit/dom.js";
import { BEFORE, kindsText } from "../words/kinds.js";
import { SCHEMA } from "../run/schema.js";
import { blockOf } from "../run/state.js";
import { pickOf } from "../live/store.js";
import { say } from "../words/vocabulary.js";
import { THEME } from "../words/theme.js";

/** The decisions of a step, each event by field names with what its sentence needs. */
function decisionsIn(run, step) {
  const found = run.eventsIn(step).filter(({ event: [kind] }) => BEFORE.includes(kind)).map((entry) => run.read(entry));
  // A swap out without a request is the content of an evicted block on its way to the host: it follows from the eviction.
  return found.filter(({ event: { kind, request } }) => kind !== "SwappedOut" || request).sort((a, b) => BEFORE.indexOf(a.event.kind) - BEFORE.indexOf(b.event.kind));
}

/** Kinds that ask who, not which block. */
const WHO = SCHEMA.ask_who;

/** Whether a guess names nobody where it is asked who: a block stands for the request that has it, one that several have for none. */
function isNobody(state, { tier, block, request }) {
  const holders = request === undefined ? (blockOf(state, block, tier)?.holders ?? []) : [];
  return new Set(holders.map(([id]) => state.sequences.get(id).request)).size > 1;
}

/**
 * Whether what a person expects, in the state before, is what an event then chose: the twin of `pagedviz/session/predictions.py`. Null where an event
 * cannot be guessed in these terms.
 */
function isRight(state, guess, { kind, ...event }) {
  const { tier, block, request } = guess;
  if (WHO.includes(kind) && isNobody(state, guess)) return null;
  const isRequest = request === (event.request ?? state.sequences.get(event.sequence)?.request);
  const isThere = (where, id) => tier === where && block === id;
  switch (kind) {
    case "BlockEvicted":
      return request === undefined ? isThere(event.tier, event.block) : null;
    case "BlockCopied":
      return request === undefined ? isThere(event.tier, event.source) : isRequest;
    case "RequestPreempted":
      return request === undefined ? blockOf(state, block, tier)?.holders.some(([id]) => state.sequences.get(id).request === event.request) === true : isRequest;
    default: {
      const from = kind === "SwappedOut" ? "device" : "host";
      return request === undefined ? event.pairs.some(([source]) => isThere(from, source)) : isRequest;
    }
  }
}

/** Whether a guess of what a step chooses is right; null if none of its decisions can be guessed in these terms. */
export function verdictOn(run, step, guess) {
  const { state } = run.stateAt(step - 1);
  const verdicts = decisionsIn(run, step).map(({ event }) => isRight(state, guess, event)).filter((verdict) => verdict !== null);
  return verdicts.length ? verdicts.includes(true) : null;
}

/** What Belady would have done where a policy chose `chosen`. */
function beladyText({ block, step, needed, isWhole }, chosen) {
  const when = (at) => (at === null ? (isWhole ? "never needed again in this run" : "not needed again for long") : `needed in step ${at}`);
  const own = needed.get(chosen);
  if (own === step) return say`Belady, who knows the future, could not have done better: the content of block ${chosen} is ${when(own)}.`;
  return say`Belady, who knows the future, would have taken block ${block}: its content is ${when(step)}, that of block ${chosen} is ${when(own)}.`;
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
  const reveal = pushButton({ "data-testid": "reveal", onclick: () => uncover() }, "Reveal");
  const score = h("span", { class: "pv-fact", "data-testid": "score" });
  const result = h("p", { class: "pv-result", role: "status", "data-testid": "result" });
  const root = h("div", { class: "pv-predict" }, question, answer, reveal, score, result);

  const isLive = () => store.feed.status?.live === true;
  let isOwn = false;
  /** The decision that is waited for: in which step, and of what kinds. @type {{step: number, kinds: string[]} | null} */
  let asked = null;
  /** What was asked, and what a person said, while a live run takes the step. @type {{step: number, guess: object | null, score: number[]} | null} */
  let waiting = null;
  let points = [0, 0];
  let revealed = "";
  /** The steps of the answer that is shown, and of the latest question of a live run. */
  let answered = 0;
  let questioned = 0;

  /** Whether the run must stand before this step, because somebody wants to predict it. */
  function holds(step) {
    if (!isOwn || asked?.step === step || step > store.run.lastStep) return asked?.step === step && isOwn;
    const kinds = [...new Set(decisionsIn(store.run, step).map(({ event }) => event.kind))];
    if (!kinds.length) return false;
    [asked, revealed] = [{ step, kinds }, ""];
    store.pin(null);
    store.touch();
    return true;
  }

  function uncover() {
    const { run, feed } = store;
    const { step } = asked;
    const { state } = run.stateAt(step - 1);
    const pick = pickOf(state, store.pinned);
    const guess = pick && isGuess(state, pick) ? pick : null;
    if (isOwn) {
      asked = null;
      const isHit = guess && verdictOn(run, step, guess);
      if (isHit !== null) points = [points[0] + isHit, points[1] + 1];
      tell(step, isHit);
      store.go(step);
    } else {
      if (guess) feed.send({ cmd: "guess", ...guess });
      waiting = { step, score: feed.status.score };
      feed.command("step");
    }
    store.touch();
  }

  /** Say what was chosen. @param {boolean | null} isHit null: nothing was guessed */
  function tell(step, isHit) {
    const { run } = store;
    const found = decisionsIn(run, step);
    const parts = [isHit === null ? "" : isHit ? "Right." : "Not what you expected.", ...found.slice(0, 3).map(({ event, where }) => describe(event, where))];
    if (found.length > 3) parts.push(`And ${found.length - 3} more.`);
    const best = isOwn && beladyChoice(run, step);
    if (best) parts.push(beladyText(best, found.find(({ event }) => event.kind === "BlockEvicted" && event.tier === "device").event.block));
    revealed = parts.filter(Boolean).join(" ");
    answered = step;
  }

  /** What a live run asks now. A new question begins without a guess; the answer to the step before stays, as it came together with it. */
  function follow({ upcoming, score }, run) {
    asked = upcoming && { ...upcoming, kinds: BEFORE.filter((kind) => upcoming.kinds.includes(kind)) };
    if (waiting && run.lastStep >= waiting.step) {
      // Python judges: its score has grown, or nothing was guessed.
      const [right, total] = waiting.score;
      tell(waiting.step, score[1] > total ? score[0] > right : null);
      waiting = null;
    }
    if (asked && asked.step !== run.lastStep + 1) asked = null;
    if (!asked || asked.step === questioned) return;
    questioned = asked.step;
    if (answered !== questioned - 1) revealed = "";
    if (store.pinned) store.pin(null);
  }

  /** What stands where no decision is waited for. */
  const between = ({ state } = {}) => (isLive() && ["finished", "stopped"].includes(state) ? "The run is over: there is nothing left to predict." : "Run on: it stops before the next decision.");

  /** Whether a click answers the question, which is the one of the first kind. */
  const isGuess = (state, pick) => !(WHO.includes(asked.kinds[0]) && isNobody(state, pick));

  /** What a click on a block or a lane says, or why it says nothing. */
  function chosen() {
    const pick = pickOf(store.state, store.pinned);
    if (!pick) return "";
    const { request, tier, block } = pick;
    if (block === undefined) return `You say: ${request}`;
    const name = blockName(tier, block);
    if (isGuess(store.state, pick)) return `You say: ${say`block ${name}`}`;
    const letters = list([...new Set(blockOf(store.state, block, tier).holders.map(([id]) => letterOf(id)))]);
    return say`Block ${name} belongs to ${letters}: click a block that only one request has.`;
  }

  function draw() {
    const { status, run } = store.feed;
    const isOn = isLive() ? status.predicting === true : isOwn;
    attr(on, "aria-pressed", isOn);
    attr(on, "title", say("Stop before each eviction, copy-on-write, swap and preemption, and let me say what I expect"));
    on.hidden = isLive() && status.predicting === undefined;
    if (isLive()) follow(status, run);
    root.hidden = !isOn && !revealed;
    setText(question, asked ? `Step ${asked.step} will cause ${kindsText(asked.kinds)}. ${say(THEME.asks[asked.kinds[0]])}` : isOn ? between(status) : "");
    setText(answer, asked ? chosen() : "");
    reveal.hidden = !asked;
    const [right, total] = isLive() ? status.score ?? points : points;
    setText(score, total ? `${right} of ${total} right` : "");
    setText(result, revealed && asked ? `Step ${answered}: ${revealed}` : revealed);
  }
  return { root, toggle: on, draw, holds };
}
