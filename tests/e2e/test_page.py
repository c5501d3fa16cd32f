"""The page used as a person would use it, against a real server process."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from tests.browser import REFUSED, Watch, watched_context, watched_page

pytestmark = pytest.mark.browser

ARTICLE = (
    "今天天气很好，我们去公园吧。他说苹果很好吃！新闻说经济不坏。The cat sat on the mat. "
    "我喜欢体育新闻。\n\n中国人喜欢吃苹果，是的。The dog is good."
)
"""Seven sentences in two paragraphs."""


@pytest.fixture(scope="module")
def shared(browser: Browser, page_server: str) -> Iterator[tuple[Page, Watch]]:
    watch = Watch(page_server)
    with watched_context(browser, watch) as context:
        yield context.new_page(), watch


@pytest.fixture
def page(shared: tuple[Page, Watch], page_server: str) -> Iterator[Page]:
    """The page as a first visitor finds it; one browser context serves them all, which is quicker."""
    visitor, watch = shared
    visitor.goto("about:blank")
    visitor.goto(page_server)
    yield visitor
    visitor.unroute_all(behavior="ignoreErrors")
    visitor.evaluate("localStorage.clear(), sessionStorage.clear()")
    watch.check()


def panel(page: Page, name: str) -> Locator:
    """A task's panel, opened by its tab."""
    page.locator(f"#tab-{name}").click()
    return page.locator(f"#panel-{name}")


def run(panel: Locator, text: str) -> None:
    """Type ``text`` and run it; returns once the answer is drawn."""
    panel.get_by_role("textbox", name="文本").fill(text)
    panel.get_by_role("button", name="运行", exact=True).click()
    expect(panel.locator("progress")).to_be_hidden()
    expect(panel.locator(".facts").first).to_be_visible()


