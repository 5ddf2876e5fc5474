/** Numbers per step, kept as events come in: what the timeline draws and the token rate is made of. */
import { memoryOf } from "./state.js";

/** Whole numbers, as many as are set. */
class Column {
  constructor() {
    this.data = new Float64Array(256);
  }

  set(index, value) {
    if (index >= this.data.length) {
      const larger = new Float64Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[index] = value;
  }
}

const TIERS = ["device", "host"];
const PARTS = ["used", "cached", "internal", "free"];

/** What an event of a kind adds to a step's row: column and amount. */
const COUNTED = {
  StepFinished: (e) => ["duration", e.duration_us],
  RequestPreempted: () => ["preempted", 1],
  BlockCopied: () => ["copied", 1],
  BlockEvicted: () => ["evicted", 1],
  SwappedOut: (e) => ["swapped_out", e.pairs.length],
  SwappedIn: (e) => ["swapped_in", e.pairs.length],
  TokenAppended: () => ["tokens", 1],
};
const COLUMNS = [
  "step", "duration", "preempted", "copied", "evicted", "swapped_out", "swapped_in", "tokens", "generated", ...TIERS.flatMap((tier) => PARTS.map((part) => `${tier} ${part}`)),
];

/** One row a step: memory after it (`device used` and so on), and what happened in it. */
export class History {
  constructor() {
    this.length = 0;
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, new Column()]));
    /** @type {Map<string, number[]>} the rows in which an event of a kind happened */
    this.rowsOf = new Map();
  }

  /** @returns {number} the value of a column in a row */
  at(name, row) {
    return this.columns[name].data[row];
  }

  /** The row of a step, or the one before it if the step has none. */
  rowOf(step) {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at("step", middle) <= step) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Count an event of the latest step. @param {{kind: string}} event */
  count(event) {
    const row = this.length - 1;
    const rows = this.rowsOf.get(event.kind) ?? this.rowsOf.set(event.kind, []).get(event.kind);
    if (rows.at(-1) !== row) rows.push(row);
    const [name, value] = COUNTED[event.kind]?.(event) ?? [];
    if (!name) return;
    this.columns[name].set(row, this.at(name, row) + value);
    if (name === "tokens") this.columns.generated.set(row, this.at("generated", row) + 1);
  }

  /** Begin the row of a step, unless it is the latest one already. */
  begin(step) {
    const last = this.length - 1;
    if (this.length && this.at("step", last) === step) return;
    for (const name of COLUMNS) this.columns[name].set(this.length, 0);
    this.columns.step.set(this.length, step);
    this.columns.generated.set(this.length, this.length ? this.at("generated", last) : 0);
    this.length += 1;
  }

  /** The nearest step before or after `step` in which an event of the kind happened. @returns {number | null} */
  stepWith(kind, step, direction) {
    const steps = (this.rowsOf.get(kind) ?? []).map((row) => this.at("step", row));
    return (direction > 0 ? steps.find((at) => at > step) : steps.findLast((at) => at < step)) ?? null;
  }

  /** Memory after the latest step. */
  end(state) {
    for (const tier of TIERS) {
      const memory = memoryOf(state, tier);
      for (const part of PARTS) this.columns[`${tier} ${part}`].set(this.length - 1, memory[part]);
    }
  }

  /** Generated tokens per second of engine time, over the last steps up to and including `row`. */
  rate(row = this.length - 1, window = 24) {
    let tokens = 0;
    let duration = 0;
    for (let i = row; i >= 0 && i > row - window; i--) {
      if (!this.at("duration", i)) continue;
      tokens += this.at("tokens", i);
      duration += this.at("duration", i);
    }
    return duration ? (tokens * 1e6) / duration : 0;
  }
}
