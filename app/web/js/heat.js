/** The text shaded by probability: what is drawn as one piece, its colour, and which pieces are flagged. */

import { indexCodePoints } from "./codepoints.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

/** Steps of the colour ramp in the style sheet, beside "no colour". */
export const HEAT_STEPS = 8;
/** A block ends at the first line break after this many pieces; blocks out of view cost the browser nothing. */
const BLOCK = 400;

/**
 * @typedef {object} Piece
 * @property {number} start code point, inclusive
 * @property {number} end code point, exclusive
 * @property {number} score probability of being replaced
 * @property {boolean} judged false where nothing is flagged at any threshold: outside the vocabulary, or left out on request
 * @property {boolean} unknown outside the vocabulary
 */

/**
 * Tokens as pieces to draw. Tokens that share a code point (the parts of one Hangul syllable, say) cannot be drawn
 * apart and become one piece with the highest score that counts.
 *
 * @param {object[]} tokens of one answer
 * @returns {Piece[]} in reading order, not overlapping
 */
export function heatPieces(tokens) {
  const pieces = [];
  for (const token of [...tokens].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const judged = !token.unknown && !token.ignored;
    const piece = { start: token.start, end: token.end, score: token.score, judged, unknown: token.unknown };
    const last = pieces.at(-1);
    if (last && piece.start < last.end) pieces[pieces.length - 1] = together(last, piece);
    else pieces.push(piece);
  }
  return pieces;
}

function together(first, second) {
  const counted = [first, second].filter((piece) => piece.judged);
  return {
    start: first.start,
    end: Math.max(first.end, second.end),
    score: Math.max(...(counted.length ? counted : [first, second]).map((piece) => piece.score)),
    judged: first.judged || second.judged,
    unknown: first.unknown && second.unknown,
  };
}

/** Whether `piece` is flagged at `threshold`. */
export function isFlagged(piece, threshold) {
  return piece.judged && piece.score >= threshold;
}

/** Step of the colour ramp for a probability: 0 (no colour) to `HEAT_STEPS`. */
export function heatStep(score) {
  return Math.min(Math.max(Math.ceil(score * (HEAT_STEPS + 1)) - 1, 0), HEAT_STEPS);
}

/**
 * `text` as blocks of elements: every piece a span of class `token` with its number in `data-piece`, what lies between
 * as plain text.
 */
export function heatBlocks(text, pieces) {
  const points = indexCodePoints(text);
  const blocks = [[]];
  pieces.forEach((piece, index) => {
    blocks.at(-1).push(pieceView(piece, index, points.slice(piece.start, piece.end)));
    const gap = points.slice(piece.end, pieces[index + 1]?.start);
    const lineBreak = blocks.at(-1).length > BLOCK ? gap.indexOf("\n") : -1;
    if (lineBreak < 0) {
      blocks.at(-1).push(gap);
    } else {
      // The block's own end stands for the line break.
      blocks.at(-1).push(gap.slice(0, lineBreak));
      blocks.push([gap.slice(lineBreak + 1)]);
    }
  });
  blocks[0].unshift(points.slice(0, pieces[0]?.start));
  return blocks.map((nodes) => element("div", { class: "heat-block" }, nodes));
}

function pieceView(piece, index, text) {
  const heat = piece.judged ? heatStep(piece.score) : 0;
  const data = { piece: String(index), heat: String(heat) };
  return element("span", { class: piece.unknown ? "token unknown" : "token", data }, text);
}

/**
 * Flag the pieces in `box` for `threshold` without drawing anything anew.
 *
 * @returns {number} how many places are flagged: touching pieces are one place
 */
export function markFlagged(box, pieces, threshold) {
  let count = 0;
  let placeEnd = -1;
  for (const node of box.querySelectorAll("[data-piece]")) {
    const piece = pieces[Number(node.dataset.piece)];
    const flagged = isFlagged(piece, threshold);
    if (flagged) {
      if (piece.start !== placeEnd) count += 1;
      placeEnd = piece.end;
    }
    if (node.classList.contains("flagged") === flagged) continue;
    node.classList.toggle("flagged", flagged);
    if (flagged) {
      const label = t("detect.token.flagged", { word: node.textContent, score: piece.score.toFixed(2) });
      node.setAttribute("role", "button");
      node.setAttribute("aria-haspopup", "dialog");
      node.setAttribute("aria-label", label);
    } else {
      for (const name of ["role", "aria-haspopup", "aria-label"]) node.removeAttribute(name);
    }
  }
  return count;
}
