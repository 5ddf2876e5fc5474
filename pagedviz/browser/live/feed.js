/**
 * The wire's rules (`docs/live-protocol.md`): greets Python, finds gaps, heals them by a snapshot, and holds messages back while
 * the view is frozen. What the bytes mean it leaves to the run that it is given.
 */
import { Run } from "../run/run.js";

/** Milliseconds until an unanswered command says that the kernel is busy. */
const BUSY_AFTER = 500;
/** Milliseconds until an unanswered pause, resume or stop is sent again. */
const COMMAND_AGAIN_AFTER = 2500;
/** Milliseconds until an unanswered hello is said again, doubled each time: after a page reload JupyterLab may lose messages. */
const ASK_AGAIN_AFTER = 1000;
const ASK_AGAIN_AT_MOST_AFTER = 8000;
/** Milliseconds for which a view stands still before it says where. */
const LOOK_AFTER = 300;

const bytesOf = (buffer) => new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength);

/** @typedef {{state: string, step: number, message: string, live: boolean, commands: number}} Status */

export class Feed {
  /**
   * @param {{send: (message: object) => void, onMessage: (callback: Function) => () => void, onGone?: (callback: () => void) => void}} port
   * @param {() => void} onChange called after every change of `run`, `status`, `pending`, `busy` or `error`
   */
  constructor(port, onChange) {
    this.port = port;
    this.onChange = onChange;
    this.view = Math.random().toString(36).slice(2);
    /** @type {Run | null} */
    this.run = null;
    /** @type {Status | null} */
    this.status = null;
    /** @type {{cmd: string, commands: number} | null} a command that Python has not answered */
    this.pending = null;
    this.busy = false;
    this.error = "";
    this.nextSeq = 0;
    /** Messages that wait for the answer to Pause. @type {[object, DataView[]][]} */
    this.held = [];
    this.close = port.onMessage((message, buffers) => this.#receive(message, buffers ?? []));
    port.onGone?.(() => this.#gone());
    this.#hello();
  }

  get frozen() {
    return this.pending?.cmd === "pause";
  }

  /** Send pause, step, resume or stop, and await the answer. */
  command(cmd) {
    this.pending = { cmd, commands: this.status?.commands ?? 0 };
    this.busy = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.busy = true;
      this.#repeat(cmd);
      this.onChange();
    }, BUSY_AFTER);
    if (cmd !== "pause") this.#release();
    this.port.send({ cmd });
    this.onChange();
  }

  /** Send a message whose answer shows in the status. */
  send(message) {
    this.port.send(message);
  }

  /** Say which step is looked at (null: the latest), once a person has stood there for a moment. */
  look(step) {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.isGone || this.port.send({ cmd: "look", step }), LOOK_AFTER);
    this.looking.unref?.();
  }

  end() {
    clearTimeout(this.timer);
    clearTimeout(this.asking);
    clearTimeout(this.looking);
    this.close?.();
  }

  /** Repeat a command until it is answered, if doing it twice is the same as once: JupyterLab may lose it, as it may lose a hello. */
  #repeat(cmd) {
    if (cmd === "step") return;
    this.timer = setTimeout(() => {
      this.port.send({ cmd });
      this.#repeat(cmd);
    }, COMMAND_AGAIN_AFTER);
    this.timer.unref?.();
  }

  #hello(patience = ASK_AGAIN_AFTER) {
    this.waiting = true;
    this.held = [];
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.#hello(Math.min(2 * patience, ASK_AGAIN_AT_MOST_AFTER)), patience);
    this.asking.unref?.(); // node would wait for it
    this.port.send({ cmd: "hello", view: this.view });
  }

  #receive(message, buffers) {
    if (message?.type === "snapshot" && message.view === this.view) {
      this.waiting = false;
      clearTimeout(this.asking);
      this.held = [];
    } else if (message?.type !== "batch" || this.#isUseless(message)) return;
    this.nextSeq = message.next_seq;
    this.held.push([message, buffers]);
    if (this.#isAnswer(message.status)) this.#answered();
    if (!this.frozen) this.#release();
    this.onChange();
  }

  /** Whether a batch brings nothing: it is old, or events before it are missing. */
  #isUseless(message) {
    if (this.waiting) return true;
    if (message.seq === this.nextSeq) return false;
    if (message.next_seq > this.nextSeq) this.#hello();
    return true;
  }

  #isAnswer(status) {
    if (!this.pending || !status) return false;
    const isTaken = status.commands === undefined || status.commands > this.pending.commands;
    if (this.frozen) return status.state !== "running" && status.state !== "ready" && (isTaken || status.state !== "paused");
    return isTaken;
  }

  /** There is no kernel any more: what was seen of the run stays, and can be moved around in. */
  #gone() {
    this.isGone = true;
    this.#answered();
    clearTimeout(this.asking);
    this.#release();
    this.status = { ...this.status, live: false, message: "the kernel has gone; what was seen of the run stays" };
    this.onChange();
  }

  #answered() {
    clearTimeout(this.timer);
    this.pending = null;
    this.busy = false;
  }

  #release() {
    const held = this.held;
    this.held = [];
    for (const [message, buffers] of held) this.#take(message, buffers);
  }

  #take(message, buffers) {
    this.status = message.status ?? this.status;
    if (message.type === "snapshot") {
      this.run = new Run();
      this.error = "";
    }
    if (this.error) return;
    try {
      for (const buffer of buffers) this.run.push(bytesOf(buffer));
    } catch (error) {
      this.error = error.message;
    }
  }
}
