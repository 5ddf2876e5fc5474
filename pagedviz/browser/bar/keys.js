/** The keyboard, for the dashboard as a whole; keys that a panel or a control takes for itself do not come here. */
import { h, pushButton } from "../kit/dom.js";
import { THEME } from "../words/theme.js";
import { say } from "../words/vocabulary.js";

const HELP = {
  "space": "pause or resume the engine; when looking back, play or stop",
  "← →": "one step back, one step forward",
  "Shift + ← →": "to the nearest event of the chosen kind",
  "Home, End": "first step, live",
  "1 – 6": "how blocks are coloured",
  "arrows in a map or list": "from block to block, from row to row; Enter pins, Escape lets go",
};

/** A control that has a use of its own for a key. */
const takes = (target, key, movesInTime) => {
  if (target.matches("input[type=range]") || (movesInTime && target.matches("select"))) return false;
  if (target.matches("input, select, textarea")) return true;
  return target.matches("button, [role=button], summary, a") && (key === " " || key === "Enter");
};

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} more keys of panels, and what they do there
 * @param {ReturnType<typeof import("./scrubber.js").createScrubber>} scrubber
 */
export function createKeys(root, store, scrubber, more) {
  const help = h("div", { class: "pv-help", role: "dialog", "aria-label": "Keys", tabindex: "-1", hidden: true, "data-testid": "help" },
    h("dl", {}, ...Object.entries({ ...HELP, ...more, "?": "this help" }).flatMap(([keys, text]) => [h("dt", {}, keys), h("dd", {}, say(text))])));
  const button = pushButton({ title: "Keys (?)", "aria-label": "Help: keys", "aria-expanded": "false", "data-testid": "help-button", onclick: () => toggleHelp() }, "?");
  function toggleHelp(isOn = help.hidden) {
    help.hidden = !isOn;
    button.setAttribute("aria-expanded", String(isOn));
    (isOn ? help : button).focus();
  }

  function space() {
    const { status } = store.feed;
    if (!store.isLive || !status?.live) return scrubber.play();
    if (status.state === "running") store.feed.command("pause");
    else if (["paused", "ready"].includes(status.state)) store.feed.command("resume");
    else scrubber.play();
  }
  const modes = Object.keys(THEME.modes);
  const ACTIONS = {
    " ": space, ArrowLeft: scrubber.back, ArrowRight: scrubber.forward, Home: scrubber.first, End: scrubber.last, "?": () => toggleHelp(),
    Escape: () => (help.hidden ? store.pin(null) : toggleHelp(false)),
    "Shift+ArrowLeft": () => scrubber.jump(-1), "Shift+ArrowRight": () => scrubber.jump(1),
    ...Object.fromEntries(modes.map((mode, i) => [String(i + 1), () => store.setMode(mode)])),
  };
  root.addEventListener("keydown", (event) => {
    // Keys pressed in here are ours: JupyterLab must not take them for its commands.
    event.stopPropagation();
    const { key, target } = event;
    const movesInTime = event.shiftKey && key.startsWith("Arrow");
    if (event.ctrlKey || event.metaKey || event.altKey || takes(target, key, movesInTime)) return;
    const action = ACTIONS[movesInTime ? `Shift+${key}` : key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  return { help, button };
}
