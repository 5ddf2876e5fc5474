/**
 * Copies of the state, kept as a run passes them, so that the state at any step is a copy and a few thousand events away: the
 * twin of `pagedviz/trace/replay.py`.
 */
import { copyState, isOver } from "./state.js";

const EVENTS_PER_KEYFRAME = 8192;

/** What a copy of the state costs, in events: keyframes never cost more than the replay between them. */
function weightOf(state) {
  const { blocks, sequences } = state;
  let parts = 0;
  for (const held of blocks.values()) parts += held.size;
  for (const sequence of sequences.values()) if (!isOver(state, sequence)) parts += sequence.tokens.length;
  return (sequences.size + parts) / 16;
}

export class Keyframes {
  constructor(state) {
    /** @type {[number, import("./state.js").State][]} how many batches, and the state after them */
    this.kept = [[0, copyState(state)]];
  }

  /** Keep a copy of the state after `count` batches, unless there is one near. */
  offer(count, state) {
    const passed = state.seq - this.kept.at(-1)[1].seq;
    if (passed >= EVENTS_PER_KEYFRAME && passed >= weightOf(state)) this.kept.push([count, copyState(state)]);
  }

  /** @returns {[number, import("./state.js").State]} the nearest at or before `count` batches; the state belongs to the caller */
  before(count) {
    const [at, state] = this.kept.findLast(([kept]) => kept <= count);
    return [at, copyState(state)];
  }
}
