/** The prefix tree: who shares the beginning of whose text, what the cache keeps of it, how often it was found, what was just evicted. */
import { badge, h, legendItem, setLegend, setText, focusedIn } from "../../kit/dom.js";
import { blockName, letterOf, list, plural, range, tierName, visible } from "../../words/describe.js";
import { keepReachable, pointing } from "../../kit/items.js";
import { treesOf } from "../../run/prefixes.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_NODES = 80;
const MAX_TEXT = 90;
const MAX_ENDS = 12;

/** The beginning and the end of what the blocks hold. */
function textOf(prefixes, hashes, most) {
  const part = (from, to) => hashes.slice(from, to).map((hash) => prefixes.byHash.get(hash)?.text ?? "").join("");
  const text = hashes.length > 2 * MAX_ENDS ? `${part(0, MAX_ENDS)} … ${part(-MAX_ENDS)}` : part(0);
  return visible(text.length > most ? `${text.slice(0, most / 2)} … ${text.slice(-most / 2)}` : text);
}

function describeNode({ hashes, places, hits, since }, prefixes, size) {
  const { logical } = prefixes.byHash.get(hashes[0]) ?? { logical: 0 };
  const holders = places[0]?.[2].holders.map(([sequence]) => letterOf(sequence)) ?? [];
  return [
    `positions ${range(logical * size, hashes.length * size)}: ${plural(hashes.length, "block")}`,
    since !== undefined ? say`evicted in step ${since}` : holders.length ? `shared by ${list(holders)}`.replace(/^shared by (\S+)$/, "only $1 has it") : "cached: nobody has it",
    ...(places.length ? [`in ${tierName(places[0][0])} ${list(places.map(([tier, id]) => blockName(tier, id)), MAX_ENDS)}`] : []),
    `found by ${plural(hits, "request")}`, `“${textOf(prefixes, hashes, 1000)}”`,
  ].join("\n");
}

export function create(view, store, tooltip) {
  const rows = h("div", { class: "pv-tree", role: "tree", "aria-label": view.title });
  const more = h("p", { class: "pv-more" });
  view.body.append(rows, more);
  let nodes = [];
  const nodeOf = (row) => nodes[Number(row.dataset.node)];
  pointing(rows, ".pv-node", store, tooltip, {
    cursorOf(row) {
      const place = nodeOf(row).places.at(-1);
      return place ? { tier: place[0], block: place[1] } : null;
    },
    textOf: (row) => describeNode(nodeOf(row), store.run.prefixes, store.state.block_size),
  });

  function makeRow(node, at, { prefixes, step }) {
    const { hashes, depth, places, hits, since } = node;
    const gone = since !== undefined;
    const holders = [...new Set(places[0]?.[2].holders.map(([sequence]) => sequence))];
    const row = h("div", {
      class: "pv-node", role: "treeitem", tabindex: "-1", "aria-level": depth + 1, "data-node": at,
      "data-place": gone ? "evicted" : !holders.length ? "cached" : holders.length > 1 ? "shared" : "held", "data-tier": places[0]?.[0] ?? "",
    }, ...holders.slice(0, 6).map(badge), holders.length > 6 ? `+${holders.length - 6}` : "", h("b", { "data-where": places.length > 0 && tierName(places[0][0]) }, plural(hashes.length, "block")),
    hits ? h("span", { class: "pv-hits" }, `${hits} ${hits > 1 ? "hits" : "hit"}`) : "", h("span", { class: "pv-node-text" }, textOf(prefixes, hashes, MAX_TEXT)));
    row.style.setProperty("--pv-depth", depth);
    // What was evicted fades: its stroke does, its text can be read to the end.
    if (gone) row.style.setProperty("--pv-left", `${100 * (1 - (step - since) / THEME.copied_steps)}%`);
    return row;
  }

  function draw({ run: { prefixes }, state }) {
    const found = treesOf(prefixes, state, THEME.copied_steps, MAX_NODES);
    nodes = found.nodes;
    const focused = rows.contains(focusedIn(rows)) ? focusedIn(rows).dataset.node : null;
    rows.replaceChildren(...nodes.map((node, at) => makeRow(node, at, { prefixes, step: state.step })));
    keepReachable(rows, ".pv-node");
    if (focused !== null) rows.children[Math.min(Number(focused), nodes.length - 1)]?.focus();
    setText(more, found.more ? `and ${found.more} more branches` : "");
    setText(view.note, say(nodes.length ? "full blocks by their content" : "No block is full yet."));
    setLegend(view.legend, "all", () => [
      legendItem(labels.shared, { swatch: "pv-dot" }), legendItem(labels.cached, { swatch: "pv-cached" }), legendItem(`${labels.evicted} (last ${THEME.copied_steps} steps)`, { swatch: "pv-cross" }),
    ]);
  }
  return { draw, hasCursor: false };
}
