/**
 * The words of the moment: ours, or an operating system's, as theme.json pairs them. Templates are put into words before they are filled,
 * so what a model wrote or a person named is never changed.
 */
import { THEME } from "./theme.js";

const { words, sentences, labels: osLabels } = THEME.os;

/** How many templates are remembered. */
const MAX_SAID = 1000;

/** Whole words only; one that ends in a blank stands before what is filled in. */
const phrases = new RegExp(`(?<![\\w{-])(?:${Object.keys(words).sort((a, b) => b.length - a.length).map((word) => word.replace(/[()]/g, "\\$&") + (word.endsWith(" ") ? "(?=\\{)" : "(?!\\w)")).join("|")})`, "gi");
const inOs = (text) => text.replace(phrases, (found) => {
  const word = words[found.toLowerCase()];
  return found[0] === found[0].toLowerCase() ? word : word[0].toUpperCase() + word.slice(1);
});
const eachLabel = (labelsOf) => Object.fromEntries(Object.entries(labelsOf).map(([name, text]) => [name, osLabels[name] ?? (typeof text === "string" ? inOs(text) : eachLabel(text))]));

/** A preference of the page, as its language is: all dashboards in it speak alike. */
let said = null;
/** What things are called, in the words of the moment: always the same object. */
export const labels = { ...THEME.labels };

/** Whether an operating system's words are in use. */
export const isOs = () => said !== null;

/** Use an operating system's words, or ours. */
export function speak(os) {
  said = os ? new Map() : null;
  Object.assign(labels, os ? eachLabel(THEME.labels) : THEME.labels);
}

function worded(text) {
  if (!said) return text;
  if (said.size > MAX_SAID) said.clear();
  if (!said.has(text)) said.set(text, inOs(text));
  return said.get(text);
}

/** Put a text of ours into the words of the moment; as a template's tag, all but what is filled in. @returns {string} */
export function say(text, ...values) {
  if (typeof text === "string") return worded(text);
  return String.raw({ raw: worded(text.join("{}")).split("{}") }, ...values);
}

/** The template of a sentence. @returns {string | undefined} */
export const sentenceFor = (kind) => (said && sentences[kind]) || worded(THEME.sentences[kind] ?? "");
