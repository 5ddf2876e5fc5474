/**
 * What each kind of event means: a rule a kind, by family, collected in `reducer.js`. The twin of `pagedviz/trace/rules`, file by file: same
 * contradictions, in fewer words, as whoever reports one adds the event. Here is what all of them ask for.
 */
import { TraceError } from "../codec.js";

/** Unless this holds, the event cannot have happened in this state. */
export function check(holds, contradiction) {
  if (!holds) throw new TraceError(contradiction);
}

export function must(map, key, what) {
  const value = map?.get(key);
  check(value !== undefined, `there is no ${what} ${key}`);
  return value;
}

export const requestOf = (state, name) => must(state.requests, name, "request");
export const sequenceOf = (state, id) => must(state.sequences, id, "sequence");
export const takenBlock = (state, tier, id) => must(must(state.blocks, tier, "tier"), id, "block");
