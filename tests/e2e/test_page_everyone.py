"""The page for everyone: keyboard, screen reader, phone, light and dark, Chinese and English."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import REFUSED, serious_problems, watched_page

pytestmark = pytest.mark.browser

TASKS = ("classify", "detect", "summarize")
TEXTS = {
    "classify": "今天天气很好，I like apples.",
    "detect": "今天错气很好🍎，我们去公园吧。",
    "summarize": "今天天气很好。我们去公园吧。他说苹果很好吃！新闻说经济不坏。The cat sat on the mat.",
}


def run_by_keyboard(page: Page, name: str) -> None:
    page.locator(f"#tab-{name}").click()
    page.locator(f"#panel-{name} textarea").fill(TEXTS[name])
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"#panel-{name} .facts").first).to_be_visible()


def brightness(page: Page, property_: str) -> float:
    """0 (black) to 1 (white) of a colour of the page's body text or ground."""
    script = """(name) => {
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.fillStyle = getComputedStyle(document.documentElement)[name];
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).reduce((sum, part) => sum + part, 0) / 765;
    }"""
    value: float = page.evaluate(script, property_)
    return value


# The second time only what the colours can change.
@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])])
def test_axe_finds_no_serious_problem(
    browser: Browser, page_server: str, scheme: str, rules: list[str] | None
) -> None:
    with watched_page(
        browser, page_server, expected=(REFUSED,), color_scheme=scheme, reduced_motion="reduce"
    ) as page:
        page.goto(page_server)
        expect(page.locator("#named-thresholds button")).to_have_count(3)
        for name in TASKS:
            run_by_keyboard(page, name)
            panel = page.locator(f"#panel-{name}")
            for summary in panel.locator("summary").all():
                summary.click()
            expect(panel.locator("pre")).to_have_count(2)
            if name == "summarize":
                panel.get_by_label("并排比较").select_option("lead")
                expect(panel.locator(".version")).to_have_count(2)
            assert serious_problems(page, rules) == [], name
        page.locator("#tab-detect").click()
        page.locator(".heat .flagged").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert serious_problems(page, rules) == []
        page.keyboard.press("Escape")
        page.route("**/detect-replaced", lambda route: route.abort())
        page.locator("#panel-detect").get_by_role("button", name="运行", exact=True).click()
        expect(page.locator(".problem")).to_be_visible()
        assert serious_problems(page, rules) == []


def test_tabs_follow_the_arrow_keys(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        page.locator("#tab-classify").focus()
        for key, name in (
            ("ArrowRight", "detect"),
            ("End", "summarize"),
            ("ArrowRight", "classify"),
            ("ArrowLeft", "summarize"),
        ):
            page.keyboard.press(key)
            expect(page.locator(f"#tab-{name}")).to_be_focused()
            expect(page.locator(f"#tab-{name}")).to_have_attribute("aria-selected", "true")
            expect(page.get_by_role("tabpanel")).to_have_count(1)
            expect(page.get_by_role("tabpanel")).to_have_attribute("id", f"panel-{name}")
        assert page.locator('[role="tab"][tabindex="0"]').count() == 1


def test_the_whole_text_is_one_tab_stop_with_arrows_inside(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        page.locator("#tab-detect").click()
        page.locator("#panel-detect textarea").fill("错今天错气很好错")
        page.keyboard.press("Control+Enter")
        pieces = page.locator(".heat [data-piece]")
        expect(pieces).to_have_count(8)
        assert page.locator('.heat [tabindex="0"]').count() == 1
        page.locator('.heat [tabindex="0"]').focus()
        for key, at in (
            ("ArrowDown", "3"),
            ("ArrowDown", "7"),
            ("ArrowDown", "7"),
            ("ArrowUp", "3"),
            ("ArrowRight", "4"),
            ("Home", "0"),
            ("ArrowLeft", "0"),
            ("End", "7"),
        ):
            page.keyboard.press(key)
            assert page.locator(":focus").get_attribute("data-piece") == at, key
        assert page.locator('.heat [tabindex="0"]').count() == 1


def test_results_are_announced_and_flags_are_named(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        run_by_keyboard(page, "detect")
        panel = page.locator("#panel-detect")
        expect(panel.get_by_role("status")).to_contain_text("1 处可疑")
        name = panel.locator(".heat").get_by_role("button").get_attribute("aria-label") or ""
        assert name.startswith("错，可疑，概率 0.9")
        run_by_keyboard(page, "summarize")
        marks = page.locator("#panel-summarize mark").all_inner_texts()
        assert all("第" in mark and "名" in mark for mark in marks)


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_needs_sideways_scrolling(browser: Browser, page_server: str, width: int) -> None:
    options = {
        "viewport": {"width": width, "height": 740},
        "has_touch": True,
        "is_mobile": width < 500,
        "reduced_motion": "reduce",
    }
    with watched_page(browser, page_server, **options) as page:
        page.goto(page_server)
        for name in TASKS:
            page.locator(f"#tab-{name}").click()
            panel = page.locator(f"#panel-{name}")
            panel.locator("textarea").fill(TEXTS[name] + "https://example.org/" + "a" * 300)
            panel.get_by_role("button", name="运行", exact=True).click()
            expect(panel.locator(".facts")).to_be_visible()
            for summary in panel.locator("summary").all():
                summary.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.locator("#panel-summarize").get_by_label("并排比较").select_option("lead")
        expect(page.locator(".version")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#tab-detect").click()
        page.locator(".heat .flagged").first.tap()
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_dark_follows_the_system_and_the_button_overrules_it(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, color_scheme="dark") as page:
        page.goto(page_server)
        assert brightness(page, "backgroundColor") < 0.2
        assert brightness(page, "color") > 0.7
        page.get_by_role("button", name="外观：跟随系统").click()
        assert brightness(page, "backgroundColor") > 0.8
        page.reload()
        assert brightness(page, "backgroundColor") > 0.8
        page.get_by_role("button", name="外观：浅色").click()
        page.emulate_media(color_scheme="light")
        assert brightness(page, "backgroundColor") < 0.2
        page.get_by_role("button", name="外观：深色").click()
        assert brightness(page, "backgroundColor") > 0.8


@pytest.mark.parametrize(("locale", "lang", "tab"), [("zh-TW", "zh-CN", "检错"), ("de-DE", "en", "Detect")])
def test_the_language_follows_the_browser(
    browser: Browser, page_server: str, locale: str, lang: str, tab: str
) -> None:
    with watched_page(browser, page_server, locale=locale) as page:
        page.goto(page_server)
        expect(page.locator("html")).to_have_attribute("lang", lang)
        expect(page.locator("#tab-detect .tab-name")).to_have_text(tab)


def test_the_language_can_be_changed_with_a_result_on_the_page_and_is_kept(
    browser: Browser, page_server: str
) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        run_by_keyboard(page, "detect")
        page.get_by_role("button", name="English", exact=True).first.click()
        panel = page.locator("#panel-detect")
        expect(panel.get_by_role("status")).to_contain_text("Flagged: 1")
        expect(panel.locator(".heat .flagged")).to_have_attribute(
            "aria-label", "错, flagged, probability 0.98"
        )
        translated = page.locator("[data-i18n]").all_text_contents()
        assert [text for text in translated if re.search(r"[\u3400-\u9fff]", text)] == []
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page).to_have_title("ELECTRA text workbench")
