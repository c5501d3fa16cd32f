/** What is served: fills the model pickers and answers questions about the chosen model. */

import { get } from "./api.js";
import { onLanguage, t } from "./i18n.js";
import { chooseOption } from "./settings.js";

let models = [];
let loading = Promise.resolve();
const PATIENCE_MS = 3000;
const listeners = new Set();

/** Call `listener` whenever the list of models is there or new. */
export function onModels(listener) {
  listeners.add(listener);
}

/** Models that can do `task` ("classify" or "encode"). */
export function modelsFor(task) {
  return models.filter((model) => model.task === task);
}

/** The model that a request with this picker's value is answered by, or undefined while the list is not known. */
export function chosenModel(select) {
  const candidates = modelsFor(select.dataset.models);
  return candidates.find((model) => model.id === select.value) ?? candidates.find((model) => model.default) ?? candidates[0];
}

/**
 * Resolves when the list that was asked for is there or will not come: before that nobody knows what a model can do. A
 * list that takes longer than `PATIENCE_MS`, or a `signal` that aborts, ends the wait too.
 */
export function modelsAnswered(signal) {
  const enough = new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS);
    signal.addEventListener("abort", resolve, { once: true });
  });
  return Promise.race([loading, enough]);
}

/**
 * Ask `/v1/models` and fill every picker.
 *
 * @throws {ApiError} the service refused; the pickers then keep their one "default" choice and everything still works.
 */
export function loadModels() {
  const asked = load();
  loading = asked.catch(() => {});
  return asked;
}

async function load() {
  const { answer } = await get("v1/models");
  models = Array.isArray(answer.data) ? answer.data : [];
  fillPickers();
  for (const listener of listeners) listener();
}

function fillPickers() {
  for (const select of document.querySelectorAll("[data-models]")) {
    const wanted = select.value;
    const options = modelsFor(select.dataset.models).map((model) => new Option(model.id, model.id));
    const first = modelsFor(select.dataset.models).find((model) => model.default);
    const standard = first ? t("option.model.default.named", { model: first.id }) : t("option.model.default");
    select.replaceChildren(new Option(standard, ""), ...options);
    if (wanted) chooseOption(select, wanted, true);
  }
}

onLanguage(fillPickers);
