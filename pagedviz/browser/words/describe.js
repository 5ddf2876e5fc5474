/** Plain English: one sentence for every event, one text for every block and token. Templates are in theme.json. */
import { THEME } from "./theme.js";
import { blockOf } from "../run/state.js";
import { labels, say, sentenceFor } from "./vocabulary.js";

/** The letters that name a sequence: 0 -> A, 25 -> Z, 26 -> AA. */
export function letterOf(sequence) {
  let name = "";
  for (let n = sequence + 1; n > 0; n = Math.floor((n - 1) / 26)) name = String.fromCharCode(65 + ((n - 1) % 26)) + name;
  return name || String(sequence);
}

const CONTROL_NAMES = { "\n": "⏎", "\t": "⇥", "\r": "␍", " ": "␠" };

/** Text with its control and direction characters made visible. Never HTML: callers set it as text. */
export function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (character) => {
    if (CONTROL_NAMES[character]) return CONTROL_NAMES[character];
    const code = character.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** A token for the eye: its text, or its number when it has none. */
export function tokenText(text, token) {
  if (text === "") return `#${token}`;
  return text.trim() === "" ? text.replace(/ /g, "␠").replace(/\n/g, "⏎").replace(/\t/g, "⇥") : visible(text);
}

/** A number as people read it. */
export const number = (value) => value.toLocaleString("en");

export const plural = (count, word) => `${number(count)} ${say(count === 1 ? word : `${word}s`)}`;

export function range(first, count) {
  return count === 1 ? `${first}` : `${first}–${first + count - 1}`;
}

export function list(items, limit = 6) {
  if (items.length > limit) return `${items.slice(0, limit).join(", ")} and ${items.length - limit} more`;
  return items.length > 1 ? `${items.slice(0, -1).join(", ")} and ${items[items.length - 1]}` : (items[0] ?? "nobody");
}

export function durationText(us) {
  if (us < 1000) return `${us} µs`;
  return us < 1e6 ? `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms` : `${(us / 1e6).toFixed(1)} s`;
}

const bytesText = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** A block for the eye: those of the host have a mark. */
export const blockName = (tier, block) => (tier === "host" ? labels.host_mark + block : String(block));

/** An entry of a block table for the eye. */
export const entryName = (entry) => (entry ? blockName(...entry) : "–");

/** What a run is called after. */
export const modelName = ({ model }) => model ?? "unknown model";

/** A tier for the eye. */
export const tierName = (tier) => labels.tiers[tier] ?? tier;

/** What the engine itself says of blocks; the rest of a reason may be somebody else's words. */
const OWN_REASONS = /needs (?:blocks: \d+|\d+ blocks?), and \d|has \d+ blocks?, and of \d+ (?:host blocks|blocks? of the host)|drawn by lot: block \d+,|^shorter than a block$|^evicted at step (?=\d)|it goes down to the host tier(?=, as all do|: it was found)|it is given up: the host tier is full/g;

export const reasonText = (reason) => (Object.hasOwn(THEME.reasons, reason) ? say(THEME.reasons[reason]) : reason.replace(/\.$/, "").replace(OWN_REASONS, (words) => say(words)));

const swapFields = (from, to) => (e) => ({
  blocks: plural(e.pairs.length, "block"), who: e.request ? say`of request ${e.request}` : say("about to be evicted"),
  pairs: list(e.pairs.map(([source, target]) => `${blockName(from, source)} › ${blockName(to, target)}`)),
});

const counted = (word) => (count) => plural(count, word);

/** Fields that read the same in all events. */
const WORDS = {
  duration_us: durationText, num_bytes: bytesText, prefill_tokens: counted("prefill token"), decode_tokens: counted("decode token"), launches: counted("time"),
  blocks_read: counted("block"), blocks_freed: counted("block"), blocks: counted("block"), tokens: counted("token"), num_tokens: counted("token"),
  max_tokens: counted("new token"), age: counted("step"), sequence: letterOf, child: letterOf, parent: letterOf, reason: reasonText, why: reasonText, tier: tierName,
};

/** What else the sentences of a kind say. */
const FIELDS = {
  StepStarted: (e) => ({
    scheduled: e.scheduled.length
      ? `it computes ${list(e.scheduled.map(([s, first, count]) => `${letterOf(s)} ${count > 1 ? "positions" : "position"} ${range(first, count)}`))}`
      : "it has nothing to compute",
  }),
  RequestAdded: (e) => ({
    prompt: plural(e.prompt.length, "token"), sequences: `${say(e.sequences.length === 1 ? "sequence" : "sequences")} ${list(e.sequences.map(letterOf))}`,
  }),
  RequestPreempted: (e) => ({ after: e.mode === "swap" ? say("its K and V wait in the host tier") : `${plural(e.tokens_lost, "token")} must be computed again, unless still cached when it comes back` }),
  PrefixHit: (e) => ({ more: say(`${e.from_host ? `, ${e.from_host} of them from the host` : ""}${e.resumed ? "; computed before its preemption" : ""}`) }),
  PrefixCacheReset: (e) => ({ because: e.reason ? `, because ${reasonText(e.reason)}` : "" }),
  SwappedOut: swapFields("device", "host"),
  SwappedIn: swapFields("host", "device"),
  TokenAppended: (e) => ({ text: `“${tokenText(e.text, e.token)}”` }),
  BlockAllocated: (e, { block_size }) => ({ positions: range(e.logical * block_size, block_size) }),
  BlockFilled: (e, { block_size }) => ({ last: (e.logical + 1) * block_size - 1 }),
  BlockCopied: (e, { context }) => ({ sharers: list((context?.sharers ?? [e.sequence]).map(letterOf)), position: context?.position ?? "?" }),
  BlockShared: (e) => ({ also: e.refcount > 1 ? "also " : "" }),
  BlockReleased: (e) => ({ others: e.refcount ? `${plural(e.refcount, "other")} still ${e.refcount > 1 ? "have" : "has"} it` : "nobody has it now" }),
};

/**
 * The sentence for an event.
 * @param {{kind: string, [field: string]: any}} event by field names
 * @param {{step: number, block_size: number, context?: any}} where
 */
export function describe(event, where) {
  const template = sentenceFor(event.kind === "RequestScheduled" && event.resumed ? "RequestResumed" : event.kind);
  if (!template) return event.kind;
  const words = { step: where.step, ...event };
  for (const name in event) if (WORDS[name]) words[name] = WORDS[name](event[name]);
  for (const name of ["block", "source", "target"]) if (event[name] !== undefined) words[name] = blockName(event.tier, event[name]);
  Object.assign(words, FIELDS[event.kind]?.(event, where));
  return template.replace(/\{(\w+)\}/g, (_, name) => visible(String(words[name] ?? "?")));
}

const other = { device: "host", host: "device" };

/** Everything about one block, for tooltips and screen readers; one fact a line. */
export function describeBlock(state, tier, id) {
  const block = blockOf(state, id, tier);
  const gone = state.evicted.get(tier)?.get(id);
  const last = gone ? [say`last evicted in step ${gone.step} by ${gone.policy}: ${visible(reasonText(gone.why))}`] : [];
  const name = say`Block ${id} (${tierName(tier)}):`;
  if (!block) return [`${name} free`, ...last].join("\n");
  const size = state.block_size;
  const { holders, born, copied_from, moved_from, cached } = block;
  const lines = [holders.length ? name : `${name} cached since step ${cached}, nobody has it`];
  for (const [sequence, logical] of holders.slice(0, 6)) lines.push(say`${letterOf(sequence)} logical ${logical}, positions ${range(logical * size, size)}`);
  if (holders.length > 6) lines.push(`and ${holders.length - 6} more`);
  lines.push(say`${block.fill} of ${size} slots hold K and V${block.fill === size ? " (full)" : ""}`);
  lines.push(`reference count ${holders.length}${holders.length > 1 ? " (shared)" : ""}`);
  const from = copied_from >= 0 ? say`, copied from block ${copied_from}` : "";
  lines.push(`allocated in step ${born}${from}${moved_from >= 0 ? say`, moved from ${tierName(other[tier])} block ${moved_from}` : ""}`);
  if (block.group > 0) lines.push(`layer group ${block.group}`);
  if (block.hash) lines.push(`content ${block.hash}`);
  return [...lines, ...last].join("\n");
}

/** Everything about an entry of a block table: its block, or that it is absent; one fact a line. */
export function describeEntry(state, sequence, group, logical) {
  const entry = state.sequences.get(sequence)?.tables.get(group)?.[logical];
  if (entry) return describeBlock(state, ...entry);
  const size = state.block_size;
  return `${say`${letterOf(sequence)} logical ${logical}, positions ${range(logical * size, size)}`}: ${labels.absent}\n${say("its block was given back before later ones, or nobody said which it is")}`;
}

/**
 * Why a block was evicted and what it held, one fact a line. `filled` is the BlockFilled event that named its content, if it is known.
 * @param {{policy: string, why: string, age: number, hash: string}} event
 */
export function describeEviction(state, event, filled) {
  const { block_size: size } = state;
  const held = filled && state.sequences.get(filled.sequence);
  const first = filled && filled.logical * size;
  const text = held?.tokens.slice(first, first + size).map((token, i) => tokenText(held.texts[first + i] ?? "", token)).join("");
  return [
    `policy: ${event.policy}`, `why: ${reasonText(event.why)}`, `age: ${plural(event.age, "step")} since its last owner let go of it`, `content: ${event.hash}`,
    filled ? `it held positions ${range(first, size)} of ${letterOf(filled.sequence)}${text ? `: “${text}”` : ""}` : "what it held is not known",
  ].map(visible).join("\n");
}

/** Everything about one token. */
export function describeToken(state, sequence, position) {
  const found = state.sequences.get(sequence);
  if (!found || position >= found.tokens.length) return "";
  const size = state.block_size;
  const logical = Math.floor(position / size);
  const kind = position < found.num_prompt ? labels.prompt : labels.generated;
  const lines = [`${letterOf(sequence)} position ${position}: “${tokenText(found.texts[position] ?? "", found.tokens[position])}” (${kind}, token ${found.tokens[position]})`];
  for (const [group, table] of found.tables) {
    if (logical >= table.length) continue;
    const prefix = found.tables.size > 1 ? `layer group ${group}: ` : "";
    if (!table[logical]) {
      lines.push(say`${prefix}logical block ${logical} › ${labels.absent}`);
      continue;
    }
    const [tier, block] = table[logical];
    lines.push(say`${prefix}logical block ${logical} › ${tierName(tier)} block ${block}, slot ${block * size + (position % size)} (offset ${position % size})`);
  }
  if (position >= found.computed) lines.push(labels.uncomputed);
  return lines.join("\n");
}
