"""What pip is told, uv is told too."""

from pathlib import Path

from tools.setup.mirrors import translate


def test_the_mirror_of_a_company_is_passed_on() -> None:
    listing = "global.index-url='https://mirror.example/simple'\nglobal.cert='/etc/ca.pem'"
    assert translate(listing) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_the_environment_goes_before_files() -> None:
    listing = ":env:.index-url='https://b.example'\nglobal.index-url='https://a.example'"
    assert translate(listing) == {"UV_DEFAULT_INDEX": "https://b.example"}


def test_several_indexes_on_several_rows_become_one_list() -> None:
    listing = "global.extra-index-url='\\nhttps://a.example\\nhttps://b.example'"
    assert translate(listing) == {"UV_INDEX": "https://a.example https://b.example"}


def test_folders_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    listing = f"global.find-links='{tmp_path} {tmp_path}/gone https://wheels.example'"
    assert translate(listing) == {"UV_FIND_LINKS": f"{tmp_path},https://wheels.example"}


def test_other_options_are_none_of_our_business() -> None:
    assert translate("global.timeout='60'\nfreeze.timeout='10'\nnonsense") == {}
