/**
 * The trace format, read: bytes of lines become a header, a keyframe and batches (`pagedviz/events/codec.py`).
 * Works on any cut of the bytes: a rest without a newline waits for more.
 */

const FORMAT = "pagedviz-trace";
const VERSION = 2;
const TEXTS = new Set(["request", "mode", "reason", "tier", "text", "name", "hash", "policy", "why"]);
const LISTS = new Set(["scheduled", "sequences", "prompt", "texts", "grid", "pairs"]);

/** The trace is damaged, too new, or contradicts itself. */
export class TraceError extends Error {}

/** @typedef {{seq: number, step: number, t_us: number, events: any[][], line?: string}} Batch events are `[kind, field, ...]` */

const isText = (value) => typeof value === "string";
const checkOf = (name) => (TEXTS.has(name) ? isText : LISTS.has(name) ? Array.isArray : name === "resumed" ? (value) => typeof value === "boolean" : Number.isSafeInteger);

/**
 * How a kind of event is read. Events of a kind are copies of `blank`, so that an engine sees one shape of object and is quick.
 * @typedef {{names: string[], checks: ((value: any) => boolean)[], blank: object}} Shape
 */

/** @param {Record<string, string[]>} fields the header's: field names of every kind @returns {Map<string, Shape>} */
export function shapesOf(fields) {
  const shapeOf = ([kind, names]) => [kind, { names, checks: names.map(checkOf), blank: { kind, ...Object.fromEntries(names.map((name) => [name, null])) } }];
  return new Map(Object.entries(fields).map(shapeOf));
}

/**
 * An event by field names.
 * @param {any[]} event `[kind, field, ...]`
 * @param {Map<string, Shape>} shapes
 * @returns {{kind: string, [field: string]: any}}
 */
export function named(event, shapes) {
  const shape = shapes.get(event[0]);
  if (!shape) throw new TraceError(`unknown kind of event: ${String(event[0]).slice(0, 40)}`);
  const { names, checks, blank } = shape;
  if (event.length <= names.length) throw new TraceError(`${event[0]} lacks the field ${names[event.length - 1]}`);
  const result = { ...blank };
  for (let i = 0; i < names.length; i++) {
    const value = event[i + 1];
    if (!checks[i](value)) throw new TraceError(`${event[0]} has a wrong ${names[i]}: ${String(value).slice(0, 40)}`);
    result[names[i]] = value;
  }
  return result;
}

function isBatch(record) {
  return Number.isSafeInteger(record?.seq) && Number.isSafeInteger(record.step) && Array.isArray(record.events);
}

function checkHeader(record) {
  if (record?.format !== FORMAT) throw new TraceError("not a pagedviz trace: line 1 is no header");
  if (!(record.version >= 1 && record.version <= VERSION)) {
    throw new TraceError(`the trace has version ${record.version}; this pagedviz reads 1 to ${VERSION}: update pagedviz`);
  }
  if (!record.fields || !record.engine) throw new TraceError("the trace's header is damaged");
}

/** Block tables are int32. */
const MAX_BLOCKS = 2 ** 31 - 1;

function checkKeyframe(keyframe, line) {
  if (!keyframe?.num_blocks) throw new TraceError(`line ${line} is no keyframe`);
  const { block_size: size, num_blocks: pools } = keyframe;
  const isPool = (count) => Number.isSafeInteger(count) && count >= 0 && count <= MAX_BLOCKS;
  if (!(Number.isSafeInteger(size) && size > 0 && Object.values(pools).every(isPool))) {
    throw new TraceError(`line ${line} has pools that cannot be: ${JSON.stringify(pools).slice(0, 80)} blocks of ${size} slots`);
  }
}

/** Reads one trace: first its header and keyframe, then batches, for as long as bytes come. */
export class Decoder {
  constructor() {
    this.header = null;
    this.keyframe = null;
    /** @type {Map<string, Shape>} */
    this.shapes = new Map();
    /** What is wrong with the line after the last batch. @type {TraceError | null} */
    this.error = null;
    this.line = 0;
    this.rest = "";
    this.utf8 = new TextDecoder("utf-8", { fatal: true });
  }

  /**
   * @param {Uint8Array} bytes the next piece of the trace
   * @returns {Batch[]} the batches that it completes, up to the first damaged line; `error` says what is wrong with that
   */
  push(bytes) {
    const batches = [];
    try {
      const lines = (this.rest + this.utf8.decode(bytes, { stream: true })).split("\n");
      this.rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line, batches);
    } catch (error) {
      this.error = error instanceof TraceError ? error : new TraceError(`the trace is damaged: ${error.message}`);
    }
    return batches;
  }

  #read(line, batches) {
    this.line += 1;
    let record;
    try {
      record = JSON.parse(line);
    } catch (error) {
      throw new TraceError(`line ${this.line} is damaged: ${error.message}`);
    }
    if (!this.header) {
      checkHeader(record);
      this.header = record;
      this.shapes = shapesOf(record.fields);
    } else if (!this.keyframe) {
      checkKeyframe(record?.keyframe, this.line);
      this.keyframe = record.keyframe;
    } else if (isBatch(record)) {
      record.line = line;
      batches.push(record);
    } else {
      throw new TraceError(`line ${this.line} is no batch of events`);
    }
  }
}
