"""A view of an image does not keep the image alive: no code may take one of a temporary."""

from __future__ import annotations

import ast

from places import REPOSITORY

VIEW = "GetArrayViewFromImage"
KEPT = (ast.Name, ast.Attribute)


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def views_of_temporaries(source: str) -> list[str]:
    """The calls that view an image which nothing holds when the view is used."""
    tree = ast.parse(source)
    viewers = {VIEW} | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.body[-1], ast.Return)
        and isinstance(node.body[-1].value, ast.Call)
        and called(node.body[-1].value) == VIEW
    }
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and called(node) in viewers
        and node.args
        and not isinstance(node.args[0], KEPT)
        and not (
            isinstance(node.args[0], ast.Subscript)
            and isinstance(node.args[0].slice, ast.Constant | ast.Name)
        )
    ]


def test_the_check_finds_a_view_of_a_temporary():
    assert views_of_temporaries("sitk.GetArrayViewFromImage(image > 0)")
    assert views_of_temporaries("sitk.GetArrayViewFromImage(image[1:, :, :])")
    assert views_of_temporaries(
        "def view(image):\n    return sitk.GetArrayViewFromImage(image)\nview(resample(a, b))"
    )
    assert not views_of_temporaries("sitk.GetArrayViewFromImage(images[name]) > 0")


def test_no_view_is_taken_of_an_image_that_is_already_gone():
    found = [
        f"{path.relative_to(REPOSITORY)}: {line}"
        for folder in ("SyntheticCT", "SyntheticCTEval", "Testing")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line in views_of_temporaries(path.read_text(encoding="utf-8"))
    ]
    assert not found
