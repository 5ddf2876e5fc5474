/** The state as a real table, for screen readers and for copying; and the Python that leads to what is selected. */
import { h, pushButton, setText } from "../../kit/dom.js";
import { entryName, letterOf, number, tierName, visible } from "../../words/describe.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_ROWS = 200;

const nameOfState = (block) => (!block.holders.length ? labels.cached : block.holders.length > 1 ? labels.shared : "held");

/** name -> [columns, rows of a state] */
const TABLES = {
  sequences: [["sequence", "request", "status", "tokens", "computed", "block table"], (state) => [...state.sequences.values()].map((s) => [
    letterOf(s.id), s.request, say(s.status), s.tokens.length, s.computed, [...s.tables.values()].map((t) => t.map(entryName).join(" ")).join(" | "),
  ])],
  blocks: [["tier", "block", "state", "holders", "reference count", "fill", "born", "content"], (state) => [...state.blocks].flatMap(([tier, held]) => [...held].map(([id, b]) => [
    tierName(tier), id, nameOfState(b), b.holders.map(([sequence, logical]) => `${letterOf(sequence)}:${logical}`).join(" "), b.holders.length, b.fill, b.born, b.hash,
  ]))],
  requests: [["request", "status", "sequences", "prompt tokens", "at most", "preemptions", "reason"], (state) => [...state.requests.values()].map((r) => [
    r.name, say(r.status), r.sequences.map(letterOf).join(" "), r.num_prompt, r.max_tokens, r.preemptions, r.reason,
  ])],
  counters: [["what", "how many"], (state) => Object.entries(state.counters).map(([name, count]) => [say(name), count])],
};

/** Python that reaches what the cursor points at, or the state itself if it is not there. */
export function pythonFor(step, state, cursor) {
  const at = `trace.state_at(${step})`;
  const { tier, block, request, sequence, token, group = 0, logical } = cursor ?? {};
  if (block !== undefined) return `${at}.block(${block}${tier === "host" ? ', tier="host"' : ""})`;
  if (state.requests.has(request)) return `${at}.requests[${JSON.stringify(request)}]`;
  const found = state.sequences.get(sequence);
  if (!found) return at;
  const code = `${at}.sequences[${sequence}]`;
  if (token < found.tokens.length) return `${code}.tokens[${token}]`;
  return found.tables.get(group)?.[logical] ? `${code}.tables[${group}][${logical}]` : code;
}

export function create(view, store) {
  const select = h("select", { class: "pv-select", "aria-label": "What the table shows", "data-testid": "table-kind", onchange: () => store.touch() }, ...Object.keys(TABLES).map((name) => h("option", { value: name }, say(name))));
  const said = h("span", { class: "pv-note", role: "status" });
  const copy = (name, label, textOf) => pushButton({ "data-testid": name,
    async onclick() {
      const text = textOf();
      try {
        await navigator.clipboard.writeText(text);
        setText(said, "copied");
      } catch {
        setText(said, text); // to copy by hand: some pages may not
      }
    },
  }, label);
  const table = h("table", { class: "pv-table" });
  const more = h("p", { class: "pv-more" });
  view.head.append(select, said, copy("copy-table", "Copy table", () => [TABLES[select.value][0].map((name) => say(name)), ...TABLES[select.value][1](store.state)].map((row) => row.join("\t")).join("\n")),
    copy("copy-python", "Copy as Python", () => pythonFor(store.step, store.state, store.pinned)));
  view.body.append(table, more);

  function draw({ state }) {
    const [columns, rowsOf] = TABLES[select.value];
    const rows = rowsOf(state);
    table.replaceChildren(
      h("caption", {}, `${say(select.value)} after step ${state.step}`),
      h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, say(name))))),
      h("tbody", {}, ...rows.slice(0, MAX_ROWS).map((row) => h("tr", {}, ...row.map((value) => h("td", {}, visible(String(value))))))),
    );
    setText(more, rows.length > MAX_ROWS ? `and ${number(rows.length - MAX_ROWS)} more rows: “Copy table” has them all` : "");
  }
  return { draw, hasCursor: false };
}
