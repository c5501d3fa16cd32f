/** How long a summary may be: one slider in three units. */

import { find } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

const UNITS = {
  num_sentences: { min: 1, max: 15, step: 1, start: 3 },
  ratio: { min: 5, max: 100, step: 5, start: 30 },
  max_chars: { min: 20, max: 1000, step: 10, start: 150 },
};

/** The one request field that `settings` ask for: `num_sentences`, `ratio` (0..1) or `max_chars`. */
export function lengthField({ unit = "num_sentences", length }) {
  const value = Number(length ?? UNITS[unit].start);
  return { [unit]: unit === "ratio" ? value / 100 : value };
}

/** Wire the slider and the choice of unit that `panel` holds. Each unit remembers where its slider stood. */
export function startLength(panel) {
  const slider = find(panel, "#length");
  const shown = find(panel, "#length-value");
  const group = find(panel, '[data-setting="unit"]');
  const positions = Object.fromEntries(Object.entries(UNITS).map(([name, { start }]) => [name, start]));
  let unit = "num_sentences";

  function show() {
    positions[unit] = Number(slider.value);
    const text = t(`summarize.value.${unit}`, { value: Number(slider.value) });
    shown.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  function changeUnit() {
    unit = group.querySelector("input:checked").value;
    Object.assign(slider, { min: UNITS[unit].min, max: UNITS[unit].max, step: UNITS[unit].step });
    slider.value = positions[unit];
    show();
  }

  group.addEventListener("change", changeUnit);
  group.addEventListener("restored", changeUnit);
  slider.addEventListener("input", show);
  slider.addEventListener("restored", show);
  onLanguage(show);
  show();
}