def requests_to(page: Page, path: str) -> list[Request]:
    """A list that grows with every request to ``path`` from now on."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if request.url.endswith(path) else None)
    return seen


def percent(text: str) -> float:
    return float(text.strip("<>%"))


# Classify


def test_classify_shows_a_bar_for_every_label(page: Page) -> None:
    classify = panel(page, "classify")
    run(classify, "今天天气很好")
    bars = classify.get_by_role("list", name="各类别的概率").get_by_role("listitem")
    assert sorted(bars.locator(".bar-label").all_inner_texts()) == ["negative", "positive"]
    values = [percent(value) for value in bars.locator(".bar-value").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(100, abs=0.2)
    best = bars.locator(".bar-label").first.inner_text()
    expect(classify.get_by_role("status")).to_contain_text(best)
    widths = bars.locator(".bar-fill").evaluate_all(
        "(bars) => bars.map((bar) => bar.getBoundingClientRect().width)"
    )
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0


def test_classify_keeps_to_the_model_and_the_number_of_labels_that_were_chosen(page: Page) -> None:
    classify = panel(page, "classify")
    classify.get_by_label("模型").select_option("topic")
    run(classify, "体育新闻")
    bars = classify.get_by_role("listitem")
    expect(bars).to_have_count(3)
    expect(classify.locator(".facts")).to_contain_text("topic")
    classify.get_by_label("显示前几类").select_option("1")
    expect(bars).to_have_count(1)
    expect(classify).to_contain_text("共 3 类，显示 1 类")


def test_a_result_says_which_model_answered_and_how_long_it_took(page: Page) -> None:
    classify = panel(page, "classify")
    run(classify, "今天天气很好")
    facts = classify.locator(".facts")
    expect(facts).to_contain_text("sentiment")
    assert "sentiment/1" in facts.inner_text()
    assert re.search(r"往返\s*[\d.,]+ 毫秒", facts.inner_text())
    assert re.search(r"服务器\s*.*[\d.,]+ 毫秒", facts.inner_text())


# Detect


def test_detect_marks_what_looks_replaced_where_it_stands(page: Page) -> None:
    detect = panel(page, "detect")
    text = "👨‍👩‍👧🍎 今天错气很好，我 é 喜欢吃苹果。\n他说的是错"
    run(detect, text)
    assert detect.locator(".heat").evaluate("(box) => box.innerText") == text
    flagged = detect.locator(".flagged")
    assert flagged.all_text_contents() == ["错", "错", "可疑"]  # the last one is the legend
    expect(detect.get_by_role("status")).to_contain_text("2 处可疑")
    assert int(flagged.first.get_attribute("data-heat") or 0) >= 7
    assert "underline" in flagged.first.evaluate("(node) => getComputedStyle(node).textDecorationLine")


def test_detect_shows_the_number_on_hover_and_on_focus(page: Page) -> None:
    detect = panel(page, "detect")
    run(detect, "今天错气很好")
    bubble = page.locator("#bubble")
    detect.locator(".heat .flagged").hover()
    expect(bubble).to_have_text(re.compile(r"^0\.9\d$"))
    page.mouse.move(0, 0)
    expect(bubble).to_be_hidden()
    detect.locator(".heat .flagged").focus()
    expect(bubble).to_have_text(re.compile(r"^0\.9\d$"))
    page.keyboard.press("ArrowRight")
    expect(page.locator(":focus")).to_have_text("气")
    expect(bubble).to_have_text(re.compile(r"^0\.\d\d$"))
    page.keyboard.press("Escape")
    expect(bubble).to_be_hidden()


def test_the_threshold_flags_anew_without_a_new_request(page: Page) -> None:
    detect = panel(page, "detect")
    run(detect, "今天错气很好")
    sent = requests_to(page, "/detect-replaced")
    flagged = detect.locator(".heat .flagged")
    slider = detect.get_by_role("slider", name="阈值")
    slider.fill("0.99")
    expect(flagged).to_have_count(0)
    expect(detect.get_by_role("status")).to_contain_text("没有可疑之处（阈值 0.99）")
    slider.fill("0.01")
    assert flagged.count() > 1
    named = detect.get_by_role("group", name="常用阈值").get_by_role("button")
    expect(named).to_have_count(3)
    for name in ("谨慎", "均衡", "灵敏"):
        button = named.filter(has_text=name)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(detect.locator("#threshold-value")).to_have_text(button.locator(".number").inner_text())
    assert sent == []


def test_a_suggestion_is_applied_checked_again_and_can_be_undone(page: Page) -> None:
    detect = panel(page, "detect")
    text = "🍎今天错气很好"
    run(detect, text)
    detect.locator(".heat .flagged").click()
    popover = page.get_by_role("dialog", name="可疑之处")
    expect(popover).to_be_visible()
    first = popover.get_by_role("button").first
    expect(first).to_be_focused()
    word = first.locator(".suggestion-text").inner_text()
    assert re.fullmatch(r"\d\.\d\d → \d\.\d\d", first.locator(".suggestion-score").inner_text())
    sent = requests_to(page, "/detect-replaced")
    first.click()
    expect(popover).to_be_hidden()
    box = detect.get_by_role("textbox", name="文本")
    expect(box).to_have_value(f"🍎今天{word}气很好")
    expect(page.locator(":focus")).to_have_text(word)
    assert [request.post_data_json["input"] for request in sent] == [f"🍎今天{word}气很好"]
    detect.get_by_role("button", name="撤销替换").click()
    expect(box).to_have_value(text)
    expect(detect.locator(".heat .flagged")).to_have_count(1)


def test_the_popover_closes_on_escape_and_gives_the_focus_back(page: Page) -> None:
    detect = panel(page, "detect")
    run(detect, "今天错气很好")
    flagged = detect.locator(".heat .flagged")
    flagged.focus()
    page.keyboard.press("Enter")
    popover = page.get_by_role("dialog", name="可疑之处")
    expect(popover).to_be_visible()
    page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    expect(flagged).to_be_focused()


def test_nothing_is_applied_to_a_text_that_was_edited_since(page: Page) -> None:
    detect = panel(page, "detect")
    run(detect, "今天错气很好")
    detect.get_by_role("textbox", name="文本").fill("他说今天错气很好")
    expect(detect.locator(".result > .notice")).to_be_visible()
    detect.locator(".heat .flagged").click()
    popover = page.get_by_role("dialog", name="可疑之处")
    expect(popover.locator(".suggestion")).to_have_count(0)
    popover.get_by_role("button").click()
    expect(detect.locator(".result > .notice")).to_be_hidden()
    expect(detect.locator(".heat")).to_contain_text("他说今天错气很好")


# Summarize


def test_summarize_marks_the_chosen_sentences_in_place(page: Page) -> None:
    summarize = panel(page, "summarize")
    run(summarize, ARTICLE)
    source = summarize.locator(".source")
    chosen = source.locator(".chosen")
    expect(chosen).to_have_count(3)
    badges = [badge.inner_text() for badge in chosen.locator(".badge").all()]
    assert sorted(re.findall(r"^\d+", badge)[0] for badge in badges) == ["1", "2", "3"]
    assert all(re.search(r"[A-C]$", badge) for badge in badges)
    plain = source.evaluate(
        """(box) => {
          const copy = box.cloneNode(true);
          for (const extra of copy.querySelectorAll(".badge, .visually-hidden")) extra.remove();
          return copy.textContent;
        }"""
    )
    assert plain == ARTICLE
    expect(summarize.get_by_role("status")).to_contain_text("从 7 句中选出 3 句")
    expect(summarize.locator("blockquote")).not_to_be_empty()


@pytest.mark.parametrize(
    ("unit", "value", "field"),
    [
        ("句数", "5", {"num_sentences": 5}),
        ("比例", "45", {"ratio": 0.45}),
        ("字符上限", "50", {"max_chars": 50}),
    ],
)
def test_the_length_slider_asks_in_three_units(
    page: Page, unit: str, value: str, field: dict[str, float]
) -> None:
    summarize = panel(page, "summarize")
    run(summarize, ARTICLE)
    sent = requests_to(page, "/summarize")
    summarize.get_by_text(unit, exact=True).click()
    slider = summarize.get_by_role("slider", name="摘要长度")
    with page.expect_response(lambda response: response.url.endswith("/summarize")):
        slider.fill(value)
        slider.dispatch_event("change")
    body = sent[-1].post_data_json
    assert {key: body[key] for key in ("num_sentences", "ratio", "max_chars") if key in body} == field
    if unit == "句数":
        expect(summarize.locator(".chosen")).to_have_count(5)
    if unit == "字符上限":
        # The longer summary of before stands there until the answer has been drawn.
        expect(summarize.locator("blockquote")).to_have_text(re.compile(r"^.{1,50}$", re.DOTALL))


def test_two_methods_stand_side_by_side(page: Page) -> None:
    summarize = panel(page, "summarize")
    summarize.get_by_label("方法").select_option("lead")
    summarize.get_by_label("并排比较").select_option("textrank")
    run(summarize, ARTICLE)
    versions = summarize.locator(".version")
    expect(versions).to_have_count(2)
    assert versions.locator("h3").all_inner_texts() == ["取开头", "TextRank"]
    left, right = versions.evaluate_all(
        "(nodes) => nodes.map((node) => node.getBoundingClientRect().toJSON())"
    )
    assert left["top"] == right["top"]
    assert left["right"] <= right["left"]
    lead = [node.get_attribute("data-index") for node in versions.first.locator(".chosen").all()]
    assert lead == ["0", "1", "2"]
    expect(summarize.get_by_role("status")).to_contain_text("两种方法都选了")
    summarize.get_by_label("并排比较").select_option("")
    expect(versions).to_have_count(1)


# Everywhere


@pytest.mark.parametrize("name", ["classify", "detect", "summarize"])
def test_every_example_runs(page: Page, name: str) -> None:
    task = panel(page, name)
    for example in ("中文", "English", "中英混合"):
        with page.expect_response(lambda response: response.request.method == "POST") as received:
            task.get_by_role("group", name="示例").get_by_role("button", name=example).click()
        assert received.value.status == 200, example
        assert (
            task.get_by_role("textbox", name="文本").input_value()
            == received.value.request.post_data_json["input"]
        )
    expect(task.locator(".facts")).to_be_visible()


def test_a_blank_text_is_not_sent(page: Page) -> None:
    classify = panel(page, "classify")
    sent = requests_to(page, "/classify")
    classify.get_by_role("textbox", name="文本").fill(" \n ")
    classify.get_by_role("button", name="运行", exact=True).click()
    expect(classify.get_by_role("status")).to_have_text("请先输入文字。")
    assert sent == []


def test_characters_are_counted_as_people_count_code_points(page: Page) -> None:
    classify = panel(page, "classify")
    classify.get_by_role("textbox", name="文本").fill("我🍎𝒚")
    expect(classify.locator(".counter")).to_have_text("3 个字符")


def test_raw_json_is_the_answer_and_curl_is_the_request(page: Page) -> None:
    classify = panel(page, "classify")
    text = """It's "good", 我喜欢 $HOME `id` \\ !"""
    classify.get_by_role("textbox", name="文本").fill(text)
    with page.expect_response(lambda response: response.url.endswith("/classify")) as received:
        classify.get_by_role("button", name="运行", exact=True).click()
    classify.get_by_text("原始 JSON").click()
    shown = classify.get_by_role("region", name="原始 JSON").inner_text()
    assert json.loads(shown) == received.value.json()
    classify.get_by_text("curl 命令").click()
    words = shlex.split(classify.get_by_role("region", name="curl 命令").inner_text())
    assert words[2] == received.value.url
    assert json.loads(words[words.index("--data-raw") + 1]) == {"input": text}


