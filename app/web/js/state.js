/**
 * The state of the page as a link: `#detect?text=...&threshold=0.5`.
 *
 * What follows `#` never leaves the browser, so a link shares a text without the server's logs seeing it.
 */

import { countCodePoints } from "./codepoints.js";

/** Longest text that a link carries, in code points; browsers and messengers cut longer addresses. */
export const LINK_TEXT_LIMIT = 6000;

/** @returns {{tab: string, settings: Record<string, string>}|null} null when `hash` says nothing. */
export function parseHash(hash) {
  const [tab, query = ""] = splitOnce(hash.replace(/^#/, ""), "?");
  if (!/^[a-z]+$/.test(tab)) return null;
  return { tab, settings: Object.fromEntries(new URLSearchParams(query)) };
}

/** The opposite of `parseHash`. Empty settings are left out; a text over the limit is left out too. */
export function formatHash(tab, settings) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(settings)) {
    if (value === undefined || value === null || value === "") continue;
    if (key === "text" && countCodePoints(value) > LINK_TEXT_LIMIT) continue;
    query.set(key, value);
  }
  const text = query.toString();
  return text ? `#${tab}?${text}` : `#${tab}`;
}

/** Put the state into the address bar without adding to the history. */
export function writeHash(tab, settings) {
  try {
    history.replaceState(null, "", formatHash(tab, settings));
  } catch {
    // Browsers limit how often the address may change; the next change will be written again.
  }
}

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
