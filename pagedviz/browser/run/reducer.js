/** What events mean: `apply` folds one event into a state. The twin of `pagedviz/trace/reducer.py`; the rules are in `rules/`, one a kind. */
import { BLOCKS } from "./rules/blocks.js";
import { CACHE } from "./rules/cache.js";
import { check } from "./rules/check.js";
import { REQUESTS } from "./rules/requests.js";
import { SCHEMA } from "./schema.js";

const RULES = new Map(Object.entries({ ...REQUESTS, ...BLOCKS, ...CACHE }));

/** What an event of a kind counts as one of. */
const COUNTERS_OF = Object.assign({}, ...Object.values(SCHEMA.families));

/** Fold one event (by field names, see `named`) into the state; throws TraceError if it contradicts it. */
export function apply(state, event) {
  const { kind } = event;
  const rule = RULES.get(kind);
  check(rule, "it is of an unknown kind");
  rule(state, event);
  const counter = COUNTERS_OF[kind];
  if (counter) state.counters[counter] += 1;
}
