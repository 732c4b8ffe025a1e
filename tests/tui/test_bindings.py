"""The list of all keys is whole, and each key and action has its counterpart."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import tui.screens
import tui.widgets
from tui.app import NixFleetApp
from tui.bindings import PLACES, app_keys


def own_nodes() -> list[type[DOMNode]]:
    """The app, and every class of its screens and widgets that has bindings in its own body."""
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in (tui.screens, tui.widgets)
        for found in pkgutil.iter_modules(package.__path__)
    ]
    found = {
        node
        for module in modules
        for node in vars(module).values()
        if isinstance(node, type)
        and issubclass(node, DOMNode)
        and node.__module__ == module.__name__
    }
    return [NixFleetApp, *(node for node in found if node.__dict__.get("BINDINGS"))]


def test_every_class_with_bindings_has_its_place() -> None:
    assert {node for _, node in PLACES} == set(own_nodes())


def test_every_key_has_an_id_of_its_own_keys_and_words() -> None:
    keys = list(app_keys())
    assert len({key.id for key in keys}) == len(keys)
    assert all(key.description and all(key.keys) for key in keys)
    assert len(keys) == sum(len(node.BINDINGS) for _, node in PLACES)


@pytest.mark.parametrize("node", [node for _, node in PLACES], ids=lambda node: node.__name__)
def test_every_key_has_an_action_that_exists(node: type[DOMNode]) -> None:
    for binding in node.BINDINGS:
        assert isinstance(binding, Binding)
        name = binding.action.split("(")[0]
        owner = NixFleetApp if name.startswith("app.") else node
        assert hasattr(owner, f"action_{name.removeprefix('app.')}"), binding


def test_every_action_of_our_own_has_a_key() -> None:
    called = {
        binding.action.split("(")[0].removeprefix("app.")
        for _, node in PLACES
        for binding in node.BINDINGS
        if isinstance(binding, Binding)
    }
    own = {
        name.removeprefix("action_")
        for _, node in PLACES
        for base in node.__mro__
        if base.__module__.startswith("tui.")
        for name in vars(base)
        if name.startswith("action_")
    }
    assert own - called == set()
