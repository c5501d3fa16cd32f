/** The one popover of the page: opens at a word, closes on Escape or on a click elsewhere, gives the focus back. */

import { fill, find } from "./dom.js";
import { hideBubble } from "./bubble.js";

const GAP = 8;
let opener = null;

/** Show `children` at `anchor` and put the focus on the first button. */
export function openPopover(anchor, ...children) {
  const popover = find(document, "#popover");
  opener = anchor;
  fill(popover, children);
  popover.showPopover();
  hideBubble();
  place(popover, anchor);
  (popover.querySelector("button") ?? popover).focus();
}

export function closePopover() {
  const popover = find(document, "#popover");
  if (popover.matches(":popover-open")) popover.hidePopover();
}

/** Give the focus back to the word when the popover closes on Escape. */
export function startPopover() {
  const popover = find(document, "#popover");
  popover.tabIndex = -1;
  popover.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !opener) return;
    event.preventDefault();
    closePopover();
    opener.focus();
  });
  addEventListener("resize", closePopover);
}

function place(popover, anchor) {
  // On a phone the style sheet makes it a sheet at the bottom edge, which needs no place.
  if (matchMedia("(max-width: 560px)").matches) {
    popover.style.removeProperty("left");
    popover.style.removeProperty("top");
    return;
  }
  const target = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const left = Math.min(Math.max(target.left, GAP), document.documentElement.clientWidth - size.width - GAP);
  const below = target.bottom + GAP;
  const fits = below + size.height < innerHeight;
  popover.style.left = `${left}px`;
  popover.style.top = `${fits ? below : Math.max(target.top - size.height - GAP, GAP)}px`;
}
