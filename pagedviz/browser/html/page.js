/**
 * The page that `trace.to_html` writes: a port for the trace that is in it, or for a file that somebody drops or chooses. The bundle stands
 * in front of this text in one script (`browser/page.py`), so that the page's policy can name it by its hash. What is drawn it leaves to
 * the dashboard.
 */
import { Run, TraceError, modelName, mount } from "../index.js";

/** To how many bytes a gzipped file may grow: as much as `trace/file.py` allows. */
const MAX_UNPACKED = 2 ** 28;
const MAX_GROWTH = 100;
const PACKED_PIECE = 2 ** 16;
const PIECE = 2 ** 23;
const NEWLINE = 10;

/** @typedef {{pieces: DataView[], title: string, problem: string}} Recorded */

/** Collects bytes into pieces of whole lines, some megabytes each; only the last may end in the middle of a line. */
class Lines {
  constructor() {
    /** @type {Uint8Array[]} */
    this.pieces = [];
    /** @type {Uint8Array[]} */
    this.parts = [];
    this.size = 0;
  }

  add(bytes) {
    const end = this.size + bytes.length < PIECE ? 0 : bytes.lastIndexOf(NEWLINE) + 1;
    if (end) {
      this.#keep(bytes.subarray(0, end));
      this.#cut();
    }
    this.#keep(bytes.subarray(end));
  }

  #keep(part) {
    this.parts.push(part);
    this.size += part.length;
  }

  #cut() {
    const piece = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.parts) {
      piece.set(part, at);
      at += part.length;
    }
    this.pieces.push(piece);
    this.parts = [];
    this.size = 0;
  }

  end() {
    if (this.size) this.#cut();
    return this.pieces;
  }
}

/** Unpack gzip into `lines`. @returns {Promise<string>} what is wrong with the gzip stream; what was before that is in `lines` */
async function unpack(packed, lines) {
  const limit = Math.max(MAX_UNPACKED, MAX_GROWTH * packed.length);
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  const write = async () => {
    for (let at = 0; at < packed.length; at += PACKED_PIECE) await writer.write(packed.subarray(at, at + PACKED_PIECE));
    // An error throws away what was not read yet. This write waits until all was: then a cut-off stream may fail.
    await writer.write(new Uint8Array(0));
    await writer.close();
  };
  const written = write().catch(() => {}); // the reader hears of it
  const reader = readable.getReader();
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "";
      size += value.length;
      if (size > limit) break;
      lines.add(value);
    }
  } catch {
    return "the gzip stream is damaged or cut off";
  }
  await Promise.allSettled([reader.cancel(), written]);
  throw new TraceError(`it is gzip of ${packed.length.toLocaleString("en")} bytes that grow to more than ${limit.toLocaleString("en")}: no trace does that`);
}

/** Header and state of the start, or TraceError: what has none is no trace. Damage behind them is the dashboard's to show. */
function headOf(piece) {
  const run = new Run();
  const end = piece.indexOf(NEWLINE, piece.indexOf(NEWLINE) + 1) + 1;
  try {
    run.push(piece.subarray(0, end || piece.length));
  } catch (error) {
    throw run.header || /version|not a pagedviz/.test(error.message) ? error : new TraceError(`not a pagedviz trace: ${error.message}`);
  }
  if (!run.header) throw new TraceError("not a pagedviz trace: line 1 is no header");
  if (!run.state) throw new TraceError("the trace is cut off before its first state");
  return run.header;
}

/** @param {Uint8Array} bytes a trace file, gzipped or not @returns {Promise<Recorded>} */
async function read(bytes) {
  const lines = new Lines();
  let problem = "";
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) problem = await unpack(bytes, lines);
  else lines.add(bytes);
  const pieces = lines.end();
  if (!pieces.length) throw new TraceError(problem || "the file is empty");
  const { engine } = headOf(pieces[0]);
  if (pieces.at(-1).at(-1) !== NEWLINE) problem ||= "the trace is cut off in its last line";
  return {
    pieces: pieces.map((piece) => new DataView(piece.buffer, piece.byteOffset, piece.byteLength)),
    title: `${modelName(engine).slice(0, 80)} · pagedviz`,
    problem,
  };
}

/** A run that is over, as a port (`docs/live-protocol.md`). @param {Recorded} recorded */
function portFor({ pieces, problem }) {
  const listeners = new Set();
  let commands = 0;
  return {
    send({ cmd, view }) {
      if (cmd === "look") return; // nobody keeps a picture
      const isHello = cmd === "hello";
      commands += isHello ? 0 : 1;
      const status = { state: "finished", message: problem, live: false, commands };
      // One message brings all there is: no number in the others can be wrong.
      const message = { type: isHello ? "snapshot" : "batch", view, seq: 0, next_seq: 0, status };
      queueMicrotask(() => listeners.forEach((listener) => listener(message, isHello ? pieces : [])));
    },
    onMessage(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const place = document.getElementById("run");
const messageLine = document.getElementById("message");
const fileInput = document.getElementById("file");
let unmountRun = () => {};
let asked = 0;

function say(text, isWrong = false) {
  messageLine.textContent = text;
  messageLine.toggleAttribute("data-wrong", isWrong);
}

/** Show a run; if it cannot be read, say why and leave the one that is shown. */
async function show(bytesOfRun, name, message = "") {
  asked += 1;
  const mine = asked;
  say(name && `Reading ${name} …`);
  try {
    const recorded = await read(await bytesOfRun());
    if (mine !== asked) return; // another file was chosen meanwhile
    recorded.problem ||= message;
    unmountRun();
    unmountRun = mount(place, portFor(recorded));
    if (name) document.title = recorded.title;
    say(name && `This is ${name}.`);
  } catch (error) {
    if (mine === asked) say(`${name || "This page"} cannot be shown: ${error.message}`, true);
  }
}

const showFile = (file) => file && show(async () => new Uint8Array(await file.arrayBuffer()), file.name);
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const markOver = (isOver) => document.body.toggleAttribute("data-over", isOver);

// Keys that are pressed where nothing has the focus are the dashboard's.
addEventListener("keydown", (event) => {
  if (event.target === document.body && place.firstChild?.dispatchEvent(new KeyboardEvent("keydown", event)) === false) event.preventDefault();
});
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault(); // the browser would leave the page
  event.dataTransfer.dropEffect = "copy";
  markOver(true);
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) markOver(false);
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  markOver(false);
  showFile(event.dataTransfer.files[0]);
});
fileInput.addEventListener("change", () => {
  showFile(fileInput.files[0]);
  fileInput.value = ""; // the same file may be chosen again
});

/** The bytes that base64 stands for. */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i); // Uint8Array.from takes twenty times as long
  return bytes;
}

const embedded = document.getElementById("trace");
show(() => fromBase64(embedded.textContent), "", embedded.dataset.message);
