/** The detect tab: the text shaded by probability, a threshold that needs no new request, repairs to apply. */

import { countCodePoints, replaceCodePoints } from "./codepoints.js";
import { element, fill } from "./dom.js";
import { HEAT_STEPS, heatBlocks, heatPieces, isFlagged, markFlagged } from "./heat.js";
import { formatPercent, t } from "./i18n.js";
import { closePopover, openPopover } from "./popover.js";
import { suggestionView } from "./suggestions.js";
import { createTask } from "./task.js";
import { createThreshold, thresholdField } from "./threshold.js";
import { createWalk } from "./walk.js";

function requests(settings, text, model) {
  const body = {
    input: text,
    threshold: thresholdField(settings.threshold),
    granularity: settings.granularity,
    suggestions: model?.suggestions === false ? 0 : Number(settings.suggestions),
    ignore: settings.ignore ? settings.ignore.split(",") : [],
  };
  if (settings.model) body.model = settings.model;
  return [{ path: "detect-replaced", body }];
}

/** Make the tab. */
export function startDetect() {
  let drawn = null;

  function draw(output, [{ answer }], text) {
    const [item] = answer.data;
    threshold.answered(item.threshold);
    const pieces = heatPieces(item.tokens);
    const box = element(
      "div",
      { class: "reading heat", dir: "auto", role: "group", "aria-label": t("detect.text") },
      heatBlocks(text, pieces),
    );
    const walk = createWalk(box, {
      piece: "[data-piece]",
      important: ".flagged",
      describe: (node) => describe(pieces[node.dataset.piece]),
      open: (node) => open(node, pieces[node.dataset.piece]),
    });
    drawn = { item, pieces, box, walk, text };
    const score = item.score === undefined ? null : `${t("detect.score")} ${formatPercent(item.score)}`;
    fill(output, box, legend(), element("p", { class: "hint keys" }, t("detect.legend.keys")), score && element("p", { class: "hint" }, score));
    return flag();
  }

  /** Flag for the threshold as it stands. @returns {string} what the status line says. */
  function flag() {
    const count = markFlagged(drawn.box, drawn.pieces, threshold.value());
    drawn.walk.reset();
    return t(count ? "detect.done" : "detect.none", { count, threshold: threshold.value().toFixed(2) });
  }

  function open(node, piece) {
    if (!isFlagged(piece, threshold.value())) return;
    const span = drawn.item.spans.find((each) => each.start < piece.end && piece.start < each.end);
    const place = { word: node.textContent, score: piece.score, span, stale: drawn.text !== task.text() };
    openPopover(node, suggestionView(place, apply, runAgain));
  }

  async function apply(span, suggestion) {
    closePopover();
    await task.replaceText(replaceCodePoints(drawn.text, span.start, span.end, suggestion.text));
    focusPiece(span.start, span.start + countCodePoints(suggestion.text));
  }

  function runAgain() {
    closePopover();
    task.run();
  }

  /** Keep a keyboard's place: the focus goes to the words that were just put in. */
  function focusPiece(start, end) {
    const index = drawn.pieces.findIndex((piece) => piece.start < end && piece.end > start);
    const node = drawn.box.querySelector(`[data-piece="${index}"]`);
    if (!node) return;
    node.tabIndex = -1;
    node.focus();
  }

  const task = createTask({ name: "detect", requests, draw });
  const threshold = createThreshold(task.panel, () => drawn && task.say(flag()));
  return task;
}

function describe(piece) {
  return piece.unknown ? t("detect.unknown") : piece.score.toFixed(2);
}

function legend() {
  const steps = Array.from({ length: HEAT_STEPS + 1 }, (_, step) =>
    element("span", { class: "swatch", data: { heat: String(step) } }),
  );
  return element(
    "div",
    { class: "legend hint" },
    element("span", { class: "ramp" }, t("detect.legend"), " 0", element("span", { class: "swatches" }, steps), "1"),
    element("span", {}, element("span", { class: "token flagged" }, t("detect.legend.flagged"))),
    element("span", {}, element("span", { class: "token unknown" }, t("detect.legend.unknown"))),
  );
}
