/**
 * Text counted in Unicode code points.
 *
 * Every offset in the API is a code point, while JavaScript strings count UTF-16 units: "🍎" is one code point and two
 * units. All slicing of user text by an API offset goes through this module.
 */

/** Number of code points in `text`. */
export function countCodePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * Index `text` once, so that slicing by code points costs nothing afterwards.
 *
 * @returns {{length: number, slice: (start: number, end?: number) => string}} offsets are code points, half-open, and
 *   are clamped to the text.
 */
export function indexCodePoints(text) {
  const units = [];
  let unit = 0;
  for (const character of text) {
    units.push(unit);
    unit += character.length;
  }
  units.push(unit);
  const length = units.length - 1;
  const at = (offset) => units[Math.min(Math.max(offset, 0), length)];
  return { length, slice: (start, end = length) => text.slice(at(start), at(Math.max(start, end))) };
}

/** `text` with the code points `[start, end)` replaced. */
export function replaceCodePoints(text, start, end, replacement) {
  const points = indexCodePoints(text);
  return points.slice(0, start) + replacement + points.slice(end);
}

const HAN = /\p{Script=Han}/u;
const WORD = /[\p{L}\p{N}]+/gu;

/**
 * A rough guess of how many tokens a model will see: one per Han character, about four letters a token elsewhere.
 * Good enough to say "this will be read in about 3 windows" before anything is sent.
 */
export function estimateTokens(text) {
  let tokens = 0;
  for (const [word] of text.matchAll(WORD)) {
    let other = 0;
    for (const character of word) {
      if (HAN.test(character)) tokens += 1;
      else other += 1;
    }
    tokens += Math.ceil(other / 4);
  }
  for (const character of text) if (/[^\p{L}\p{N}\s]/u.test(character)) tokens += 1;
  return tokens;
}
