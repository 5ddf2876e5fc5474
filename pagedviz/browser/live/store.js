/**
 * What all panels look at: the run, the step at which a person looks (null: live, the latest), and one cursor: a block, an entry of a
 * block table, or a token. What is pointed at is forgotten when the pointer leaves; what was clicked (a pin) stays. Looking back never
 * stops the engine.
 */
import { Feed } from "./feed.js";
import { blockOf } from "../run/state.js";

/**
 * @typedef {{tier?: string, block?: number, sequence?: number, logical?: number, group?: number,
 *   token?: number, request?: string}} Cursor
 * @typedef {{blocks: Set<string>, entries: Set<string>, tokens: Map<number, [number, number][]>, token: string | null,
 *   first: {tier: string, block: number} | null}} Links
 */

export const blockKey = (tier, block) => `${tier}:${block}`;
export const entryKey = (sequence, group, logical) => `${sequence}:${group}:${logical}`;

/** The block table entries that a cursor means, as [sequence, group, logical]. */
function entriesOf(state, cursor) {
  const { sequence } = cursor;
  if (cursor.request !== undefined) {
    const tables = (state.requests.get(cursor.request)?.sequences ?? []).flatMap((id) => [...state.sequences.get(id).tables].map((table) => [id, ...table]));
    return tables.flatMap(([id, group, table]) => table.map((_, logical) => [id, group, logical]));
  }
  if (cursor.block !== undefined) {
    const block = blockOf(state, cursor.block, cursor.tier);
    return (block?.holders ?? []).map(([holder, logical]) => [holder, block.group, logical]);
  }
  if (sequence === undefined) return [];
  const tables = state.sequences.get(sequence)?.tables ?? new Map();
  const groups = cursor.group === undefined ? [...tables.keys()] : [cursor.group];
  const logical = cursor.logical ?? (cursor.token === undefined ? undefined : Math.floor(cursor.token / state.block_size));
  return logical === undefined ? [] : groups.map((group) => [sequence, group, logical]);
}

/**
 * Everything that belongs to what the cursor points at: blocks, all their holders' table entries, and their tokens.
 * @returns {Links}
 */
export function linksOf(state, cursor) {
  const links = { blocks: new Set(), entries: new Set(), tokens: new Map(), token: null, first: null };
  if (!state || !cursor) return links;
  const addBlock = (tier, block) => {
    if (links.blocks.has(blockKey(tier, block))) return;
    links.first ??= { tier, block };
    links.blocks.add(blockKey(tier, block));
    const found = blockOf(state, block, tier);
    for (const [holder, logical] of found?.holders ?? []) {
      links.entries.add(entryKey(holder, found.group, logical));
      const range = [logical * state.block_size, (logical + 1) * state.block_size];
      const ranges = links.tokens.get(holder) ?? [];
      if (!ranges.some(([start]) => start === range[0])) links.tokens.set(holder, [...ranges, range]);
    }
  };
  if (cursor.block !== undefined) addBlock(cursor.tier ?? "device", cursor.block);
  for (const [sequence, group, logical] of entriesOf(state, cursor)) {
    const entry = state.sequences.get(sequence)?.tables.get(group)?.[logical];
    if (entry) addBlock(entry[0], entry[1]);
  }
  if (cursor.token !== undefined) links.token = `${cursor.sequence}:${cursor.token}`;
  return links;
}

/** What a cursor means: a request, or a block; one that a table or a token names too. @returns {{request?: string, tier?: string, block?: number} | null} */
export function pickOf(state, cursor) {
  const { request, tier = "device", block, sequence, group = 0 } = cursor ?? {};
  if (request !== undefined) return { request };
  if (block !== undefined) return { tier, block };
  const entry = state.sequences.get(sequence)?.tables.get(group)?.[cursor?.logical ?? Math.floor(cursor?.token / state.block_size)];
  return entry ? { tier: entry[0], block: entry[1] } : null;
}

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Store {
  /** @param {object} port */
  constructor(port) {
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    /** They grow with every change: of the run, of what is seen of it, of the cursor. A panel compares them to know if it must draw. */
    this.dataVersion = 0;
    this.viewVersion = 0;
    this.cursorVersion = 0;
    /** Whether a person changed what is seen since it was last drawn: then it is drawn in the next frame. */
    this.isTouched = false;
    /** The step that is looked at, null for the latest. @type {number | null} */
    this.at = null;
    this.past = null;
    /** What a panel keeps for the one that replaces it when the dashboard is built anew in other words (OS words). */
    this.kept = {};
    /** How blocks are coloured, one of the modes in theme.json. */
    this.mode = "owner";
    /** @type {Cursor | null} */
    this.hovered = null;
    /** @type {Cursor | null} */
    this.pinned = null;
    this.feed = new Feed(port, () => {
      this.dataVersion += 1;
      if (this.at === null || this.past?.run !== this.run) this.viewVersion += 1;
      this.#tell();
    });
  }

  get run() {
    return this.feed.run;
  }

  get isLive() {
    return this.at === null;
  }

  /** The state at the step that is looked at. */
  get state() {
    const { run, at } = this;
    if (!run?.state || at === null) return run?.state ?? null;
    if (this.past?.run !== run || this.past.at !== at) {
      const near = this.past?.run === run ? this.past : null;
      this.past = { run, at, ...run.stateAt(at, near) };
    }
    return this.past.state;
  }

  /** The step that is looked at. */
  get step() {
    return this.at ?? this.run?.state?.step ?? 0;
  }

  /** Look at a step: the nearest there is. The last one, and null, is live. @param {number | null} step */
  go(step) {
    const { run } = this;
    if (!run?.state) return;
    const at = step === null || step >= run.lastStep ? null : Math.max(run.firstStep, Math.round(step));
    if (at === this.at) return;
    this.at = at;
    this.feed.look(at);
    this.touch();
  }

  /** Look at the nearest step before (-1) or after (1) this one in which an event of the kind happened; false if there is none. */
  goToNext(kind, direction) {
    const step = this.run?.history.stepWith(kind, this.step, direction) ?? null;
    if (step !== null) this.go(step);
    return step !== null;
  }

  setMode(mode) {
    this.mode = mode;
    this.touch();
  }

  /** @returns {Cursor | null} what is pointed at, or else what is pinned */
  get cursor() {
    return this.hovered ?? this.pinned;
  }

  get links() {
    const key = `${this.viewVersion}/${this.cursorVersion}`;
    if (this.linksKey !== key) {
      this.linksKey = key;
      this.lastLinks = linksOf(this.state, this.cursor);
    }
    return this.lastLinks;
  }

  /** Point at something, or at nothing (null). @param {Cursor | null} cursor */
  hover(cursor) {
    if (isSame(cursor, this.hovered)) return;
    this.hovered = cursor;
    this.cursorVersion += 1;
    this.#tell();
  }

  /** Keep what is pointed at lit; the same again, or null, lets it go. @param {Cursor | null} cursor */
  pin(cursor) {
    this.pinned = isSame(cursor, this.pinned) ? null : cursor;
    this.cursorVersion += 1;
    this.#tell();
  }

  /** @returns {() => void} ends the subscription */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Say that panels must draw again, for a reason of their own (a colour mode, a filter). */
  touch() {
    this.isTouched = true;
    this.dataVersion += 1;
    this.viewVersion += 1;
    this.#tell();
  }

  #tell() {
    for (const listener of this.listeners) listener();
  }
}
