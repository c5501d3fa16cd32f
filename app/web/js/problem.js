/** An error as the service gave it: title, detail, fields at fault, when to come back, request id. */

import { ApiError } from "./api.js";
import { element } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @param {Error} error
 * @param {() => void} retry
 * @returns {HTMLElement}
 */
export function problemView(error, retry) {
  if (!(error instanceof ApiError)) return box(t("problem.page"), String(error.message ?? error), [], []);
  const { problem, status, requestId, retryAfter } = error;
  const offline = status === 0;
  const title = offline ? t("problem.offline") : problem.title || t("problem.status", { status: String(status) });
  const detail = offline ? t("problem.offline.detail") : problem.detail || problem.error || "";
  const facts = [];
  if (!offline) facts.push(t("problem.status", { status: String(status) }));
  if (problem.error_type) facts.push(problem.error_type);
  if (requestId) facts.push(t("problem.request", { id: requestId }));
  const again = [];
  if (retryAfter !== null && Number(retryAfter) > 0) again.push(t("problem.retry", { seconds: Number(retryAfter) }), " ");
  if (offline || retryAfter !== null || status >= 500) {
    again.push(element("button", { type: "button", class: "quiet", on: { click: retry } }, t("problem.retry.now")));
  }
  const fields = (Array.isArray(problem.errors) ? problem.errors : []).map(fieldLine);
  return box(title, detail, fields, facts, again);
}

function box(title, detail, fields, facts, again = []) {
  return element(
    "div",
    { class: "problem" },
    element("p", { class: "problem-title" }, title),
    detail && element("p", { dir: "auto" }, detail),
    fields.length > 0 && element("ul", {}, fields),
    facts.length > 0 && element("p", { class: "hint" }, facts.join(" · ")),
    again.length > 0 && element("p", {}, again),
  );
}

function fieldLine(entry) {
  return element("li", {}, element("code", {}, entry.field ?? ""), " ", element("span", { dir: "auto" }, entry.message ?? ""));
}
