/** The page: three tasks, their tabs, language, theme, and the link that restores it all. */

import { ApiError } from "./api.js";
import { startBubble } from "./bubble.js";
import { startClassify } from "./classify.js";
import { startDetect } from "./detect.js";
import { find } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { applyLanguage, currentLanguage, onLanguage, setLanguage, t } from "./i18n.js";
import { askForKey, startKeyForm } from "./key.js";
import { loadModels } from "./models.js";
import { closePopover, startPopover } from "./popover.js";
import { parseHash, writeHash } from "./state.js";
import { recall, remember } from "./storage.js";
import { startSummarize } from "./summarize.js";
import { createTabs } from "./tabs.js";

const THEMES = ["auto", "light", "dark"];

/** A button that goes round system, light and dark. */
function startTheme() {
  const button = find(document, "#theme");
  let theme = recall("theme") ?? "auto";
  const show = () => {
    button.textContent = t(`theme.${theme}`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme === "auto" ? null : theme);
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    show();
  });
  onLanguage(show);
}

function startLanguageButtons() {
  const buttons = [...document.querySelectorAll("button[data-language]")];
  for (const button of buttons) button.addEventListener("click", () => setLanguage(button.dataset.language));
  onLanguage((language) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.language === language));
  });
}

/** Show what the address asks for; a link with a text runs it at once, as its sender saw it. */
function restore(tasks, tabs) {
  const state = parseHash(location.hash);
  if (!state || !tabs.select(state.tab)) return;
  const task = tasks[state.tab];
  task.restore(state.settings);
  if (state.settings.text) task.run();
}

/** Fill the model pickers. Without the list the page still works with the service's default models. */
async function tryModels() {
  try {
    await loadModels();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) askForKey(tryModels);
    else console.warn(`the list of models is not there: ${error.message}`);
  }
}

function start() {
  startBubble();
  startPopover();
  startKeyForm();
  startTheme();
  startLanguageButtons();
  const tasks = Object.fromEntries([startClassify(), startDetect(), startSummarize()].map((task) => [task.name, task]));
  const tabs = createTabs(find(document, "#tabs"), (name) => {
    closePopover();
    writeHash(name, tasks[name].state());
  });
  applyLanguage();
  for (const task of Object.values(tasks)) task.setText(EXAMPLES[task.name][currentLanguage()]);
  tryModels();
  restore(tasks, tabs);
  addEventListener("hashchange", () => restore(tasks, tabs));
}

start();
