/** One line about a model: whether its makers stand behind it, and what was measured, with the baseline beside it. */

import { formatNumber, t } from "./i18n.js";

/**
 * @param {object|undefined} model as `/v1/models` describes it
 * @returns {string} empty when there is nothing to say
 */
export function aboutModel(model) {
  const pieces = [];
  if (model?.experimental) pieces.push(t("about.experimental"));
  const [first] = model?.metrics ?? [];
  if (first) pieces.push(measured(first));
  return pieces.join(" · ");
}

function measured({ data_set: dataSet, metric, value, baseline, baseline_value: baselineValue }) {
  const line = `${dataSet}: ${metric} ${formatNumber(value, 3)}`;
  if (baselineValue === null || baselineValue === undefined) return line;
  return t("about.baseline", { line, baseline: baseline ?? "", value: formatNumber(baselineValue, 3) });
}
