/** The dashboard: puts bar and panels together, and builds them anew when the words change (OS words). */
import { createBreaks } from "./bar/breaks.js";
import { createCaption } from "./bar/caption.js";
import { createControls } from "./bar/controls.js";
import { createCounters } from "./bar/counters.js";
import { Tooltip, attr, h, toggle, focusedIn, viewFor } from "./kit/dom.js";
import { drawInFrames } from "./live/frames.js";
import { createKeys } from "./bar/keys.js";
import { createPredict } from "./bar/predict.js";
import { createScrubber } from "./bar/scrubber.js";
import { Store } from "./live/store.js";
// Made by `manifest.py` of the folders in `panels/`; there is no such file.
import { PANELS } from "./panels.js";
import { THEME } from "./words/theme.js";
import { isOs, say, speak } from "./words/vocabulary.js";

/** The attributes that tests and styles read. */
function markRoot(root, store) {
  const { feed, state } = store;
  attr(root, "data-step", state ? state.step : null);
  attr(root, "data-next-seq", state ? state.seq : null);
  attr(root, "data-at", store.isLive ? "live" : store.at);
  attr(root, "data-state", feed.status?.state);
  attr(root, "data-frozen", feed.frozen ? "" : null);
}

/** What a person set in the panels: elements that come in the same order whenever they are built. */
const settingsIn = (root) => [...root.querySelectorAll(".pv-panel :is(select, input, .pv-toggle), .pv-switches .pv-toggle, .pv-scrubber select, .pv-look")];

/** Set in a newly built dashboard what was set in the one before. */
function restore(root, before) {
  settingsIn(root).forEach((element, i) => {
    const was = before[i] ?? element;
    if (element.matches("button")) {
      if (element.getAttribute("aria-pressed") !== was.getAttribute("aria-pressed")) element.click();
    } else if (element.value !== was.value) {
      element.value = was.value;
      element.dispatchEvent(new Event(element.matches("input") ? "input" : "change"));
    }
  });
}

/** name -> what the header calls it. Where a look sets no colours, the host's count. */
const LOOKS = { auto: "as the page", light: "light", dark: "dark", projector: "projector" };

/** Told to the page when its words change: other dashboards in it follow. */
const CHANGED_WORDS = "pagedviz-words";

/**
 * Build a dashboard inside an element.
 * @param {HTMLElement} element
 * @param {{send: (message: object) => void, onMessage: (callback: Function) => () => void}} port
 * @param {{panels?: string[]}} options `panels`: only these, without the rest of the dashboard but time travel
 * @returns {() => void} takes it away again
 */
export function mount(element, port, { panels: wanted = [] } = {}) {
  const store = new Store(port);
  const predict = createPredict(store);
  let view = createView(store, predict, wanted);
  element.append(view.root);
  const onWords = ({ detail }) => {
    speak(detail);
    const { root, end } = view;
    const hadFocus = root.contains(focusedIn(root));
    view = createView(store, predict, wanted);
    end();
    root.replaceWith(view.root);
    view.paint();
    restore(view.root, settingsIn(root));
    if (hadFocus) view.root.querySelector("[data-testid=os-words]").focus({ preventScroll: true });
  };
  document.addEventListener(CHANGED_WORDS, onWords);
  return () => {
    document.removeEventListener(CHANGED_WORDS, onWords);
    view.end();
    view.root.remove();
    store.feed.end();
  };
}

/** Where an operating system and we differ. */
const analogy = () => h("details", { class: "pv-analogy", "data-testid": "analogy" },
  h("summary", {}, "Where the analogy breaks"), h("ul", {}, ...THEME.os.notes.map((note) => h("li", {}, note))));

/** All that a person sees, in the words of the moment. */
function createView(store, predict, wanted) {
  const root = h("div", { class: "pagedviz", "data-testid": "pagedviz", "data-lm-suppress-shortcuts": "true", tabindex: "-1" });
  const tooltip = new Tooltip(root);
  const controls = createControls(store);
  const caption = createCaption(store, controls.status);
  const counters = createCounters();
  const scrubber = createScrubber(store, predict);
  const breaks = createBreaks(store);
  const shown = wanted.length ? wanted : Object.keys(PANELS);
  const keys = createKeys(root, store, scrubber, Object.assign({}, ...shown.map((name) => PANELS[name].keys)));
  const words = toggle("OS words", isOs(), (isOn) => document.dispatchEvent(new CustomEvent(CHANGED_WORDS, { detail: isOn })), {
    class: "pv-toggle pv-mode", "data-testid": "os-words", title: "Say everything in the words of operating systems",
  });
  const look = h("select", { class: "pv-select pv-look", "data-testid": "look", onchange: () => {
    attr(root, "data-look", look.value);
    frames.onTheme();
  } }, ...Object.entries(LOOKS).map(([value, text]) => h("option", { value }, text)));
  controls.root.append(breaks.root, words, h("label", { class: "pv-tool" }, "look", look), keys.button);
  const panels = shown.map((name) => {
    const { create, label, isText, isHidden = false } = PANELS[name];
    const view = viewFor(name, say(label), isText);
    view.root.hidden = isHidden && !wanted.length;
    return { name, title: view.title, root: view.root, ...create(view, store, tooltip) };
  });
  const switches = panels.map(({ name, title, root: panelRoot }) =>
    toggle(title, !panelRoot.hidden, (isOn) => {
      panelRoot.hidden = !isOn;
      store.touch();
    }, { "data-panel": name }));
  const grid = h("div", { class: "pv-grid" }, ...panels.map((panel) => panel.root));
  const footer = h("footer", { class: "pv-switches", role: "group", "aria-label": "Panels shown" }, "panels", ...switches);
  attr(root, "data-single", wanted.length ? "" : null);
  for (const part of [counters.root, footer]) part.hidden = wanted.length > 0;
  root.append(controls.root, keys.help, scrubber.root, predict.root, caption.root, ...(isOs() ? [analogy()] : []), counters.root, grid, footer);

  const frames = drawInFrames(root, store, panels, {
    drawAlways(scene) {
      markRoot(root, store);
      controls.draw(scene);
      scrubber.draw(scene);
      breaks.draw();
      if (scene.state) predict.draw();
    },
    drawSeen(scene) {
      caption.draw(scene);
      counters.draw(scene);
    },
  });
  let known = "";
  const unsubscribe = store.subscribe(() => {
    if (store.isLive) markRoot(root, store);
    // What a person did, and the answer to it, is shown in the next frame; only events of the run that goes on may wait.
    const { pending, busy, error, status } = store.feed;
    const now = JSON.stringify([store.cursorVersion, pending, busy, error, { ...status, step: 0 }]);
    if (store.isTouched || now !== known) frames.schedule();
    else frames.scheduleNews();
    known = now;
  });
  const end = () => {
    frames.end();
    scrubber.end();
    unsubscribe();
  };
  return { root, paint: frames.paint, end };
}
