/** What events say about steps, requests and sequences: the twin of `pagedviz/trace/rules/requests.py`. */
import { setComputed } from "../state.js";
import { check, requestOf, sequenceOf } from "./check.js";

/** The request, which must go on. */
function unfinished(state, name) {
  const request = requestOf(state, name);
  check(request.status !== "finished", "its request has finished");
  return request;
}

function addSequence(state, id, request, { num_prompt, tokens, texts }) {
  state.sequences.set(id, { id, request, num_prompt, tokens: [...tokens], texts: [...texts], computed: 0, status: "waiting", tables: new Map() });
}

export const REQUESTS = {
  StepStarted(state, event) {
    state.scheduled = event.scheduled;
  },
  StepFinished(state, event) {
    for (const [id, start, count] of state.scheduled) {
      const sequence = sequenceOf(state, id);
      check(start >= 0 && count >= 0 && start + count <= sequence.tokens.length, `more is computed than the ${sequence.tokens.length} tokens there are`);
      if (sequence.status === "running") setComputed(state, sequence, start + count);
    }
    state.counters.prefill_tokens += event.prefill_tokens;
    state.counters.decode_tokens += event.decode_tokens;
  },
  KernelLaunched() {},
  RequestAdded(state, { request: name, sequences, prompt, texts, max_tokens }) {
    const num_prompt = prompt.length;
    check(!state.requests.has(name), "it is added twice");
    check(sequences.length, "it has no sequence");
    if (!texts.length) texts = prompt.map(() => "");
    check(texts.length === num_prompt, `${texts.length} texts for ${num_prompt} tokens`);
    for (const id of sequences) {
      check(!state.sequences.has(id), `sequence ${id} is added twice`);
      addSequence(state, id, name, { num_prompt, tokens: prompt, texts });
    }
    state.requests.set(name, { name, sequences: [...sequences], num_prompt, max_tokens, status: "waiting", reason: "", preemptions: 0 });
  },
  RequestScheduled(state, event) {
    const request = requestOf(state, event.request);
    const was = request.status;
    check(["waiting", "preempted", "swapped"].includes(was), `it is ${was}`);
    request.status = "running";
    // A request begins with one sequence; the others fork from it when the prompt is in memory. A swapped one goes on with all.
    const swapped = was === "swapped";
    const sequences = request.sequences.map((id) => sequenceOf(state, id)).filter(({ status }) => status === (swapped ? was : "waiting"));
    for (const sequence of swapped ? sequences : sequences.slice(0, 1)) sequence.status = "running";
  },
  RequestPreempted(state, event) {
    const request = requestOf(state, event.request);
    check(request.status === "running", `it is ${request.status}`);
    const swaps = event.mode === "swap";
    request.status = swaps ? "swapped" : "preempted";
    request.preemptions += 1;
    state.counters.lost_tokens += event.tokens_lost;
    for (const id of request.sequences) {
      const sequence = sequenceOf(state, id);
      if (!swaps) setComputed(state, sequence, 0);
      if (sequence.status === "running") sequence.status = swaps ? "swapped" : "waiting";
    }
  },
  RequestFinished(state, event) {
    const request = requestOf(state, event.request);
    check(request.status !== "finished", "it finishes twice");
    request.status = "finished";
    request.reason = event.reason;
  },
  SequenceForked(state, { request, parent: from, child: id, num_tokens }) {
    const parent = sequenceOf(state, from);
    if (!state.sequences.has(id)) {
      // A beam begins with its parent's tokens.
      unfinished(state, request).sequences.push(id);
      addSequence(state, id, request, parent);
    }
    const child = sequenceOf(state, id);
    check(child.status === "waiting", `it is ${child.status}`);
    const there = Math.min(parent.computed, child.tokens.length);
    check(num_tokens >= 0 && num_tokens <= there, `${there} tokens are in memory`);
    setComputed(state, child, num_tokens);
    child.status = "running";
  },
  SequenceFinished(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    check(sequence.status !== "finished", "it finishes twice");
    sequence.status = "finished";
  },
  SequenceDropped(state, { request, sequence: id }) {
    check(![...sequenceOf(state, id).tables.values()].some((table) => table.length), "it has blocks");
    const { sequences } = unfinished(state, request);
    check(sequences.includes(id) && sequences.length > 1, "it belongs to another request, or is its last");
    sequences.splice(sequences.indexOf(id), 1);
    state.sequences.delete(id);
    state.scheduled = state.scheduled.filter(([sequence]) => sequence !== id);
  },
  TokenAppended(state, event) {
    const { tokens, texts, status } = sequenceOf(state, event.sequence);
    check(event.position === tokens.length, `it has ${tokens.length} tokens`);
    check(status !== "finished", "it has finished");
    tokens.push(event.token);
    texts.push(event.text);
  },
};
