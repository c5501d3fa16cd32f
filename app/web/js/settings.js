/** The options of a panel, read from and written to its controls: every control names its setting in `data-setting`. */

/** @returns {Record<string, string>} by setting; several checked boxes join with commas, empty values are left out. */
export function readSettings(panel) {
  const settings = {};
  for (const control of panel.querySelectorAll("[data-setting]")) {
    const value = isGroup(control)
      ? [...control.querySelectorAll("input:checked")].map((box) => box.value).join(",")
      : control.value;
    if (value !== "") settings[control.dataset.setting] = value;
  }
  return settings;
}

/**
 * Put `settings` into the controls; a setting that is not there leaves its control as it is. Each control that was
 * written gets a "restored" event at once, so that one control may prepare the next.
 */
export function writeSettings(panel, settings) {
  for (const control of panel.querySelectorAll("[data-setting]")) {
    const value = settings[control.dataset.setting];
    if (value === undefined) continue;
    if (isGroup(control)) {
      checkBoxes([...control.querySelectorAll("input")], value.split(","));
    } else if (control.tagName === "SELECT") {
      chooseOption(control, value, "models" in control.dataset);
    } else {
      control.value = value;
    }
    control.dispatchEvent(new Event("restored", { bubbles: true }));
  }
}

/** Select `value`; with `add` an option is made for a value that the list lacks, else the choice stays as it is. */
export function chooseOption(select, value, add = false) {
  const known = [...select.options].some((option) => option.value === value);
  if (!known && !add) return;
  if (!known) select.add(new Option(value, value));
  select.value = value;
}

function checkBoxes(boxes, wanted) {
  // Of radio buttons one is always chosen, so a value that none of them has changes nothing.
  if (boxes[0].type === "radio" && !boxes.some((box) => wanted.includes(box.value))) return;
  for (const box of boxes) box.checked = wanted.includes(box.value);
}

function isGroup(control) {
  return control.tagName === "FIELDSET" || control.tagName === "DIV";
}
