/** The classify tab: one bar per label. */

import { element, fill } from "./dom.js";
import { formatPercent, t } from "./i18n.js";
import { createTask } from "./task.js";

function requests(settings, text) {
  const body = { input: text };
  if (settings.model) body.model = settings.model;
  if (settings.top_k) body.top_k = Number(settings.top_k);
  return [{ path: "classify", body }];
}

function draw(output, [{ answer }]) {
  const [item] = answer.data;
  const scores = [...item.scores].sort((a, b) => b.score - a.score);
  fill(
    output,
    element("ol", { class: "bars", "aria-label": t("classify.list") }, scores.map(bar)),
    notes(item, scores.length).map((note) => element("p", { class: "hint" }, note)),
  );
  return t("classify.done", { label: item.label, score: formatPercent(item.score) });
}

function bar({ label, score }, index) {
  return element(
    "li",
    { class: index === 0 ? "bar first" : "bar" },
    element("bdi", { class: "bar-label" }, label),
    element("span", { class: "bar-value" }, formatPercent(score)),
    element(
      "span",
      { class: "bar-track", "aria-hidden": "true" },
      element("span", { class: "bar-fill", style: { "--share": String(Math.min(Math.max(score, 0), 1)) } }),
    ),
  );
}

function notes(item, shown) {
  const lines = [];
  if (item.num_classes > shown) lines.push(t("classify.shown", { shown, total: item.num_classes }));
  if (item.windows > 1) lines.push(t("classify.windows", { windows: item.windows }));
  if (item.truncated) lines.push(t("classify.truncated"));
  return lines;
}

/** Make the tab. */
export function startClassify() {
  return createTask({ name: "classify", requests, draw });
}
