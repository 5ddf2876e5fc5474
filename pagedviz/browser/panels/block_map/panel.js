/** The block map: one cell a block, from 8 to a million of them, a map for each tier, and arrows between them. */
import { drawArrows } from "./arrows.js";
import { MODES } from "./cells.js";
import { modeLegend } from "./legend.js";
import { createTierMap } from "./tier_map.js";
import { attr, h, setLegend, setText } from "../../kit/dom.js";
import { number } from "../../words/describe.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

export function create(view, store, tooltip) {
  const select = h("select", { class: "pv-select", "aria-label": say("Colour of the blocks"), "data-testid": "colour-mode" },
    ...Object.keys(MODES).map((name) => h("option", { value: name }, THEME.modes[name])));
  const tools = h("span", {});
  view.head.append(h("span", { class: "pv-tool" }, tools, h("label", { class: "pv-tool" }, "colour", select)));
  select.addEventListener("change", () => store.setMode(select.value));
  const arrows = h("canvas", { class: "pv-arrows", "aria-hidden": "true" });
  /** @type {Map<string, ReturnType<typeof createTierMap>>} */
  const maps = new Map();
  let last = null;
  let width = 0;
  let frame = 0;

  /** Draw again what only this panel must: it was moved or zoomed. */
  function redraw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!store.state || !view.root.isConnected) return;
      draw({ ...last, isNew: last.state.seq !== store.state.seq, state: store.state, links: store.links });
      settle();
    });
  }

  function draw(scene) {
    last = scene;
    const { state, links } = scene;
    const { mode } = store;
    select.value = mode;
    const tiers = [...state.num_blocks].filter(([, count]) => count > 0).map(([tier]) => tier);
    if (tiers.join() !== [...maps.keys()].join()) {
      maps.clear();
      for (const tier of tiers) maps.set(tier, createTierMap(tier, store, tooltip, redraw));
      view.body.replaceChildren(h("div", { class: "pv-tiers" }, ...[...maps.values()].map((map) => map.root), arrows));
      tools.replaceChildren(...(maps.size === 1 ? [maps.get(tiers[0]).tools] : []));
    }
    if (width < 16) return;
    for (const map of maps.values()) map.draw({ ...scene, width });
    const place = scene.engine?.simulated ? `${labels.tiers.device} (${labels.simulated})` : labels.tiers.device;
    setText(view.note, say`${place}, ${number(state.num_blocks.get("device") ?? 0)} blocks of ${state.block_size} slots`);
    attr(view.root, "data-block", links.first?.block);
    attr(view.root, "data-blocks", links.blocks.size ? [...links.blocks].join(" ") : null);
    const owners = mode === "owner" ? [...state.sequences.values()].map((s) => ([...s.tables.values()].some((t) => t.length) ? s.id : "")).join() : "";
    const lods = [...maps.values()].map((map) => map.lodOf());
    const { cached, evicted } = state.counters;
    setLegend(view.legend, `${mode}/${JSON.stringify(lods)}/${owners}/${cached > 0}/${evicted > 0}`, () => modeLegend(mode, state, lods));
  }
  const measure = () => (width = view.body.clientWidth - 16);
  function settle() {
    if (width >= 16) attr(view.root, "data-arrows", drawArrows(arrows, maps, last));
  }
  return { measure, draw, settle };
}

