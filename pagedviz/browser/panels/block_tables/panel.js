/** The block tables: per sequence, its logical blocks and the physical ones behind them. Only chips that changed are touched. */
import { attr, badge, h, legendItem, setLegend, setText } from "../../kit/dom.js";
import { describeEntry, entryName, letterOf, number, plural } from "../../words/describe.js";
import { Rows, arrange, pointing } from "../../kit/items.js";
import { blockAt } from "../../run/state.js";
import { blockKey, entryKey } from "../../live/store.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_TABLES = 40;

/** Chips of one table in the page: tables share a budget. */
const limitOfTable = (tables) => Math.round(Math.min(96, Math.max(16, 120 / tables)));

/** The first and the last entries of a long table; the middle is left out. */
function shown(length, limit) {
  const head = length > limit ? 5 : length;
  const tail = length > limit ? limit - 5 : 0;
  return { indices: [...Array(head).keys(), ...Array.from({ length: tail }, (_, i) => length - tail + i)], hidden: length - head - tail, head };
}

/** One table's row; reuses its chips from draw to draw. */
function createRow(sequence, group, label) {
  const chips = h("div", { class: "pv-chips" });
  const status = h("span", { class: "pv-row-status" });
  const title = h("div", { class: "pv-row-title" }, badge(sequence), label ? h("span", { class: "pv-group" }, label) : "", status);
  const root = h("div", { class: "pv-row", role: "group", "aria-label": say`Block table of ${letterOf(sequence)} ${label}`.trim() }, title, chips);
  const more = h("span", { class: "pv-more" });
  /** @type {Map<number, HTMLElement>} */
  const byLogical = new Map();

  const makeChip = (logical) => h("span", {
    class: "pv-chip", role: "button", tabindex: "-1", "data-sequence": sequence, "data-group": group, "data-logical": logical,
  }, h("span", { class: "pv-logical" }, String(logical)), h("span", { class: "pv-arrow", "aria-hidden": "true" }, "›"), h("span", { class: "pv-physical" }));

  function draw(state, table, links, limit) {
    const { indices, hidden, head } = shown(table.length, limit);
    const wanted = new Set(indices);
    for (const [logical, chip] of byLogical) {
      if (!wanted.has(logical)) {
        chip.remove();
        byLogical.delete(logical);
      }
    }
    indices.forEach((logical, position) => {
      let chip = byLogical.get(logical);
      if (!chip) {
        chip = makeChip(logical);
        byLogical.set(logical, chip);
      }
      const at = position + (hidden && position >= head ? 1 : 0);
      if (chips.children[at] !== chip) chips.insertBefore(chip, chips.children[at] ?? null);
      const entry = table[logical];
      const [tier, id] = entry ?? [];
      const block = blockAt(state, entry);
      setText(chip.lastChild, entryName(entry));
      attr(chip, "data-block", id);
      attr(chip, "data-tier", tier);
      attr(chip, "data-absent", entry ? null : "");
      attr(chip, "data-shared", block && block.holders.length > 1 ? "" : null);
      attr(chip, "data-copied", block && block.copied_from >= 0 && state.step - block.born < THEME.copied_steps ? "" : null);
      attr(chip, "data-partial", block && block.fill < state.block_size ? "" : null);
      chip.classList.toggle("pv-lit", links.entries.has(entryKey(sequence, group, logical)) && links.blocks.has(blockKey(tier, id)));
    });
    if (hidden) {
      setText(more, `… ${number(hidden)} more …`);
      if (chips.children[head] !== more) chips.insertBefore(more, chips.children[head] ?? null);
    } else more.remove();
    const found = state.sequences.get(sequence);
    setText(status, `${found.status === "running" ? "" : `${say(found.status)} · `}${plural(found.computed, "token")}`);
  }
  return { root, draw };
}

function groupLabel(engine, group, tables) {
  if (tables < 2) return "";
  const info = engine?.groups?.[group];
  const layers = info?.layers ?? [];
  const span = !layers.length ? `group ${group}` : layers.length > 1 ? `layers ${layers[0]}…${layers[layers.length - 1]}` : `layer ${layers[0]}`;
  return info?.window ? `${span}, window ${info.window}` : span;
}

export function create(view, store, tooltip) {
  const more = h("p", { class: "pv-more" });
  const hint = h("p", { class: "pv-hint" }, say("No sequence has a block."));
  const rows = h("div", { class: "pv-rows" });
  view.body.append(hint, rows, more);
  /** @type {Map<string, ReturnType<typeof createRow>>} */
  const byKey = new Map();
  const tablesInSight = new Rows(view.body, rows, ".pv-chip");
  const cursorOf = ({ dataset: { sequence, group, logical } }) => ({ sequence: Number(sequence), group: Number(group), logical: Number(logical) });
  pointing(rows, ".pv-chip", store, tooltip, {
    cursorOf,
    textOf(chip) {
      const { sequence, group, logical } = cursorOf(chip);
      return describeEntry(store.state, sequence, group, logical);
    },
  });

  function draw({ state, links, engine }) {
    const wanted = [];
    let tables = 0;
    for (const sequence of state.sequences.values()) {
      for (const [group, table] of sequence.tables) {
        if (!table.length) continue;
        tables += 1;
        if (wanted.length < MAX_TABLES) wanted.push([`${sequence.id}:${group}`, sequence, group, table]);
      }
    }
    arrange(rows, byKey, wanted.map(([key]) => key), (_, at) => {
      const [, sequence, group] = wanted[at];
      return createRow(sequence.id, group, groupLabel(engine, group, sequence.tables.size));
    });
    tablesInSight.draw(wanted.length, (at) => byKey.get(wanted[at][0]).draw(state, wanted[at][3], links, limitOfTable(wanted.length)));
    hint.hidden = tables > 0;
    setText(more, tables > wanted.length ? `and ${tables - wanted.length} more tables` : "");
    setText(view.note, say("logical › physical"));
    setLegend(view.legend, `${state.num_blocks.get("host")}`, () => [
      legendItem(labels.shared, { swatch: "pv-dot" }), legendItem(labels.copied, { swatch: "pv-diagonal" }),
      legendItem(labels.filling, { swatch: "pv-dashed" }),
      ...(state.num_blocks.get("host") ? [legendItem(say`${labels.host_mark}: in the host tier`, { swatch: "pv-host" })] : []),
    ]);
  }
  return { draw, measure: () => tablesInSight.measure(), fill: () => tablesInSight.fill() };
}
