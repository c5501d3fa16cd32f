"""What a hostile text, a lost key or another origin could do to the page: nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import REFUSED, watched_page
from tests.server import running
from tests.toy import toy_bundle

pytestmark = pytest.mark.browser

MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script><b>错</b>今天很好。苹果很好。'
RIGHT_TO_LEFT = "مرحبا بالعالم، 今天错气很好。\u202eabc\u202c שלום עולם! 苹果很好。"
KEY = "open-sesame"
TASKS = ("classify", "detect", "summarize")


@pytest.fixture(scope="module")
def locked_page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service that asks for a key."""
    directory = tmp_path_factory.mktemp("locked")
    models = directory / "models"
    toy_bundle(models, "sentiment", task="classify")
    with running(models, directory / "run", api_keys=KEY) as started:
        yield started.url + "/"


def run(page: Page, name: str, text: str) -> None:
    page.locator(f"#tab-{name}").click()
    panel = page.locator(f"#panel-{name}")
    panel.locator("textarea").fill(text)
    panel.get_by_role("button", name="运行", exact=True).click()
    expect(panel.locator(".facts")).to_be_visible()
    panel.get_by_text("原始 JSON").click()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("text", [MARKUP, RIGHT_TO_LEFT], ids=["markup", "right-to-left"])
def test_whatever_is_typed_stays_text(browser: Browser, page_server: str, name: str, text: str) -> None:
    with watched_page(browser, page_server) as page:
        page.goto(page_server)
        run(page, name, text)
        output = page.locator(f"#panel-{name} .output")
        assert output.locator("img, script, b").count() == 0
        assert page.evaluate("window.hacked") is None
        if name == "detect":
            assert output.locator(".heat").inner_text() == text
            assert "错" in output.locator(".heat .flagged").all_inner_texts()
        if name == "summarize":
            assert output.locator(".sentence:not(.chosen)").count() + output.locator(".chosen").count() > 1


def test_a_link_can_carry_markup_and_nothing_happens(browser: Browser, page_server: str) -> None:
    with watched_page(browser, page_server, expected=(REFUSED,)) as page:
        page.goto(
            f"{page_server}#classify?text=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&model=%3Cb%3Ex%3C/b%3E&top_k=x"
        )
        panel = page.locator("#panel-classify")
        expect(panel.get_by_role("alert")).to_contain_text("<b>x</b>")
        assert panel.locator("img, .output b, .problem b").count() == 0


def test_the_page_keeps_to_a_strict_policy(browser: Browser, page_server: str) -> None:
    with watched_page(
        browser, page_server, expected=("Executing inline script", "Refused to execute")
    ) as page:
        response = page.goto(page_server)
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy or "default-src 'self'" in policy
        assert "unsafe" not in policy
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.inline = 1";
              document.body.append(script);
            }"""
        )
        assert page.evaluate("window.inline") is None


def test_a_service_with_keys_asks_for_one_and_the_tab_keeps_it(
    browser: Browser, locked_page_server: str
) -> None:
    with watched_page(browser, locked_page_server, expected=(REFUSED,)) as page:
        page.goto(locked_page_server)
        field = page.get_by_label("API 密钥")
        expect(field).to_be_focused()
        field.fill("wrong")
        page.get_by_role("button", name="使用").click()
        page.locator("#panel-classify textarea").fill("今天很好")
        page.locator("#panel-classify").get_by_role("button", name="运行", exact=True).click()
        expect(page.locator("#panel-classify").get_by_role("alert")).to_contain_text("HTTP 401")
        expect(field).to_be_focused()
        field.fill(KEY)
        page.get_by_role("button", name="使用").click()
        expect(page.locator("#panel-classify .facts")).to_be_visible()
        expect(page.locator("#panel-classify").get_by_label("模型")).to_contain_text("sentiment")
        page.locator("#panel-classify").get_by_text("curl 命令").click()
        command = page.locator("#panel-classify").get_by_role("region", name="curl 命令").inner_text()
        assert 'Authorization: Bearer $API_KEY"' in command
        assert KEY not in page.content()
        assert KEY not in page.evaluate("JSON.stringify(localStorage)")
        assert KEY not in page.url
        page.reload()
        page.locator("#panel-classify").get_by_role("button", name="运行", exact=True).click()
        expect(page.locator("#panel-classify .facts")).to_be_visible()
        page.get_by_role("button", name="忘记").click()
        assert KEY not in page.evaluate("JSON.stringify(sessionStorage)")
        expect(field).to_be_hidden()
