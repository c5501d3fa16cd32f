/**
 * The interface in Chinese and English.
 *
 * Static text carries `data-i18n="key"` (its text) or `data-i18n-<attribute>="key"` (an attribute, such as
 * `data-i18n-aria-label`). What JavaScript writes calls `t(key, values)` and is written again by `onLanguage` listeners.
 */

import { en } from "./messages-en.js";
import { zh } from "./messages-zh.js";
import { recall, remember } from "./storage.js";

const MESSAGES = { zh, en };
const HTML_LANGUAGE = { zh: "zh-CN", en: "en" };
const listeners = new Set();
let language = startLanguage();

function startLanguage() {
  const kept = recall("language");
  if (kept in MESSAGES) return kept;
  const preferred = navigator.languages?.length ? navigator.languages : [navigator.language ?? ""];
  const known = preferred.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in MESSAGES);
  return known ?? (preferred[0] ? "en" : "zh");
}

/** "zh" or "en". */
export function currentLanguage() {
  return language;
}

/** Change the interface's language and keep the choice. */
export function setLanguage(chosen) {
  language = chosen;
  remember("language", chosen);
  applyLanguage();
}

/** Call `listener` after every change of language. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** The message `key` with `{name}` places filled from `values`; numbers are written the language's way. */
export function t(key, values = {}) {
  const message = MESSAGES[language][key];
  if (message === undefined) throw new Error(`no message ${key} in ${language}`);
  return message.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? formatNumber(value) : String(value);
  });
}

/** `1234` -> `1,234`. */
export function formatNumber(value, digits = 0) {
  return new Intl.NumberFormat(HTML_LANGUAGE[language], { maximumFractionDigits: digits }).format(value);
}

/** A probability as `93.1%`; what is not quite 0 or 1 never reads as 0% or 100%. */
export function formatPercent(value) {
  if (value > 0 && value < 0.001) return "<0.1%";
  if (value < 1 && value > 0.999) return ">99.9%";
  const percent = new Intl.NumberFormat(HTML_LANGUAGE[language], { style: "percent", maximumFractionDigits: 1 });
  return percent.format(value);
}

/** Write every `data-i18n` text and attribute under `root` again, then call the listeners when it is the whole page. */
export function applyLanguage(root = document) {
  for (const node of root.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const node of root.querySelectorAll(`[data-i18n-${attribute}]`)) {
      node.setAttribute(attribute, t(node.getAttribute(`data-i18n-${attribute}`)));
    }
  }
  if (root !== document) return;
  document.documentElement.lang = HTML_LANGUAGE[language];
  document.title = t("page.title");
  for (const listener of listeners) listener(language);
}
