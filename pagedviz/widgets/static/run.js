/**
 * One run in the browser: its header, all its events, the state after the last of them, numbers per step. It grows batch by
 * batch, from a live engine or a file. Knows nothing of ports, cursors or drawing.
 */
import { Decoder, TraceError, named } from "./codec.js";
import { History } from "./history.js";
import { contextOf } from "./describe.js";
import { Lanes } from "./lanes.js";
import { apply } from "./rules.js";
import { stateFrom } from "./state.js";

/** @typedef {import("./codec.js").Batch} Batch */

/** @typedef {{seq: number, step: number, event: any[]}} Entry one event with its place */

export class Run {
  constructor() {
    this.decoder = new Decoder();
    this.history = new History();
    /** @type {import("./state.js").State | null} */
    this.state = null;
    /** @type {Batch[]} */
    this.batches = [];
    /** What a sentence must know of an event's moment, by the event's number. */
    this.contexts = new Map();
  }

  get header() {
    return this.decoder.header;
  }

  /** The next event's number. */
  get seq() {
    return this.state ? this.state.seq : 0;
  }

  /** Read the next bytes of the trace and bring the state up to date; throws TraceError. */
  push(bytes) {
    const batches = this.decoder.push(bytes);
    if (!this.state && this.decoder.keyframe) {
      this.state = stateFrom(this.decoder.keyframe);
      this.history.begin(this.state.step);
      this.history.end(this.state);
      this.lanes = new Lanes(this.state);
    }
    for (const batch of batches) this.applyBatch(batch);
  }

  /** @param {Batch} batch */
  applyBatch(batch) {
    const { state, history } = this;
    if (batch.seq > state.seq) throw new TraceError(`events ${state.seq} to ${batch.seq - 1} are missing before step ${batch.step}`);
    if (batch.seq < state.seq) throw new TraceError(`event ${batch.seq} of step ${batch.step} comes twice`);
    state.step = batch.step;
    state.t_us = batch.t_us;
    history.begin(batch.step);
    for (const array of batch.events) {
      try {
        const event = named(array, this.decoder.fields);
        const context = contextOf(state, event);
        if (context) this.contexts.set(state.seq, context);
        this.lanes.before(state, event);
        apply(state, event);
        history.count(event);
      } catch (error) {
        throw new TraceError(`event ${state.seq} in step ${batch.step} contradicts what came before: ${error.message} (${JSON.stringify(array).slice(0, 200)})`);
      }
      state.seq += 1;
    }
    history.end(state);
    this.lanes.end(state);
    this.batches.push(batch);
  }

  /** An event by field names, with what its sentence needs. */
  read({ seq, step, event }) {
    return { event: named(event, this.decoder.fields), where: { step, block_size: this.state.block_size, context: this.contexts.get(seq) } };
  }

  /** The event that named the content of an evicted block: the last BlockFilled of its hash before event `seq`. */
  filled({ hash, group }, seq) {
    for (const { event } of this.backwards(0, seq)) {
      if (event[0] !== "BlockFilled") continue;
      const filled = named(event, this.decoder.fields);
      if (filled.hash === hash && filled.group === group) return filled;
    }
    return null;
  }

  /**
   * Events from the latest backwards, from before number `to` down to number `from`.
   * @returns {Generator<Entry>}
   */
  *backwards(from = 0, to = Infinity) {
    for (let b = this.batches.length - 1; b >= 0; b--) {
      const { seq, step, events } = this.batches[b];
      for (let i = events.length - 1; i >= 0; i--) {
        if (seq + i < from) return;
        if (seq + i < to) yield { seq: seq + i, step, event: events[i] };
      }
    }
  }
}
