"""What is taken over from a request."""

import pytest

from app.api.call import call_of, header, open_call


def scope(path: str = "/classify", *, root_path: str = "", **headers: str) -> dict[str, object]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "root_path": root_path,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize("given", ["abc", "A-1_2.3:4", "x" * 128])
def test_a_plain_request_id_is_kept(given: str) -> None:
    asked = scope(x_request_id=given)
    assert open_call(asked).request_id == given
    assert call_of(asked).context.request_id == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\r\nb: c", "<script>", "汉字"])
def test_any_other_is_replaced(given: str) -> None:
    made = open_call(scope(x_request_id=given)).request_id
    assert made != given
    assert len(made) == 32


def test_ids_differ() -> None:
    assert len({open_call(scope()).request_id for _ in range(100)}) == 100


def test_the_prefix_of_a_proxy_is_taken_off() -> None:
    assert open_call(scope("/electra/classify", root_path="/electra")).path == "/classify"
    assert open_call(scope("/electrification", root_path="/electra")).path == "/electrification"


def test_header_finds_the_first() -> None:
    asked = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]}
    assert header(asked, b"a") == b"1"
    assert header(asked, b"c") is None
