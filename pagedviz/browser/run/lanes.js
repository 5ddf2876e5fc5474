/**
 * What every request did in which step (waiting, prefill, decode, swapped, recomputing), kept as changes while events come in: the
 * twin of `pagedviz/trace/analysis/lanes.py`. What a request does in a step is what the step computes of it.
 */

/** @typedef {[number, string][]} Lane from which step on what; "" when it had finished */

const OF_STATUS = { __proto__: null, waiting: "waiting", preempted: "waiting", swapped: "swapped", finished: "" };

/** Several sequences of a request may do several things; the highest is told. */
const RANK = { waiting: 0, swapped: 0, decode: 1, prefill: 2, recomputing: 3 };

/** Kinds after which a request may do something else. */
const NAMING = new Set(["RequestAdded", "RequestScheduled", "RequestFinished", "RequestPreempted"]);

const sequencesOf = (state, name) => state.requests.get(name).sequences.map((id) => state.sequences.get(id));

export class Lanes {
  constructor(state) {
    /** @type {Map<string, Lane>} */
    this.byRequest = new Map();
    /** How far a request had come when its K and V were given up: until then it recomputes. @type {Map<string, number>} */
    this.goals = new Map();
    /** Requests that the batch's events name, and what its step computes of whom. */
    this.named = new Set();
    this.doing = new Map();
    this.step = state.step;
    for (const [name, { status, preemptions }] of state.requests) {
      if (status === "finished") continue;
      const sequences = sequencesOf(state, name);
      const there = Math.max(0, ...sequences.filter((s) => s.tokens.length > s.num_prompt).map((s) => s.tokens.length - 1));
      if (preemptions && there > Math.max(0, ...sequences.map((s) => s.computed))) this.goals.set(name, there);
      this.#note(name, state.step + 1, OF_STATUS[status] ?? this.#next(state, name));
    }
  }

  /** Look at an event before it is applied; `later` takes what is to be done once the whole batch is. */
  before(state, event, later) {
    const { kind } = event;
    if (kind === "StepStarted") {
      const { scheduled } = event;
      const sequences = scheduled.map(([id]) => state.sequences.get(id));
      later(() => scheduled.forEach(([, start, count], i) => this.#plan(sequences[i], start, count)));
    }
    if (!NAMING.has(kind)) return;
    const { request: name } = event;
    later(() => this.named.add(name));
    if (kind !== "RequestPreempted" || event.mode === "swap" || !state.requests.has(name)) return;
    const reached = sequencesOf(state, name).filter(({ status }) => status === "running").map(({ computed }) => computed);
    later(() => this.goals.set(name, Math.max(this.goals.get(name) ?? 0, ...reached)));
  }

  #plan(sequence, start, count) {
    if (!sequence) return;
    const { request: name, num_prompt } = sequence;
    const goal = this.goals.get(name) ?? 0;
    const does = start < goal ? "recomputing" : start < num_prompt ? "prefill" : "decode";
    if (RANK[does] > RANK[this.doing.get(name) ?? "waiting"]) this.doing.set(name, does);
    if (goal && start + count >= goal) this.goals.delete(name);
  }

  /** A batch is over. */
  end(state) {
    // What comes between two steps is for the next one.
    const first = state.step > this.step ? state.step : state.step + 1;
    for (const name of new Set([...this.named, ...this.doing.keys()])) {
      const { status } = state.requests.get(name);
      const does = this.doing.get(name);
      if (does) this.#note(name, first, does);
      if (status in OF_STATUS) this.#note(name, does || status === "finished" ? state.step + 1 : first, OF_STATUS[status]);
      else if (!does && !(RANK[this.byRequest.get(name)?.at(-1)[1]] > 0)) this.#note(name, first, this.#next(state, name));
    }
    this.named.clear();
    this.doing.clear();
    this.step = state.step;
  }

  /** What a running request will do when a step computes something of it. */
  #next(state, name) {
    if (this.goals.has(name)) return "recomputing";
    return sequencesOf(state, name).some((s) => s.tokens.length > s.num_prompt) ? "decode" : "prefill";
  }

  #note(name, first, what) {
    if (!this.byRequest.has(name)) this.byRequest.set(name, []);
    const lane = this.byRequest.get(name);
    if (lane.at(-1)?.[0] === first) lane.pop();
    if (lane.at(-1)?.[1] !== what) lane.push([first, what]);
  }
}

/** The pieces of a lane between two steps, as [first step, steps, what]; "" where it was not there. */
export function piecesOf(lane, from, to) {
  const ends = [...lane.slice(1).map(([step]) => step), to + 1].map((end) => Math.min(end, to + 1));
  const pieces = lane.map(([start, what], i) => [Math.max(from, start), ends[i] - Math.max(from, start), what]).filter(([, steps]) => steps > 0);
  const first = pieces[0]?.[0] ?? to + 1;
  return first > from ? [[from, first - from, ""], ...pieces] : pieces;
}
