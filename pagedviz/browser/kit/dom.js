/** Small tools for the page: elements, a panel's frame, legends, the tooltip, canvases, colours. No HTML is ever parsed. */
import { THEME } from "../words/theme.js";
import { letterOf } from "../words/describe.js";

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes `on…` are listeners; null and false leave the attribute out
 * @param {...(Node | string)} children strings become text
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) listen(element, { [name]: value });
    else if (name.startsWith("aria-") || (value !== null && value !== false)) element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
  element.append(...children);
  return element;
}

export const pushButton = (attributes, ...children) => h("button", { type: "button", class: "pv-button", ...attributes }, ...children);

/** @param {Record<string, (event: Event) => void>} listeners by `on…` */
export function listen(element, listeners) {
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name.slice(2), listener);
}

/** Set text only when it differs, so that nothing is laid out anew in vain. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function attr(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * The frame that a panel fills. A body of nothing but text can be scrolled with the keyboard.
 * @typedef {{root: HTMLElement, head: HTMLElement, legend: HTMLElement, body: HTMLElement, note: HTMLElement, title: string}} View
 * @returns {View}
 */
export function viewFor(name, title, isText) {
  const kind = name.replaceAll("_", "-");
  const note = h("span", { class: "pv-note" });
  const head = h("header", { class: "pv-panel-head" }, h("h3", {}, title), note);
  const legend = h("div", { class: "pv-legend" });
  const body = h("div", { class: "pv-body", ...(isText ? { tabindex: "0", role: "group", "aria-label": title } : {}) });
  const root = h("section", { class: `pv-panel pv-${kind}`, "data-testid": kind, "aria-label": title }, head, body, legend);
  return { root, head, legend, body, note, title };
}

/** One line of a legend: a swatch (a class of the stylesheet, a colour or both) and its word. */
export function legendItem(text, { swatch = "", colour = "" } = {}) {
  const mark = h("i", { class: `pv-swatch ${swatch}`, "aria-hidden": "true" });
  if (colour) mark.style.setProperty("--pv-swatch", colour);
  return h("span", { class: "pv-legend-item" }, mark, text);
}

/** Replace a legend's items, unless `key` says that it shows them already. */
export function setLegend(legend, key, makeItems) {
  if (legend.dataset.key === key) return;
  legend.dataset.key = key;
  legend.replaceChildren(...makeItems());
}

export const ownerColour = (sequence) => THEME.owners[sequence % THEME.owners.length];

/** A sequence's letter on its colour. */
export function badge(sequence) {
  const mark = h("b", { class: "pv-badge" }, letterOf(sequence));
  const colour = ownerColour(sequence);
  mark.style.setProperty("--pv-owner", colour);
  mark.style.setProperty("--pv-on-owner", isDark(parseHex(colour)) ? "#fff" : "#111");
  const round = Math.floor(sequence / THEME.owners.length);
  attr(mark, "data-hatch", round ? ((round - 1) % 3) + 1 : null);
  return mark;
}

/** @typedef {[number, number, number]} Colour red, green, blue, 0 to 255 */

/** @returns {Colour} */
export const parseHex = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Whether white text reads better on it than black text (relative luminance, WCAG). */
export function isDark([r, g, b]) {
  const linear = (value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) < 0.179;
}

/** @returns {Colour} `share` of `b` mixed into `a` */
export const mix = (a, b, share) => a.map((value, i) => Math.round(value + (b[i] - value) * share));

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** Where `share` (0 to 1) stands on a scale of hex colours. @returns {Colour} */
export function onScale(scale, share) {
  const at = Math.min(1, Math.max(0, share)) * (scale.length - 1);
  const low = Math.min(scale.length - 2, Math.floor(at));
  return mix(parseHex(scale[low]), parseHex(scale[low + 1]), at - low);
}

/** The page's own colours, read from the stylesheet's variables, and how large its type is; canvases need them as numbers. */
export function readPalette(root) {
  const probe = h("span", { hidden: true });
  probe.style.forcedColorAdjust = "none";
  const context = h("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  root.append(probe);
  const read = (name) => {
    probe.style.color = `var(${name})`;
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const palette = { ground: read("--pv-ground"), text: read("--pv-text"), soft: read("--pv-soft"), line: read("--pv-line"), cell: read("--pv-cell"), type: parseFloat(getComputedStyle(root).fontSize) / 13 };
  probe.remove();
  return palette;
}

/** What has the keyboard, also where a host keeps widgets in a shadow tree, as marimo does. */
export const focusedIn = (element) => element.getRootNode().activeElement;

/** One tooltip for the whole dashboard. */
export class Tooltip {
  constructor(root) {
    this.root = root;
    this.element = h("div", { class: "pv-tooltip", role: "tooltip", hidden: true });
    /** What showed it, "pointer" or "keys". When the page scrolls under a pointer that rests, only what the pointer showed is hidden. */
    this.by = "";
    root.append(this.element);
  }

  /** Show text beside a point of the window. */
  show(text, x, y, by = "pointer") {
    this.by = by;
    if (!text) return this.hide();
    setText(this.element, text);
    this.element.hidden = false;
    const frame = this.root.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = x - frame.left + 14 + width > frame.width ? x - frame.left - width - 10 : x - frame.left + 14;
    const top = y - frame.top + 16 + height > frame.height ? y - frame.top - height - 10 : y - frame.top + 16;
    this.element.style.transform = `translate(${Math.max(2, left)}px, ${Math.max(2, top)}px)`;
  }

  hide() {
    this.element.hidden = true;
  }
}

/** Give a canvas its size in CSS pixels; returns what draws on it in them. */
export function fit(canvas, width, height, ratio) {
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

/** A button that is on or off. */
export function toggle(text, isOn, onChange, attributes = {}) {
  const button = h("button", { type: "button", class: "pv-toggle", "aria-pressed": isOn, ...attributes }, text);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", now);
    onChange(now);
  });
  return button;
}
