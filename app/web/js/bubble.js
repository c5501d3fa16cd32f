/** The small number that floats over a word while it is pointed at or focused. One for the whole page. */

import { fill, find } from "./dom.js";

const MARGIN = 6;

/** Show `text` above `anchor`; under it where there is no room above. */
export function showBubble(anchor, text) {
  const bubble = find(document, "#bubble");
  fill(bubble, text);
  bubble.hidden = false;
  const place = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
  const size = bubble.getBoundingClientRect();
  const left = place.left + place.width / 2 - size.width / 2;
  const above = place.top - size.height - MARGIN;
  bubble.style.left = `${Math.min(Math.max(left, MARGIN), document.documentElement.clientWidth - size.width - MARGIN)}px`;
  bubble.style.top = `${above < MARGIN ? place.bottom + MARGIN : above}px`;
}

export function hideBubble() {
  find(document, "#bubble").hidden = true;
}

/** Hide it when what it stands on moves away, or when the person asks with Escape. */
export function startBubble() {
  addEventListener("scroll", hideBubble, { passive: true, capture: true });
  addEventListener("resize", hideBubble, { passive: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hideBubble());
}
