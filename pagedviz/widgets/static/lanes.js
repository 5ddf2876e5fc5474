/** What every request did in which step (waiting, prefill, decode, swapped, recomputing), kept as changes while events come in. */

/** @typedef {[number, string][]} Lane from which step on what; "" when it had finished */

export class Lanes {
  constructor(state) {
    /** @type {Map<string, Lane>} */
    this.byRequest = new Map();
    this.open = new Set([...state.requests.values()].filter(({ status }) => status !== "finished").map(({ name }) => name));
    /** How far a request had come when its K and V were given up: until then it recomputes. */
    this.goals = new Map();
    this.end(state);
  }

  #reached(state, name) {
    const sequences = state.requests.get(name).sequences.map((id) => state.sequences.get(id));
    return Math.max(0, ...sequences.filter(({ status }) => status === "running").map(({ computed }) => computed));
  }

  /** Look at an event before it is applied. */
  before(state, { kind, request, mode }) {
    if (kind === "RequestAdded") this.open.add(request);
    if (kind !== "RequestPreempted" || mode === "swap" || !state.requests.has(request)) return;
    this.goals.set(request, Math.max(this.goals.get(request) ?? 0, this.#reached(state, request)));
  }

  /** A batch is over. */
  end(state) {
    const doing = new Map();
    for (const [id, start] of state.scheduled) {
      const sequence = state.sequences.get(id);
      if (sequence) doing.set(sequence.request, start < sequence.num_prompt ? "prefill" : "decode");
    }
    for (const name of this.open) this.#note(state, name, doing.get(name));
  }

  #note(state, name, doing) {
    if (!this.byRequest.has(name)) this.byRequest.set(name, []);
    const lane = this.byRequest.get(name);
    const { status } = state.requests.get(name);
    let now = { finished: "", swapped: "swapped" }[status] ?? "waiting";
    if (status === "running") {
      now = this.goals.has(name) ? "recomputing" : doing ?? "prefill";
      if (this.#reached(state, name) >= this.goals.get(name)) this.goals.delete(name);
    }
    if (status === "finished") this.open.delete(name);
    if (lane.at(-1)?.[0] === state.step) lane.pop();
    if (lane.at(-1)?.[1] !== now) lane.push([state.step, now]);
  }
}

/** The pieces of a lane between two steps, as [first step, steps, what]; "" where it was not there. */
export function piecesOf(lane, from, to) {
  const ends = [...lane.slice(1).map(([step]) => step), to + 1];
  const pieces = lane.map(([start, what], i) => [Math.max(from, start), ends[i] - Math.max(from, start), what]).filter(([, steps]) => steps > 0);
  const first = pieces[0]?.[0] ?? to + 1;
  return first > from ? [[from, first - from, ""], ...pieces] : pieces;
}
