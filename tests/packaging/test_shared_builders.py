"""What two test modules share lies in tests/support: a test module is imported by nobody."""

import pytest

from tests.packaging.rules import Source, imported, sources


def imports_of_tests(source: Source) -> list[str]:
    """Return the imports of a test module or of a ``conftest`` that a file makes."""
    return [
        f"{source.name}:{line}: imports {module}"
        for line, module in imported(source)
        if module.split(".", 1)[0] == "tests"
        and any(word == "conftest" or word.startswith("test_") for word in module.split("."))
    ]


def test_no_file_imports_a_test_module() -> None:
    assert [problem for source in sources() for problem in imports_of_tests(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from tests.unit.trainer.lifecycle.test_rollout import a_package",
        "from tests.contract.kafka import test_broker",
        "def f():\n    import tests.integration.scorer.conftest",
    ],
)
def test_a_planted_import_of_a_test_module_is_found(text: str) -> None:
    assert imports_of_tests(Source.parse("tests/unit/scorer/test_x.py", text))
