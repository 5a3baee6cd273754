"""The examples of the package's documentation, run as they are."""

import doctest
import importlib
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = ["_artifact", "_documents", "_feed", "_preference", "_sequences", "_tokenizer"]
PAGES = [HERE.parent / "README.md", HERE.parent.parent / "docs" / "python.md"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    found = doctest.testmod(importlib.import_module(f"ratdata.{name}"), optionflags=FLAGS)

    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_are_true(page):
    found = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)

    assert found.attempted > 0
    assert found.failed == 0
