/** What stands under a result: model, tokens, latency; raw JSON and the curl command. */

import { copyText } from "./clipboard.js";
import { curlCommand } from "./curl.js";
import { element, fill } from "./dom.js";
import { formatNumber, t } from "./i18n.js";

/** Raw JSON longer than this many characters is shown cut (copying still gives all of it). */
const SHOWN_JSON = 100_000;

/** One line of facts about one answer; `name` tells two answers apart. */
export function factsLine({ answer, version, timing }, name) {
  const entries = [
    [t("fact.model"), version ?? answer.model],
    [t("fact.tokens"), answer.usage && formatNumber(answer.usage.total_tokens ?? answer.usage.prompt_tokens)],
    [t("fact.round"), milliseconds(timing.roundTrip)],
    [t("fact.server"), timing.stages.map(stageText).join(" · ") || null],
  ];
  return element(
    "div",
    { class: "facts" },
    name && element("p", { class: "facts-name" }, name),
    element(
      "dl",
      {},
      entries
        .filter(([, value]) => value !== undefined && value !== null)
        .map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, element("bdi", {}, value)))),
    ),
  );
}

function milliseconds(value) {
  return t("fact.milliseconds", { value: formatNumber(value, value < 10 ? 1 : 0) });
}

function stageText({ name, duration }) {
  const known = ["tokenize", "queue", "inference", "total"].includes(name);
  return `${known ? t(`stage.${name}`) : name} ${milliseconds(duration)}`;
}

/** Fill a `<details>` with text that can be copied; the text is made when it is first opened. */
function fillOnOpen(details, label, makeText) {
  const summary = details.querySelector("summary");
  details.replaceChildren(summary);
  const open = () => {
    if (!details.open || details.childElementCount > 1) return;
    const text = makeText();
    const cut = text.length > SHOWN_JSON;
    const button = element("button", { type: "button", class: "quiet" }, t("action.copy"));
    button.addEventListener("click", async () => {
      button.textContent = (await copyText(text)) ? t("action.copied") : t("action.copy.failed");
    });
    const shown = cut ? text.slice(0, SHOWN_JSON) : text;
    details.append(
      ...(cut ? [element("p", { class: "hint" }, t("result.json.cut"))] : []),
      button,
      element("pre", { tabindex: "0", role: "region", "aria-label": label }, shown),
    );
  };
  details.ontoggle = open;
  open();
}

/** Everything under the result of one run; `results` holds one answer, or two side by side. */
export function showFacts(parts, results) {
  const several = results.length > 1;
  fill(parts.facts, results.map((result) => factsLine(result, several ? result.name : null)));
  fillOnOpen(parts.json, t("result.json"), () =>
    JSON.stringify(several ? results.map((result) => result.answer) : results[0].answer, null, 2),
  );
  fillOnOpen(parts.curl, t("result.curl"), () =>
    results.map((result) => curlCommand(result.path, result.body)).join("\n\n"),
  );
}
