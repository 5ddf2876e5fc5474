/**
 * One run in the browser: its header, all its events, numbers per step, the state after the last event and, by replay, after any
 * step. It grows batch by batch, from a live engine or a file. Knows nothing of ports, cursors or drawing.
 */
import { Decoder, TraceError, named } from "./codec.js";
import { contextOf } from "./context.js";
import { History } from "./history.js";
import { Keyframes } from "./keyframes.js";
import { Lanes } from "./lanes.js";
import { Prefixes } from "./prefixes.js";
import { apply } from "./reducer.js";
import { checked, stateFrom } from "./state.js";

/** @typedef {import("./codec.js").Batch} Batch */

/** @typedef {{seq: number, step: number, event: any[]}} Entry one event with its place */

/** Bytes that are parsed before they are applied: what is thrown away at once costs little. */
const PIECE = 2 ** 18;

/** Batches whose events stay parsed: those that panels go through again and again. */
const MAX_PARSED = 512;

export class Run {
  constructor() {
    this.decoder = new Decoder();
    this.history = new History();
    /** @type {import("./state.js").State | null} the state after the last event */
    this.state = null;
    /** Where events are; the text of a line takes a third of the room that its events take. @type {Batch[]} */
    this.batches = [];
    /** @type {Map<Batch, any[][]>} */
    this.parsed = new Map();
    /** What a sentence must know of an event's moment, by the event's number. */
    this.contexts = new Map();
  }

  get header() {
    return this.decoder.header;
  }

  /** The number of the event after the last one. */
  get seq() {
    return this.state ? this.state.seq : 0;
  }

  get firstStep() {
    return this.history.at("step", 0);
  }

  get lastStep() {
    return this.state.step;
  }

  /** Read the next bytes of the trace and bring the state up to date; throws TraceError. */
  push(bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) this.#take(this.decoder.push(bytes.subarray(at, at + PIECE)));
  }

  #take(batches) {
    if (!this.state && this.decoder.keyframe) {
      const state = checked(stateFrom(this.decoder.keyframe));
      this.history.begin(state.step);
      this.history.end(state);
      this.keyframes = new Keyframes(state);
      this.lanes = new Lanes(state);
      this.prefixes = new Prefixes(state);
      this.state = state;
    }
    for (const batch of batches) this.applyBatch(batch);
    if (this.decoder.error) throw this.decoder.error;
  }

  /** Add a batch. If it contradicts what came before, the run stays as it was and TraceError says why. @param {Batch} batch */
  applyBatch(batch) {
    const { state, history, lanes, prefixes, batches } = this;
    const { seq, step } = state;
    const refuse = (problem) => {
      throw new TraceError(`line ${batches.length + 3} ${problem}`);
    };
    if (batch.seq !== seq) refuse(`begins with event ${batch.seq}; ${seq} was expected`);
    if (batch.step < step) refuse(`goes back from step ${step} to ${batch.step}`);
    const events = [];
    const looks = [];
    const later = (look) => looks.push(look);
    try {
      this.#fold(state, batch, batch.events, (event) => {
        events.push(event);
        const context = contextOf(state, event);
        const at = state.seq;
        if (context) later(() => this.contexts.set(at, context));
        lanes.before(state, event, later);
        prefixes.before(state, event, later);
      });
      if (!Object.values(state.counters).every(Number.isSafeInteger)) throw new TraceError(`step ${batch.step} counts beyond ${Number.MAX_SAFE_INTEGER}`);
    } catch (error) {
      this.state = this.#after(batches.length);
      refuse(`is damaged: ${error.message}`);
    }
    // The whole batch is sound: only now do history, lanes and prefixes hear of it.
    history.begin(batch.step);
    for (const event of events) history.count(event);
    for (const look of looks) look();
    history.end(state);
    lanes.end(state);
    batches.push({ ...batch, events: batch.line ? null : batch.events });
    this.keyframes.offer(batches.length, state);
  }

  #fold(state, { step, t_us }, events, before = () => {}) {
    Object.assign(state, { step, t_us });
    for (const array of events) {
      const event = named(array, this.decoder.shapes);
      try {
        before(event);
        apply(state, event);
      } catch (error) {
        throw new TraceError(`event ${state.seq} in step ${step} contradicts what came before: ${error.message} (${JSON.stringify(array).slice(0, 200)})`);
      }
      state.seq += 1;
    }
  }

  // -- looking back ------------------------------------------------------------------------------------------

  /**
   * The state when `step` was over and before the next began, as `trace.state_at` gives it.
   * @param {{count: number, state: object} | null} near a state that may be used up if it is on the way
   * @returns {{count: number, state: import("./state.js").State}} it belongs to the caller
   */
  stateAt(step, near = null) {
    const count = this.#firstAfter(step);
    return { count, state: this.#after(count, near) };
  }

  #after(count, near = null) {
    let [at, state] = near && near.count <= count && near.count > count - 64 ? [near.count, near.state] : this.keyframes.before(count);
    for (; at < count; at++) this.#fold(state, this.batches[at], this.eventsOf(at));
    return state;
  }

  /** How many batches belong to steps up to `step`. */
  #firstAfter(step) {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.batches[middle].step <= step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // -- events ------------------------------------------------------------------------------------------------

  /** A batch's events, `[kind, field, ...]` each. */
  eventsOf(index) {
    const batch = this.batches[index];
    if (batch.events) return batch.events;
    const { parsed } = this;
    if (!parsed.has(batch)) {
      if (parsed.size >= MAX_PARSED) parsed.delete(parsed.keys().next().value);
      parsed.set(batch, JSON.parse(batch.line).events);
    }
    return parsed.get(batch);
  }

  /** An event by field names, with what its sentence needs. */
  read({ seq, step, event }) {
    return { event: named(event, this.decoder.shapes), where: { step, block_size: this.state.block_size, context: this.contexts.get(seq) } };
  }

  /** All events of a step, in order. @returns {Entry[]} */
  eventsIn(step) {
    const entries = [];
    for (let b = this.#firstAfter(step - 1); b < this.batches.length && this.batches[b].step === step; b++) {
      this.eventsOf(b).forEach((event, i) => entries.push({ seq: this.batches[b].seq + i, step, event }));
    }
    return entries;
  }

  /** The event that named the content of an evicted block: the last BlockFilled of its hash before event `seq`. */
  filled({ hash, group }, seq) {
    for (const { event } of this.backwards(0, seq)) {
      if (event[0] !== "BlockFilled") continue;
      const filled = named(event, this.decoder.shapes);
      if (filled.hash === hash && filled.group === group) return filled;
    }
    return null;
  }

  /**
   * Events backwards, from before number `to` down to number `from`.
   * @returns {Generator<Entry>}
   */
  *backwards(from = 0, to = this.seq) {
    let b = this.batches.length - 1;
    while (b >= 0 && this.batches[b].seq >= to) b -= 1;
    for (; b >= 0; b--) {
      const { seq, step } = this.batches[b];
      const events = this.eventsOf(b);
      for (let i = Math.min(events.length, to - seq) - 1; i >= 0; i--) {
        if (seq + i < from) return;
        yield { seq: seq + i, step, event: events[i] };
      }
    }
  }
}
