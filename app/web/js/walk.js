/**
 * Walking through a marked text: the bubble on hover and focus, arrow keys from piece to piece.
 *
 * The whole text is one tab stop. Left and right move by piece, up and down between the pieces that matter, Home and
 * End to the ends, Enter or Space opens a piece.
 */

import { hideBubble, showBubble } from "./bubble.js";

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {string} options.piece selector of every piece
 * @param {string} options.important selector of the pieces that matter
 * @param {(piece: HTMLElement) => string} options.describe what the bubble says
 * @param {(piece: HTMLElement) => void} [options.open]
 * @returns {{reset: () => void}} `reset` puts the tab stop on the first piece that matters
 */
export function createWalk(container, { piece, important, describe, open = () => {} }) {
  let stop = null;

  function moveStop(target) {
    if (stop === target) return;
    if (stop) stop.tabIndex = -1;
    stop = target;
    if (stop) stop.tabIndex = 0;
  }

  function reset() {
    if (container.contains(document.activeElement)) return;
    moveStop(container.querySelector(important) ?? container.querySelector(piece));
  }

  const pieceOf = (event) => event.target.closest?.(piece);

  container.addEventListener("pointerover", (event) => {
    const target = pieceOf(event);
    if (target) showBubble(target, describe(target));
    else hideBubble();
  });
  container.addEventListener("pointerleave", hideBubble);
  container.addEventListener("focusin", (event) => {
    const target = pieceOf(event);
    if (!target) return;
    moveStop(target);
    showBubble(target, describe(target));
  });
  container.addEventListener("focusout", hideBubble);
  container.addEventListener("click", (event) => {
    const target = pieceOf(event);
    if (!target || String(getSelection())) return;
    moveStop(target);
    target.focus({ preventScroll: true });
    showBubble(target, describe(target));
    open(target);
  });
  container.addEventListener("keydown", (event) => {
    const target = pieceOf(event);
    if (!target) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(target);
      return;
    }
    const next = destination(container, target, event.key, piece, important);
    if (next === undefined) return;
    event.preventDefault();
    if (!next) return;
    moveStop(next);
    next.focus();
  });

  return { reset };
}

/** The piece that `key` leads to, null when there is none further, undefined when the key is not ours. */
function destination(container, from, key, piece, important) {
  const steps = { ArrowRight: [piece, 1], ArrowLeft: [piece, -1], ArrowDown: [important, 1], ArrowUp: [important, -1] };
  if (key === "Home" || key === "End") {
    const all = container.querySelectorAll(piece);
    return all[key === "Home" ? 0 : all.length - 1];
  }
  if (!(key in steps)) return undefined;
  const [selector, direction] = steps[key];
  const all = [...container.querySelectorAll(selector)];
  const side = direction > 0 ? Node.DOCUMENT_POSITION_FOLLOWING : Node.DOCUMENT_POSITION_PRECEDING;
  const ahead = all.filter((each) => from.compareDocumentPosition(each) & side);
  return (direction > 0 ? ahead[0] : ahead.at(-1)) ?? null;
}
