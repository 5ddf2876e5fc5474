/** The prefix tree: who shares the beginning of whose text, what the cache keeps of it, how often it was found, what was just evicted. */
import { badge, h, keepReachable, legendItem, panel, pointing, setLegend, setText, focusedIn } from "./dom.js";
import { blockName, letterOf, plural, range, tierName, visible } from "./describe.js";
import { treesOf } from "./prefixes.js";
import { THEME } from "./theme.js";
import { labels, say } from "./vocabulary.js";

const MAX_NODES = 80;
const MAX_TEXT = 90;

/** Roots first, then down each branch. */
const flatten = (nodes) => nodes.flatMap((node) => [node, ...flatten(node.children)]);

const shortened = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT / 2)} … ${text.slice(-MAX_TEXT / 2)}` : text);

function describeNode({ hashes, places, hits, gone }, prefixes, size) {
  const { logical } = prefixes.byHash.get(hashes[0]) ?? { logical: 0 };
  const holders = places[0]?.[2].holders.map(([sequence]) => letterOf(sequence)) ?? [];
  return [
    `positions ${range(logical * size, hashes.length * size)}: ${plural(hashes.length, "block")}`,
    gone ? say("evicted a few steps ago") : holders.length ? `shared by ${holders.join(", ")}`.replace(/^shared by (\S+)$/, "only $1 has it") : "cached: nobody has it",
    ...(places.length ? [`in ${tierName(places[0][0])} ${places.map(([tier, id]) => blockName(tier, id)).join(", ")}`] : []),
    `found by ${plural(hits, "request")}`, `“${visible(hashes.map((hash) => prefixes.byHash.get(hash)?.text ?? "").join(""))}”`,
  ].join("\n");
}

export function createPrefixTree(store, tooltip) {
  const view = panel("prefix-tree", labels.prefix_tree);
  const rows = h("div", { class: "pv-tree", role: "tree", "aria-label": labels.prefix_tree });
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

  function makeRow(node, at, prefixes) {
    const { hashes, depth, places, hits, gone } = node;
    const holders = [...new Set(places[0]?.[2].holders.map(([sequence]) => sequence))];
    const text = hashes.map((hash) => prefixes.byHash.get(hash)?.text ?? "").join("");
    const row = h("div", {
      class: "pv-node", role: "treeitem", tabindex: "-1", "aria-level": depth + 1, "data-node": at,
      "data-place": gone ? "evicted" : !holders.length ? "cached" : holders.length > 1 ? "shared" : "held", "data-tier": places[0]?.[0] ?? "",
    }, ...holders.slice(0, 6).map(badge), holders.length > 6 ? `+${holders.length - 6}` : "", h("b", { "data-where": places.length > 0 && tierName(places[0][0]) }, plural(hashes.length, "block")),
    hits ? h("span", { class: "pv-hits" }, `${hits} ${hits > 1 ? "hits" : "hit"}`) : "", h("span", { class: "pv-node-text" }, visible(shortened(text))));
    row.style.setProperty("--pv-depth", depth);
    return row;
  }

  function draw({ run: { prefixes }, state }) {
    const all = flatten(treesOf(prefixes, state, THEME.copied_steps));
    nodes = all.slice(0, MAX_NODES);
    const focused = rows.contains(focusedIn(rows)) ? focusedIn(rows).dataset.node : null;
    rows.replaceChildren(...nodes.map((node, at) => makeRow(node, at, prefixes)));
    keepReachable(rows, ".pv-node");
    if (focused !== null) rows.children[Math.min(Number(focused), nodes.length - 1)]?.focus();
    setText(more, all.length > nodes.length ? `and ${all.length - nodes.length} more branches` : "");
    setText(view.note, say(all.length ? "full blocks by their content" : "No block is full yet."));
    setLegend(view.legend, "all", () => [
      legendItem(labels.shared, { swatch: "pv-dot" }), legendItem(labels.cached, { swatch: "pv-cached" }), legendItem(`${labels.evicted} (last ${THEME.copied_steps} steps)`, { swatch: "pv-cross" }),
    ]);
  }
  return { root: view.root, draw, hasCursor: false };
}
