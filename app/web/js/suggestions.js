/** What the popover at a flagged place says: the probability, and repairs to apply. */

import { element } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @param {object} place
 * @param {string} place.word the flagged piece, of which nothing more is known without a span
 * @param {number} place.score its probability
 * @param {object|undefined} place.span the answer's span around it; undefined when it lay below the threshold asked for
 * @param {boolean} place.stale the text was edited since, so nothing can be applied
 * @param {(span: object, suggestion: object) => void} apply
 * @param {() => void} runAgain
 * @returns {HTMLElement[]}
 */
export function suggestionView({ word, score, span, stale }, apply, runAgain) {
  const nodes = [
    element("h2", {}, element("bdi", {}, span?.text ?? word)),
    element("p", { class: "hint" }, t("detect.probability", { score: (span?.score ?? score).toFixed(2) })),
  ];
  if (stale) return [...nodes, ...offerRun(t("status.stale"), runAgain)];
  if (!span) return [...nodes, ...offerRun(t("detect.below"), runAgain)];
  if (!span.suggestions.length) return [...nodes, element("p", {}, t("detect.nothing"))];
  return [
    ...nodes,
    element("p", { class: "replace" }, t("detect.replace", { old: span.text })),
    element("ul", { class: "suggestions" }, span.suggestions.map((suggestion) => line(span, suggestion, apply))),
  ];
}

function line(span, suggestion, apply) {
  const before = span.score.toFixed(2);
  const after = Math.max(span.score - suggestion.delta, 0).toFixed(2);
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: "suggestion", on: { click: () => apply(span, suggestion) } },
      element("bdi", { class: "suggestion-text" }, suggestion.text),
      element("span", { class: "visually-hidden" }, t("detect.change", { before, after })),
      element("span", { class: "suggestion-score", "aria-hidden": "true" }, `${before} → ${after}`),
      element("span", { class: "suggestion-apply" }, t("detect.apply")),
    ),
  );
}

function offerRun(sentence, runAgain) {
  return [
    element("p", {}, sentence),
    element("p", {}, element("button", { type: "button", on: { click: runAgain } }, t("detect.fetch"))),
  ];
}
