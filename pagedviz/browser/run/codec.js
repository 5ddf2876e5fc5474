/**
 * The trace format, read: bytes of lines become a header, a keyframe and batches (`pagedviz/events/codec.py`).
 * Works on any cut of the bytes: a rest without a newline waits for more.
 */

import { SCHEMA } from "./schema.js";

const FORMAT = "pagedviz-trace";
const VERSION = SCHEMA.version;
const NEWLINE = 10;

/** The trace is damaged, too new, or contradicts itself. */
export class TraceError extends Error {}

/** @typedef {{seq: number, step: number, t_us: number, events: any[][], line?: string}} Batch events are `[kind, field, ...]` */

const isInt = Number.isSafeInteger;
const isText = (value) => typeof value === "string";
const isKey = (key) => isInt(Number(key)) && String(Number(key)) === key;
const isObject = (value) => value instanceof Object && !Array.isArray(value);
const listOf = (is) => (value) => Array.isArray(value) && value.every(is);
const isInts = listOf(isInt);
const isTexts = listOf(isText);
const rowsOfTexts = listOf((value) => isTexts(value) && value.length === 2);
const rowsOf = (length) => listOf((value) => isInts(value) && value.length === length);

/** What a state counts. */
export const COUNTERS = SCHEMA.counters.join(" ");

const CHECKS = { int: isInt, text: isText, truth: (value) => typeof value === "boolean", ints: isInts, texts: isTexts, pairs: rowsOf(2), triples: rowsOf(3), params: (value) => value === null || rowsOfTexts(value) };

/** What a field of events, of states and of the header holds, by its name: those of one name hold the same. */
const TYPES = new Map(Object.entries({ model: "text", dtype: "text", device: "text", attention: "text", pagedviz: "text", status: "text", simulated: "truth", layers: "ints", holders: "pairs",
  ...SCHEMA.fields }).map(([name, type]) => [name, CHECKS[type]]));
const typeOf = (name) => TYPES.get(name) ?? isInt;

const brief = (value) => String(JSON.stringify(value)).slice(0, 40);

/** The value, or an error that says where it is not what it should be. */
function expect(is, value, path = "$") {
  if (!is(value, path)) throw new Error(`${path} cannot be ${brief(value)}`);
  return value;
}

/** An object with these fields; "?" stands behind those that may be missing. */
function recordOf(names, own = {}) {
  const fields = names.split(" ").map((word) => [word.replace("?", ""), word.endsWith("?")]);
  return (value, path) => {
    if (!isObject(value)) return false;
    for (const [name, optional] of fields) if (!optional || name in value) expect(own[name] ?? typeOf(name), value[name], `${path}.${name}`);
    return true;
  };
}

const mapOf = (is, isName = isText) => (value, path) => {
  if (!isObject(value)) return false;
  for (const name of Object.keys(value)) {
    expect(isName, name, path);
    expect(is, value[name], `${path}.${name}`);
  }
  return true;
};

const isTable = listOf((entry) => entry === null || Array.isArray(entry) && entry.length === 2 && isText(entry[0]) && isInt(entry[1]));
/** Facts of an engine that may be unknown: null, or not there at all, but for the model. */
const orUnknown = (names, own) => Object.fromEntries(names.split(" ").map((name) => [name, (value, path) => value === null || (own[name] ?? typeOf(name))(value, path)]));
const isWindow = (value) => value === null || isInt(value);
const FACTS = orUnknown("groups num_kv_heads head_dim dtype device simulated attention bytes_per_block pagedviz options model", {
  groups: listOf(recordOf("layers window?", { window: isWindow })), options: mapOf(isText),
});
const isBatch = recordOf("seq step t_us events", { events: Array.isArray });
const isHeader = recordOf("engine fields", {
  engine: recordOf(`block_size num_device_blocks num_host_blocks ${Object.keys(FACTS).join("? ")}`, FACTS),
  fields: mapOf(listOf(isText)),
});
const areStates = mapOf(recordOf("block_size num_blocks step? seq? t_us? requests? sequences? blocks? counters? scheduled? evicted?", {
  num_blocks: mapOf(isInt),
  requests: mapOf(recordOf("name sequences num_prompt max_tokens status? reason? preemptions?")),
  sequences: mapOf(recordOf("id request num_prompt tokens texts computed? status? tables?", { tokens: isInts, tables: mapOf(isTable, isKey) }), isKey),
  blocks: mapOf(mapOf(recordOf("group holders born copied_from? hash? cached? moved_from?"), isKey)),
  counters: recordOf(COUNTERS.replace(/\w+/g, "$&?")),
  evicted: mapOf(mapOf(recordOf("step policy why"), isKey)),
}));
const isKeyframe = (value, path) => areStates(value, path) && isObject(value.keyframe);

