/** The summarize tab: chosen sentences marked in place, one method or two side by side. */

import { copyText } from "./clipboard.js";
import { clusterLetter, rankSelected } from "./clusters.js";
import { countCodePoints, indexCodePoints } from "./codepoints.js";
import { element, fill, find } from "./dom.js";
import { formatNumber, formatPercent, onLanguage, t } from "./i18n.js";
import { lengthField, startLength } from "./length.js";
import { chosenModel, onModels } from "./models.js";
import { createTask } from "./task.js";
import { createWalk } from "./walk.js";

const METHODS = ["kmeans", "centroid", "textrank", "lead", "scorer"];
/** Cluster colours in the style sheet; further clusters use them again, told apart by their letters. */
const CLUSTER_COLOURS = 8;

function requests(settings, text) {
  const body = { input: text, ...lengthField(settings) };
  for (const key of ["model", "pooling", "order"]) if (settings[key]) body[key] = settings[key];
  if (Number(settings.diversity) > 0) body.diversity = Number(settings.diversity);
  const methods = [settings.method ?? "", ...(settings.compare ? [settings.compare] : [])];
  return methods.map((method) => ({
    path: "summarize",
    body: method ? { ...body, method } : body,
  }));
}

function draw(output, results, text) {
  const items = results.map((result) => result.answer.data[0]);
  for (const [index, item] of items.entries()) results[index].name = methodName(item.method);
  const both = items.length > 1 ? chosenByAll(items) : new Set();
  // Two columns need the room of the whole page.
  output.closest(".workspace").classList.toggle("stacked", items.length > 1);
  fill(
    output,
    element("div", { class: "versions" }, items.map((item) => version(item, text, both, items.length > 1))),
  );
  const [first] = items;
  const done = t("summarize.done", { count: chosen(first).length, total: first.sentences.length });
  return items.length > 1 ? `${done} · ${t("summarize.agree", { count: both.size })}` : done;
}

const chosen = (item) => item.sentences.filter((sentence) => sentence.selected);

function chosenByAll(items) {
  const [first, ...others] = items.map((item) => new Set(chosen(item).map((sentence) => sentence.index)));
  return new Set([...first].filter((index) => others.every((other) => other.has(index))));
}

function version(item, text, both, titled) {
  const clustered = chosen(item).some((sentence) => Number.isInteger(sentence.cluster));
  return element(
    "article",
    { class: "version" },
    titled && element("h3", {}, methodName(item.method)),
    element("blockquote", { class: "summary reading", dir: "auto" }, item.summary_text),
    element("p", { class: "summary-facts hint" }, kept(item, text), " ", copyButton(item.summary_text)),
    sentences(item, text, both),
    element("p", { class: "hint" }, legend(clustered, both.size > 0)),
  );
}

function legend(clustered, shared) {
  const line = t(clustered ? "summarize.legend" : "summarize.legend.plain");
  return shared ? `${line} · ${t("summarize.legend.shared")}` : line;
}

function methodName(method) {
  return METHODS.includes(method) ? t(`summarize.method.${method}`) : method;
}

function kept(item, text) {
  const chars = countCodePoints(item.summary_text);
  const total = countCodePoints(text);
  return t("summarize.kept", { chars, total, share: formatPercent(chars / total) });
}

function copyButton(text) {
  const button = element("button", { type: "button", class: "quiet" }, t("summarize.copy"));
  button.addEventListener("click", async () => {
    button.textContent = t((await copyText(text)) ? "action.copied" : "action.copy.failed");
  });
  return button;
}

function sentences(item, text, both) {
  const points = indexCodePoints(text);
  const ranks = rankSelected(item.sentences);
  const ordered = [...item.sentences].sort((a, b) => a.start - b.start);
  const byIndex = new Map(ordered.map((sentence) => [String(sentence.index), sentence]));
  const pieces = [];
  let at = 0;
  for (const sentence of ordered) {
    pieces.push(points.slice(at, sentence.start));
    pieces.push(sentenceView(sentence, points.slice(Math.max(at, sentence.start), sentence.end), ranks, both));
    at = Math.max(at, sentence.end);
  }
  pieces.push(points.slice(at));
  const box = element("div", { class: "reading source", dir: "auto", role: "group", "aria-label": t("summarize.text") }, pieces);
  const describe = (piece) => bubbleText(byIndex.get(piece.dataset.index), ranks);
  createWalk(box, { piece: ".sentence", important: ".chosen", describe }).reset();
  return box;
}

function sentenceView(sentence, text, ranks, both) {
  const rank = ranks.get(sentence.index);
  const data = { index: String(sentence.index) };
  if (rank === undefined) return element("span", { class: "sentence", data }, text);
  const shared = both.has(sentence.index);
  const clustered = Number.isInteger(sentence.cluster);
  const cluster = clustered ? clusterLetter(sentence.cluster) : "";
  data.cluster = String((clustered ? sentence.cluster : 0) % CLUSTER_COLOURS);
  const spoken = t(clustered ? "summarize.mark" : "summarize.mark.plain", { rank, cluster });
  const label = shared ? `${spoken}${t("summarize.both")}: ` : spoken;
  return element(
    "mark",
    { class: shared ? "sentence chosen shared" : "sentence chosen", data },
    element("span", { class: "visually-hidden" }, label),
    element("span", { class: "badge", "aria-hidden": "true" }, formatNumber(rank), cluster && element("i", {}, cluster)),
    text,
  );
}

function bubbleText(sentence, ranks) {
  const values = { index: sentence.index + 1, score: formatNumber(sentence.score, 3) };
  const clustered = Number.isInteger(sentence.cluster);
  const line = clustered
    ? t("summarize.sentence.cluster", { ...values, cluster: clusterLetter(sentence.cluster) })
    : t("summarize.sentence", values);
  const rank = ranks.get(sentence.index);
  return rank === undefined ? line : `${t("summarize.rank", { rank })} · ${line}`;
}

function fillMethods(panel) {
  const standard = chosenModel(find(panel, "[data-models]"))?.summary_method;
  const first = {
    method: standard
      ? t("summarize.method.default.named", { method: methodName(standard) })
      : t("summarize.method.default"),
    compare: t("summarize.compare.none"),
  };
  for (const [setting, empty] of Object.entries(first)) {
    const select = find(panel, `[data-setting="${setting}"]`);
    const before = select.value;
    const options = METHODS.map((method) => new Option(t(`summarize.method.${method}`), method));
    select.replaceChildren(new Option(empty, ""), ...options);
    select.value = before;
  }
}

/** Make the tab. */
export function startSummarize() {
  const task = createTask({ name: "summarize", requests, draw });
  startLength(task.panel);
  const refill = () => fillMethods(task.panel);
  refill();
  onLanguage(refill);
  onModels(refill);
  return task;
}
