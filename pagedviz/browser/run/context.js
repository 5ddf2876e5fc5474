/** What was so just before an event, and what a sentence about it must say. */
import { blockOf } from "./state.js";

/**
 * What a sentence must know of the moment just before the event, for the kinds that need it: kept beside the event, because
 * the state goes on. Null for all other kinds.
 */
export function contextOf(state, event) {
  if (event.kind !== "BlockCopied") return null;
  const holders = (blockOf(state, event.source, event.tier)?.holders ?? []).map(([sequence]) => sequence);
  const scheduled = state.scheduled.find(([sequence]) => sequence === event.sequence);
  const written = scheduled ? scheduled[1] : (state.sequences.get(event.sequence)?.computed ?? 0);
  return { sharers: [...new Set([...holders, event.sequence])].sort((a, b) => a - b), position: written };
}