/**
 * How a kind of event is read. Events of a kind are copies of `blank`, so that an engine sees one shape of object and is quick.
 * @typedef {{names: string[], checks: ((value: any) => boolean)[], blank: object}} Shape
 */

/** @param {Record<string, string[]>} fields the header's: field names of every kind @returns {Map<string, Shape>} */
export function shapesOf(fields) {
  const shapeOf = ([kind, names]) => [kind, { names, checks: names.map(typeOf), blank: { kind, ...Object.fromEntries(names.map((name) => [name, null])) } }];
  return new Map(Object.entries(fields).map(shapeOf));
}

/**
 * An event by field names.
 * @param {any[]} event `[kind, field, ...]`
 * @param {Map<string, Shape>} shapes
 * @returns {{kind: string, [field: string]: any}}
 */
export function named(event, shapes) {
  const shape = Array.isArray(event) && shapes.get(event[0]);
  if (!shape) throw new TraceError(`unknown kind of event: ${brief(event)}`);
  const { names, checks, blank } = shape;
  const result = { ...blank };
  for (let i = 0; i < names.length; i++) {
    const value = event[i + 1];
    if (!checks[i](value)) throw new TraceError(`${event[0]} has a wrong ${names[i]}: ${brief(value)}`);
    result[names[i]] = value;
  }
  return result;
}

function checkHeader(record) {
  if (record?.format !== FORMAT) throw new TraceError("not a pagedviz trace: line 1 is no header");
  const { version } = record;
  if (!(isInt(version) && version >= 1 && version <= VERSION)) throw new TraceError(`the trace has version ${brief(version)}; this pagedviz reads 1 to ${VERSION}: update pagedviz`);
}

/** What JSON.parse takes and Python does not: a whole number with a point, half a character. Few lines have what looks like one, in texts. */
const SUSPECT = [".0", "\\ud", "\\uD"];
const isOdd = (line) => /\d[.eE]/.test(line.replace(/"[^"\\]*(\\.[^"\\]*)*"/g, (text) => (/\p{Cs}/u.test(JSON.parse(text)) ? "0." : "")));

/** Reads one trace: first its header and keyframe, then batches, for as long as bytes come. */
export class Decoder {
  constructor() {
    this.header = null;
    this.keyframe = null;
    /** @type {Map<string, Shape>} */
    this.shapes = new Map();
    /** What is wrong with the line after the last batch. @type {TraceError | null} */
    this.error = null;
    this.line = 1;
    this.rest = "";
    this.utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  }

  /**
   * @param {Uint8Array} bytes the next piece of the trace
   * @returns {Batch[]} the batches that it completes, up to the first damaged line; `error` says what is wrong with that
   */
  push(bytes) {
    const batches = [];
    try {
      let at = 0;
      for (let end; (end = bytes.indexOf(NEWLINE, at)) >= 0; at = end + 1) {
        // Line by line: bytes that are no text are an error of their line.
        const line = this.rest + this.utf8.decode(bytes.subarray(at, end));
        this.rest = "";
        this.#read(line, batches);
        this.line += 1;
      }
      this.rest += this.utf8.decode(bytes.subarray(at), { stream: true });
    } catch (error) {
      this.error = error instanceof TraceError ? error : new TraceError(`line ${this.line} is damaged: ${error.message}`);
    }
    return batches;
  }

  #read(line, batches) {
    const record = JSON.parse(line);
    if (SUSPECT.some((part) => line.includes(part)) && isOdd(line)) throw new Error("it has a number with a point, or half a character");
    if (!this.header) {
      checkHeader(record);
      this.header = expect(isHeader, record);
      this.shapes = shapesOf(record.fields);
    } else if (!this.keyframe) {
      this.keyframe = expect(isKeyframe, record).keyframe;
    } else {
      batches.push(expect(isBatch, record));
      record.line = line;
    }
  }
}
