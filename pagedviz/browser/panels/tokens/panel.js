/** The token strip: what each sequence has read and written, token by token. Text is only ever set as text. */
import { attr, badge, h, legendItem, setLegend, setText } from "../../kit/dom.js";
import { describeToken, letterOf, number, tokenText } from "../../words/describe.js";
import { Rows, arrange, pointing } from "../../kit/items.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_STRIPS = 24;

/** Tokens kept in the page: of a single sequence, and of each of several, which share a budget. */
const MAX_TOKENS = 1200;
const limitOf = (strips) => (strips === 1 ? MAX_TOKENS : Math.round(Math.max(40, 480 / strips)));

/** One sequence's tokens; adds what is new, starts over when they are other tokens. */
function createStrip(id) {
  const earlier = h("span", { class: "pv-more" });
  const text = h("div", { class: "pv-text", dir: "auto" }, earlier);
  const root = h("div", { class: "pv-strip", role: "group", "aria-label": `Tokens of ${letterOf(id)}` }, badge(id), text);
  /** @type {HTMLElement[]} */
  let spans = [];
  let first = 0;
  let source = null;
  let lit = [];
  let shownEnd = 0;
  let lastLimit = 0;

  const makeSpan = (sequence, position, size) => {
    const token = tokenText(sequence.texts[position] ?? "", sequence.tokens[position]);
    const kind = position < sequence.num_prompt ? "pv-prompt" : "pv-generated";
    const edge = position % size === 0 ? " pv-edge" : "";
    return h("span", { class: `pv-token ${kind}${edge}`, role: "button", tabindex: "-1", "data-sequence": id, "data-position": position }, token);
  };

  function draw(state, links, limit) {
    const sequence = state.sequences.get(id);
    const count = sequence.tokens.length;
    if (source !== sequence || first + spans.length > count || limit > lastLimit) {
      source = sequence;
      spans = [];
      first = Math.max(0, count - limit);
      text.replaceChildren(earlier);
      shownEnd = 0;
    }
    for (let position = first + spans.length; position < count; position++) {
      const span = makeSpan(sequence, position, state.block_size);
      spans.push(span);
      text.append(span);
    }
    lastLimit = limit;
    const surplus = spans.length - limit;
    if (surplus > 0) {
      for (const span of spans.splice(0, surplus)) span.remove();
      first += surplus;
    }
    setText(earlier, first ? `… ${number(first)} earlier … ` : "");
    // Where K and V end; what is finished has given its blocks back, and nothing more is to come.
    const end = sequence.status === "finished" ? count : sequence.computed;
    const from = Math.min(end, shownEnd);
    for (let i = Math.max(0, from - first); i < spans.length; i++) spans[i].classList.toggle("pv-uncomputed", first + i >= end);
    shownEnd = end;
    for (const span of lit) span.classList.remove("pv-lit", "pv-here");
    lit = [];
    for (const [from, to] of links.tokens.get(id) ?? []) {
      for (let position = Math.max(first, from); position < Math.min(to, first + spans.length); position++) {
        lit.push(spans[position - first]);
        spans[position - first].classList.add("pv-lit");
      }
    }
    if (links.token?.startsWith(`${id}:`)) {
      const span = spans[Number(links.token.split(":")[1]) - first];
      if (span) {
        span.classList.add("pv-here");
        lit.push(span);
      }
    }
    attr(root, "data-status", sequence.status);
  }
  return { root, draw };
}

export function create(view, store, tooltip) {
  const select = h("select", { class: "pv-select", "aria-label": say("Sequences to show"), "data-testid": "token-sequence" }, h("option", { value: "all" }, say("all sequences")));
  view.head.append(h("label", { class: "pv-tool" }, "show", select));
  const hint = h("p", { class: "pv-hint" }, say("No request yet."));
  const strips = h("div", { class: "pv-strips" });
  const more = h("p", { class: "pv-more" });
  view.body.append(hint, strips, more);
  /** @type {Map<number, ReturnType<typeof createStrip>>} */
  const byId = new Map();
  const stripsInSight = new Rows(view.body, strips, ".pv-token");
  let chosen = "all";
  select.addEventListener("change", () => {
    chosen = select.value;
    store.touch();
  });
  pointing(strips, ".pv-token", store, tooltip, {
    cursorOf: (span) => ({ sequence: Number(span.dataset.sequence), token: Number(span.dataset.position) }),
    textOf: (span) => describeToken(store.state, Number(span.dataset.sequence), Number(span.dataset.position)),
  });

  function offer(state) {
    const ids = [...state.sequences.keys()];
    const key = `${ids.length}/${ids.at(-1)}`;
    if (select.dataset.key === key) return;
    select.dataset.key = key;
    const options = ids.slice(-200).map((id) => h("option", { value: id }, `${letterOf(id)} (${state.sequences.get(id).request})`));
    select.replaceChildren(h("option", { value: "all" }, say("all sequences")), ...options);
    if (chosen !== "all" && !state.sequences.has(Number(chosen))) chosen = "all";
    select.value = chosen;
  }

  /** Sequences that go on come first, then the finished ones, newest first. */
  function choose(state) {
    if (state.sequences.has(Number(chosen))) return [Number(chosen)];
    const ids = [...state.sequences.keys()];
    const alive = ids.filter((id) => state.sequences.get(id).status !== "finished").slice(0, MAX_STRIPS);
    const ended = ids.filter((id) => state.sequences.get(id).status === "finished");
    return [...alive, ...ended.reverse().slice(0, MAX_STRIPS - alive.length)];
  }

  function draw({ state, links }) {
    offer(state);
    const ids = choose(state);
    const isAtEnd = chosen !== "all" && view.body.scrollHeight - view.body.scrollTop - view.body.clientHeight < 24;
    arrange(strips, byId, ids, createStrip);
    stripsInSight.draw(ids.length, (at) => byId.get(ids[at]).draw(state, links, limitOf(ids.length)));
    if (isAtEnd) view.body.scrollTop = view.body.scrollHeight;
    hint.hidden = state.sequences.size > 0;
    setText(more, chosen === "all" && state.sequences.size > ids.length ? say`and ${state.sequences.size - ids.length} more sequences` : "");
    setLegend(view.legend, "all", () => [
      legendItem(labels.prompt, { swatch: "pv-key-prompt" }), legendItem(labels.generated, { swatch: "pv-key-generated" }),
      legendItem(labels.uncomputed, { swatch: "pv-key-uncomputed" }), legendItem(say("a new block begins"), { swatch: "pv-key-edge" }),
    ]);
  }
  return { draw, measure: () => stripsInSight.measure(), fill: () => stripsInSight.fill() };
}
