/** The common frame of a task, made from the template that the page holds. */

import { element, fill, find } from "./dom.js";
import { applyLanguage, t } from "./i18n.js";

/**
 * Put the frame into `panel` and move the task's own controls into their places.
 *
 * @returns {Record<string, HTMLElement>} the frame's elements by the names that the template gives them
 */
export function buildFrame(panel, name) {
  const frame = find(document, "#frame").content.cloneNode(true);
  const parts = { form: find(frame, "form"), result: find(frame, ".result") };
  for (const node of frame.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  for (const slot of panel.querySelectorAll("[data-slot]")) parts[slot.dataset.slot].append(...slot.childNodes);
  const controls = panel.querySelector('[data-slot="controls"]');
  if (controls) parts.controls.className = controls.className;
  parts.controls.hidden = true;
  parts.text.id = `${name}-text`;
  parts.counter.id = `${name}-counter`;
  parts["text-label"].htmlFor = parts.text.id;
  parts.text.setAttribute("aria-describedby", parts.counter.id);
  panel.replaceChildren(frame);
  applyLanguage(panel);
  fill(parts.output, element("p", { class: "empty", "data-i18n": `${name}.empty` }, t(`${name}.empty`)));
  return parts;
}