def test_a_link_restores_text_settings_and_result(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(page_server)
        detect = panel(page, "detect")
        detect.get_by_label("标记单位").select_option("char")
        run(detect, "今天错气很好 & 50% #1")
        detect.get_by_role("slider", name="阈值").fill("0.7")
        detect.get_by_role("button", name="复制链接").click()
        expect(detect.get_by_role("status")).to_contain_text("链接已复制")
        link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{page_server}#detect?")
    with watched_page(browser, page_server) as page:
        page.goto(link)
        detect = page.locator("#panel-detect")
        expect(detect.locator(".heat .flagged")).to_have_text(["错"])
        expect(detect.get_by_role("textbox", name="文本")).to_have_value("今天错气很好 & 50% #1")
        expect(detect.get_by_label("标记单位")).to_have_value("char")
        expect(detect.locator("#threshold-value")).to_have_text("0.70")
        expect(page.locator("#tab-detect")).to_have_attribute("aria-selected", "true")


def test_a_link_waits_to_know_what_its_model_can_do(page: Page, page_server: str) -> None:
    def late(route: Route) -> None:
        listed = route.fetch().json()
        for model in listed["data"]:
            model["suggestions"] = False
        time.sleep(0.5)
        route.fulfill(json=listed)

    page.goto("about:blank")
    page.route("**/v1/models", late)
    with page.expect_request("**/detect-replaced") as asked:
        page.goto(f"{page_server}#detect?text=今天错气很好")
    assert asked.value.post_data_json["suggestions"] == 0


def test_a_link_restores_the_length_in_its_own_unit(page: Page, page_server: str) -> None:
    page.goto(f"{page_server}#summarize?text=今天很好。苹果很好。&unit=max_chars&length=700&method=lead")
    page.reload()
    summarize = page.locator("#panel-summarize")
    expect(summarize.locator(".facts")).to_be_visible()
    expect(summarize.locator("#length-value")).to_have_text("700 字")
    expect(summarize.get_by_label("方法")).to_have_value("lead")


def test_an_error_is_shown_as_the_service_gave_it(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, expected=(REFUSED,)) as page:
        page.goto(page_server)
        classify = panel(page, "classify")
        run(classify, "今天很好")
        classify.get_by_role("textbox", name="文本").fill("\u200b")  # not blank, and nothing to read
        with page.expect_response(lambda response: response.url.endswith("/classify")) as received:
            classify.get_by_role("button", name="运行", exact=True).click()
        problem = received.value.json()
        assert problem["status"] == 422
        alert = classify.get_by_role("alert")
        for part in (problem["title"], problem["detail"], problem["request_id"], "HTTP 422"):
            expect(alert).to_contain_text(part)
        for error in problem["errors"]:
            expect(alert.get_by_role("listitem")).to_contain_text(error["field"])
            expect(alert.get_by_role("listitem")).to_contain_text(error["message"])
        expect(classify.get_by_role("listitem").filter(has_text="%")).to_have_count(0)
        run(classify, "今天很好")
        expect(alert).to_be_empty()
        expect(classify.get_by_role("listitem")).to_have_count(2)


def test_a_model_that_is_not_served_is_refused_in_the_services_words(
    browser: Browser, page_server: str
) -> None:
    with watched_page(browser, page_server, expected=(REFUSED,)) as page:
        page.goto(f"{page_server}#classify?text=今天很好&model=nobody")
        alert = page.locator("#panel-classify").get_by_role("alert")
        expect(alert).to_contain_text("HTTP 404")
        expect(alert).to_contain_text("nobody")


def test_long_work_shows_progress_and_can_be_cancelled(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        page.route("**/classify", lambda route: None)  # an answer that never comes
        classify = panel(page, "classify")
        classify.get_by_role("textbox", name="文本").fill("今天很好")
        classify.get_by_role("button", name="运行", exact=True).click()
        expect(classify.get_by_role("progressbar", name="处理中……")).to_be_visible()
        expect(classify.locator(".elapsed")).to_have_text(re.compile(r"^[\d.]+ 秒$"))
        classify.get_by_role("button", name="取消").click()
        expect(classify.get_by_role("status")).to_have_text("已取消。")
        expect(classify.get_by_role("progressbar")).to_be_hidden()
        page.unroute("**/classify")
        run(classify, "今天很好")


def test_a_server_that_is_away_is_said_so_and_tried_again(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, expected=(REFUSED,)) as page:
        page.goto(page_server)
        page.route("**/classify", lambda route: route.abort())
        classify = panel(page, "classify")
        classify.get_by_role("textbox", name="文本").fill("今天很好")
        classify.get_by_role("button", name="运行", exact=True).click()
        expect(classify.get_by_role("alert")).to_contain_text("连不上服务器")
        page.unroute("**/classify")
        classify.get_by_role("button", name="再试一次").click()
        expect(classify.get_by_role("listitem")).to_have_count(2)


def test_cancelling_after_an_error_brings_back_the_last_result(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, expected=(REFUSED,)) as page:
        page.goto(page_server)
        classify = panel(page, "classify")
        run(classify, "今天很好")
        answers = iter([lambda route: route.abort(), lambda route: None])
        page.route("**/classify", lambda route: next(answers)(route))
        classify.get_by_role("button", name="运行", exact=True).click()
        expect(classify.locator(".problem")).to_be_visible()
        expect(classify.locator(".bars")).to_be_hidden()
        classify.get_by_role("button", name="再试一次").click()
        classify.get_by_role("button", name="取消").click()
        expect(classify.get_by_role("status")).to_have_text("已取消。")
        expect(classify.locator(".problem")).to_have_count(0)
        expect(classify.locator(".bars")).to_be_visible()


def test_only_the_last_of_two_runs_is_shown(page: Page) -> None:
    classify = panel(page, "classify")
    held = []
    page.route("**/classify", lambda route: held.append(route) if not held else route.continue_())
    classify.get_by_role("textbox", name="文本").fill("今天很好")
    classify.get_by_role("button", name="运行", exact=True).click()
    classify.get_by_label("模型").select_option("topic")
    classify.get_by_role("button", name="运行", exact=True).click()
    expect(classify.get_by_role("listitem")).to_have_count(3)
    expect(classify.locator("progress")).to_be_hidden()
