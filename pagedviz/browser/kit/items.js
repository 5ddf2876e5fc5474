/** Rows and items of a panel: kept in order, drawn where they are seen first, pointed at with mouse and keyboard. */
import { attr, listen } from "./dom.js";

/** Keep one child for each key, in their order: what is new is made, what is gone is taken away. */
export function arrange(container, byKey, keys, create) {
  const wanted = new Set(keys);
  for (const [key, { root }] of byKey) {
    if (wanted.has(key)) continue;
    root.remove();
    byKey.delete(key);
  }
  keys.forEach((key, at) => {
    if (!byKey.has(key)) byKey.set(key, create(key, at));
    const { root } = byKey.get(key);
    if (container.children[at] !== root) container.insertBefore(root, container.children[at] ?? null);
  });
}

/** Rows of items in a body that scrolls: those that can be seen are drawn first, the others when there is time. */
export class Rows {
  constructor(body, container, selector) {
    Object.assign(this, { body, container, selector, first: 0, last: 0 });
  }

  /** Look which of them can be seen; a few more may come into sight. */
  measure() {
    const { top, bottom } = this.body.getBoundingClientRect();
    const boxes = [...this.container.children].map((child) => child.getBoundingClientRect());
    const [first, after] = [boxes.findIndex((box) => box.bottom > top), boxes.findIndex((box) => box.top > bottom)];
    this.first = Math.max(0, first);
    this.last = (after < 0 ? boxes.length : after) + 3;
  }

  /** All rows are to be drawn, by this function of their number: those in sight at once. */
  draw(count, drawRow) {
    const rows = [...Array(count).keys()];
    const isSeen = (row) => row >= this.first && row <= this.last;
    this.drawRow = drawRow;
    this.due = rows.filter(isSeen);
    this.fill();
    this.due = rows.filter((row) => !isSeen(row));
  }

  /** Draw those that are left. */
  fill() {
    this.due.splice(0).forEach(this.drawRow);
    keepReachable(this.container, this.selector);
  }
}

/** Make sure that one of the items can be reached with Tab. */
export function keepReachable(container, selector) {
  if (!container.querySelector(`${selector}[tabindex="0"]`)) container.querySelector(selector)?.setAttribute("tabindex", "0");
}

const MOVES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "down", ArrowUp: "up", Home: "first", End: "last" };

/** Step from one rectangle's element to the nearest one in the row above or below. */
function neighbour(items, current, direction) {
  const from = current.getBoundingClientRect();
  const rows = items.map((item) => [item, item.getBoundingClientRect()]);
  const beyond = rows.filter(([, box]) => (direction === "down" ? box.top >= from.bottom - 2 : box.bottom <= from.top + 2));
  const distance = ([, box]) => Math.abs(box.top - from.top) * 1000 + Math.abs(box.left - from.left);
  return beyond.sort((a, b) => distance(a) - distance(b))[0]?.[0] ?? current;
}

/** Where an arrow key leads from one item. */
function moved(items, current, move) {
  if (move === "first") return items[0];
  if (move === "last") return items[items.length - 1];
  return typeof move === "string" ? neighbour(items, current, move) : items[items.indexOf(current) + move];
}

/**
 * Let mouse and keyboard point at a container's items: hover or focus lights up what belongs together, click, Enter and Space pin it,
 * Escape lets go, arrow keys move. Only one item is reached with Tab.
 * @param {{cursorOf: (item: HTMLElement) => object, textOf: (item: HTMLElement) => string, open?: (item: HTMLElement) => void}} meaning
 *   without text there is no tooltip; `open` is called with every click and Enter
 */
export function pointing(container, selector, store, tooltip, { cursorOf, textOf, open = () => {} }) {
  const itemOf = (event) => event.target.closest(selector);
  const leave = () => {
    store.hover(null);
    tooltip.hide();
  };
  const press = (item) => {
    store.pin(cursorOf(item));
    open(item);
  };
  listen(container, {
    onpointermove(event) {
      const item = itemOf(event);
      if (!item) return leave();
      store.hover(cursorOf(item));
      tooltip.show(textOf(item), event.clientX, event.clientY);
    },
    onpointerleave: () => tooltip.by === "pointer" && leave(),
    onfocusin({ target }) {
      const item = target.closest(selector);
      if (!item?.matches(":focus-visible")) return;
      const text = textOf(item);
      store.hover(cursorOf(item));
      if (text) attr(item, "aria-label", text);
      const { left, bottom } = item.getBoundingClientRect();
      tooltip.show(text, left, bottom - 12, "keys");
    },
    onfocusout: leave,
    onclick(event) {
      if (itemOf(event)) press(itemOf(event));
    },
    onkeydown(event) {
      const current = itemOf(event);
      if (!current || event.shiftKey) return;
      const move = MOVES[event.key];
      if (move !== undefined) {
        const next = moved([...container.querySelectorAll(selector)], current, move);
        if (next) {
          current.tabIndex = -1;
          next.tabIndex = 0;
          next.focus();
        }
      } else if (event.key === "Escape") store.pin(null);
      else if (event.key === "Enter" || event.key === " ") press(current);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
}
