/** The API-key field: hidden until the service answers 401, forgotten with the tab. */

import { getApiKey, setApiKey } from "./api.js";
import { find } from "./dom.js";

let form;
/** What to try again once there is a key. */
const waiting = new Set();

/** Wire the field that the page holds. */
export function startKeyForm() {
  form = find(document, "#key-form");
  const input = find(form, "#key-input");
  form.hidden = getApiKey() === null;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setApiKey(input.value.trim());
    input.value = "";
    const again = [...waiting];
    waiting.clear();
    for (const each of again) each();
  });
  find(form, "#key-forget").addEventListener("click", () => {
    setApiKey(null);
    form.hidden = true;
  });
}

/** Show the field; `then` runs once a key was given. */
export function askForKey(then) {
  waiting.add(then);
  form.hidden = false;
  find(form, "#key-input").focus();
}
