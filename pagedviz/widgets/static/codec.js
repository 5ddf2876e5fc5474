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

function isValid(name, value) {
  if (TEXTS.has(name)) return typeof value === "string";
  if (LISTS.has(name)) return Array.isArray(value);
  return name === "resumed" ? typeof value === "boolean" : Number.isSafeInteger(value);
}

/**
 * An event by field names.
 * @param {any[]} event `[kind, field, ...]`
 * @param {Map<string, string[]>} fields field names of every kind
 * @returns {{kind: string, [field: string]: any}}
 */
export function named(event, fields) {
  const names = fields.get(event[0]);
  if (!names) throw new TraceError(`unknown kind of event: ${String(event[0]).slice(0, 40)}`);
  if (event.length <= names.length) throw new TraceError(`${event[0]} lacks the field ${names[event.length - 1]}`);
  const result = { kind: event[0] };
  for (let i = 0; i < names.length; i++) {
    const value = event[i + 1];
    if (!isValid(names[i], value)) throw new TraceError(`${event[0]} has a wrong ${names[i]}: ${String(value).slice(0, 40)}`);
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

/** Reads one trace: first its header and keyframe, then batches, for as long as bytes come. */
export class Decoder {
  constructor() {
    this.header = null;
    this.keyframe = null;
    /** @type {Map<string, string[]>} */
    this.fields = new Map();
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
      this.fields = new Map(Object.entries(record.fields));
    } else if (!this.keyframe) {
      if (!record?.keyframe?.num_blocks) throw new TraceError(`line ${this.line} is no keyframe`);
      this.keyframe = record.keyframe;
    } else if (isBatch(record)) {
      batches.push({ ...record, line });
    } else {
      throw new TraceError(`line ${this.line} is no batch of events`);
    }
  }
}
