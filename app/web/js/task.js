/**
 * The frame that every task stands in: text, examples, run and cancel, status, errors, facts, link.
 *
 * A task gives its requests and draws its answers; everything that the three have in common is here once.
 */

import { aboutModel } from "./about.js";
import { ApiError, post } from "./api.js";
import { countCodePoints, estimateTokens } from "./codepoints.js";
import { copyText } from "./clipboard.js";
import { fill, find } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { showFacts } from "./facts.js";
import { buildFrame } from "./frame.js";
import { onLanguage, t } from "./i18n.js";
import { askForKey } from "./key.js";
import { chosenModel, modelsAnswered, onModels } from "./models.js";
import { problemView } from "./problem.js";
import { readSettings, writeSettings } from "./settings.js";
import { LINK_TEXT_LIMIT, formatHash, writeHash } from "./state.js";

/**
 * @typedef {object} Definition
 * @property {string} name "classify", "detect" or "summarize"
 * @property {(settings: Record<string, string>, text: string, model: object|undefined) =>
 *   {path: string, body: object}[]} requests `model` is what `/v1/models` says, once it has said it
 * @property {(output: HTMLElement, results: object[], text: string) => string} draw shows the answers and returns the
 *   one sentence that the status line says; gives each of several results a `name`
 *
 * @param {Definition} definition
 * @returns {object} the task: `run`, `restore`, `state`, `text`, `setText`, `replaceText`, `say`, and its elements
 *   `panel` and `parts`
 */
export function createTask({ name, requests, draw }) {
  const panel = find(document, `#panel-${name}`);
  const parts = buildFrame(panel, name);
  let controller = null;
  let last = null;
  let failure = null;
  let previousText = null;

  const text = () => parts.text.value;
  const settings = () => readSettings(panel);
  const model = () => chosenModel(find(panel, "[data-models]"));
  /** What a link carries. A text that nobody has run yet is only an example and is left out. */
  const state = () => ({ text: last?.text ?? "", ...settings() });

  async function run() {
    if (text().trim() === "") {
      say(t("status.empty"));
      parts.text.focus();
      return;
    }
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    const sent = text();
    writeHash(name, { text: sent, ...settings() });
    const clock = startWork();
    try {
      await modelsAnswered(mine.signal);
      mine.signal.throwIfAborted();
      const asked = requests(settings(), sent, model());
      const answers = await Promise.all(asked.map((each) => post(each.path, each.body, mine.signal)));
      last = { text: sent, results: asked.map((each, index) => ({ ...each, ...answers[index] })) };
      failure = null;
    } catch (error) {
      if (controller !== mine) return;
      mine.abort();
      if (error.name === "AbortError") {
        if (failure) {
          failure = null;
          redraw();
        }
        say(t("status.cancelled"));
        return;
      }
      failure = error;
      if (!(error instanceof ApiError)) console.error(error);
    } finally {
      clearInterval(clock);
      if (controller === mine) {
        controller = null;
        endWork();
      }
    }
    if (controller === null) {
      redraw();
      bringIntoView();
    }
  }

  /** On a phone the result lies below what can be seen. */
  function bringIntoView() {
    const top = parts.result.getBoundingClientRect().top;
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    if (top > innerHeight * 0.75) parts.result.scrollIntoView({ block: "start", behavior });
  }

  function redraw() {
    fill(parts.problem);
    // Beside an error, an older result would only raise the question which of the two is true.
    for (const name of ["output", "facts"]) parts[name].hidden = failure !== null;
    for (const name of ["controls", "extras"]) parts[name].hidden = failure !== null || last === null;
    if (failure) {
      say(t("status.failed"));
      fill(parts.problem, problemView(failure, run));
      if (failure instanceof ApiError && failure.status === 401) askForKey(run);
      return;
    }
    if (!last) {
      say(t("status.ready"));
      return;
    }
    say(draw(parts.output, last.results, last.text));
    showFacts(parts, last.results);
    markStale();
  }

  function startWork() {
    const started = performance.now();
    const tick = () => {
      const seconds = Math.floor((performance.now() - started) / 100) / 10;
      // The first moments stay quiet: a number that flashes by tells nobody anything.
      parts.elapsed.textContent = seconds >= 0.5 ? t("status.elapsed", { seconds: seconds.toFixed(1) }) : "";
    };
    fill(parts.problem);
    say(t("status.working"));
    panel.classList.add("busy");
    parts.progress.hidden = false;
    parts.cancel.hidden = false;
    parts.result.setAttribute("aria-busy", "true");
    return setInterval(tick, 100);
  }

  function endWork() {
    panel.classList.remove("busy");
    parts.progress.hidden = true;
    parts.cancel.hidden = true;
    parts.elapsed.textContent = "";
    parts.result.setAttribute("aria-busy", "false");
  }

  function say(sentence) {
    parts.status.textContent = sentence;
  }

  function markStale() {
    parts.stale.hidden = last === null || last.text === text();
  }

  /** What stands around the text: how long it is, and what the chosen model is. */
  function describe() {
    const pieces = [t("text.count", { count: countCodePoints(text()) })];
    const limit = model()?.max_tokens;
    const tokens = limit ? estimateTokens(text()) : 0;
    if (limit && tokens > limit - 2) {
      pieces.push(t("text.windows", { windows: Math.ceil(tokens / (limit - 2)), limit }));
    }
    parts.counter.textContent = pieces.join(" · ");
    parts.about.textContent = aboutModel(model());
  }

  function setText(value) {
    parts.text.value = value;
    describe();
    markStale();
  }

  function restore(wanted) {
    writeSettings(panel, wanted);
    if (wanted.text !== undefined) setText(wanted.text);
  }

  /** Put `value` in place of the text, remember the old one for "undo", and run. */
  function replaceText(value) {
    previousText = text();
    parts.undo.hidden = false;
    setText(value);
    return run();
  }

  parts.form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  parts.text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  parts.text.addEventListener("input", () => {
    parts.undo.hidden = true;
    describe();
    markStale();
  });
  parts.cancel.addEventListener("click", () => {
    controller?.abort();
    parts.run.focus();
  });
  parts.undo.addEventListener("click", () => {
    parts.undo.hidden = true;
    parts.text.focus();
    setText(previousText);
    run();
  });
  for (const button of panel.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => {
      parts.undo.hidden = true;
      setText(EXAMPLES[name][button.dataset.example]);
      run();
    });
  }
  parts.link.addEventListener("click", async () => {
    const state = { text: text(), ...settings() };
    const copied = await copyText(new URL(formatHash(name, state), location.href).href);
    writeHash(name, state);
    const short = countCodePoints(text()) > LINK_TEXT_LIMIT;
    say(t(copied ? (short ? "action.link.short" : "action.link.copied") : "action.copy.failed"));
  });
  // A changed option shows its effect at once where there is a result to see it in.
  parts.options.addEventListener("change", () => {
    describe();
    if (last) run();
  });
  onModels(describe);
  onLanguage(() => {
    describe();
    if (controller === null) redraw();
  });

  return { name, panel, parts, run, restore, state, text, setText, replaceText, say };
}
