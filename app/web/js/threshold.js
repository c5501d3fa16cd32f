/**
 * The decision threshold: a slider, and the names that the model was calibrated for.
 *
 * The choice is a number or a name; a name stands for the model's own number and follows the model.
 */

import { element, fill, find } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { chosenModel, onModels } from "./models.js";

const NAMES = ["precise", "balanced", "sensitive"];

/** Highest number that the slider gives. */
const HIGHEST = 0.99;

/**
 * @param {HTMLElement} panel holds the slider, its hidden field and the place for the names
 * @param {(threshold: number) => void} onChange called when the number changed
 * @returns {{value: () => number, answered: (threshold: number) => void}} `answered` tells which number the service
 *   used, which is how a name gets its number where the list of models does not give it
 */
export function createThreshold(panel, onChange) {
  const field = find(panel, '[data-setting="threshold"]');
  const slider = find(panel, "#threshold");
  const shown = find(panel, "#threshold-value");
  const names = find(panel, "#named-thresholds");
  const picker = find(panel, "[data-models]");
  let used = null;

  const offered = () => chosenModel(picker)?.thresholds ?? {};

  function value() {
    if (NAMES.includes(field.value)) return offered()[field.value] ?? used ?? Number(slider.value);
    return Number(field.value);
  }

  function show() {
    if (!NAMES.includes(field.value) && !(Number(field.value) >= 0 && Number(field.value) <= 1)) field.value = "precise";
    const number = value();
    slider.value = String(Math.min(number, HIGHEST));
    shown.textContent = number.toFixed(2);
    slider.setAttribute("aria-valuetext", number.toFixed(2));
    for (const button of names.children) {
      button.setAttribute("aria-pressed", String(button.dataset.threshold === field.value));
    }
  }

  function choose(choice) {
    field.value = choice;
    show();
    onChange(value());
  }

  function drawNames() {
    const known = NAMES.filter((name) => name in offered());
    names.hidden = known.length === 0;
    fill(names, known.map((name) => nameButton(name, offered()[name], () => choose(name))));
    show();
  }

  slider.addEventListener("input", () => choose(slider.value));
  field.addEventListener("restored", show);
  picker.addEventListener("change", drawNames);
  picker.addEventListener("restored", drawNames);
  onModels(drawNames);
  onLanguage(drawNames);

  return {
    value,
    answered(threshold) {
      used = threshold;
      show();
    },
  };
}

function nameButton(name, number, onClick) {
  return element(
    "button",
    { type: "button", "aria-pressed": "false", data: { threshold: name }, on: { click: onClick } },
    t(`detect.named.${name}`),
    " ",
    element("span", { class: "number" }, number.toFixed(2)),
  );
}

/** What a request says for `choice`: the name itself, or the number. */
export function thresholdField(choice) {
  return NAMES.includes(choice) ? choice : Number(choice);
}
