"""Bad input: valid files and values, changed at random.

Every function takes a `random.Random`, or Hypothesis's stand-in for one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from xml.etree import ElementTree

DEEP = 300
"""Levels of nesting."""
SCALARS = (
    "", "null", "true", "nan", ".nan", "inf", ".inf", "-.inf", "-1", "0", "0.5", "1e400", "1e308", "-0.0", "1e-320",
    "9" * 5000, str(2**31), str(2**63), str(10**30), "-" + "9" * 400, "0x10", "1_000", "012", "1:30", "2020-01-01",
    "text", "none", "''", "' '", "x" * 131_072, "[]", "{}", "[1, 2]", "{a: 1}", "[[]]", "{name: edm}", "[null]", "['']",
    "[" * DEEP + "]" * DEEP, "{a: " * DEEP + "1" + "}" * DEEP, "[nan]", "[1, 1]", "[-1]", "[" + "9" * 5000 + "]",
    "${seed}", "${oc.env:HOME}", "${agent}", "${nowhere}", "${", "${a", "???", "${oc.decode:1}", "!!python/none x",
    "!!binary aGk=", "!!python/object/apply:os.getcwd []", "!!int x", "!!float x", "!x y", "&a [*a]", "*b",
    "&a {b: *a}",
    "'\\0'", '"\\0"', '"\\n\\n"', '"\\e[31m"', "é", "\u202e", "\ud800", "\x07", "\t", "/dev/zero", "/etc/passwd", "..",
    "/", "~", ".", "a\x00b", "%s", "{0}", "[x](y)", "[bold]", "a,b", "-", "- a", "? a", ": a", "@a", "`a", "|", ">",
    "#",
)  # fmt: skip
"""YAML texts of one value."""
WORDS = (
    "", " ", "nan", "inf", "-inf", "-1", "0", "1e400", "9" * 5000, "x" * 131_072, "text", "1:30", "07:00", "-0", "0.5",
    "1e308", "1e-320", str(2**31), str(2**63), "\u202e", "é", "1,2", "1 2", "0,0 0,0", "nan,nan", "..", "/etc/passwd",
    "/dev/zero", "%s", "${HOME}", "true", "null", "&lt;", "static", "NEMA", "r", "GGGG", "J0", "0x1", "1_0", "²", "٣",
)  # fmt: skip
"""Texts of one attribute or cell."""


def text(rnd: Random, good: str) -> str:
    """The text cut, doubled, or with something inserted or taken out."""
    start = rnd.randrange(len(good) + 1)
    end = min(len(good), start + rnd.choice((0, 1, 1, 5, 40)))
    insert = rnd.choice(
        ("", "\0", "\t", "\x85", "\ufeff", "\ud83d", ":", "-", "[", "{", "'", '"', "&a", "*a", "<", "%")
    )
    choices = (
        lambda: good[:start],
        lambda: good[start:],
        lambda: good[:start] + insert + good[end:],
        lambda: good[:start] + good[start:end] * 3 + good[end:],
        lambda: good[:start] + rnd.choice(SCALARS) + good[end:],
        lambda: good.replace("\n", "\r"),
    )
    return rnd.choice(choices)()


def data(rnd: Random, good: bytes) -> bytes:
    """The bytes cut, or with some of them changed."""
    start = rnd.randrange(len(good) + 1)
    choices = (
        lambda: good[:start],
        lambda: good[start:],
        lambda: b"",
        lambda: good[:start] + bytes([rnd.randrange(256)]) + good[start + 1 :],
        lambda: good[:8] + bytes(rnd.randrange(256) for _ in range(16)) + good[24:],
        lambda: b"\xff" * 8 + good[8:],
        lambda: good + b"\0" * 64,
        lambda: b"\0" * len(good),
        lambda: b"\x80\x04\x95" + good,
    )
    return rnd.choice(choices)()


def places(tree: Any, at: tuple = ()) -> list[tuple]:
    """The paths of all values below the root."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inner for path in ((*at, key), *places(value, (*at, key)))]


def tree(rnd: Random, good: Any, values: Sequence[Any]) -> Any:
    """The tree with one or two of its values replaced, removed, renamed or wrapped."""
    changed = copy.deepcopy(good)
    for _ in range(rnd.choice((1, 1, 1, 2))):
        found = places(changed)
        if not found:
            return rnd.choice(values)
        *above, key = rnd.choice(found)
        inner = changed
        for name in above:
            inner = inner[name]
        _change(rnd, inner, key, values)
    return changed


def _change(rnd: Random, inner: Any, key: Any, values: Sequence[Any]) -> None:
    how = rnd.choice(("replace", "replace", "replace", "remove", "rename", "wrap", "swap"))
    if how == "remove":
        del inner[key]
    elif how == "rename" and isinstance(inner, dict):
        inner[rnd.choice((f"{key}x", "", "name", "0", 0, None, True, "a.b", "$tensor", "x" * 9000))] = inner.pop(key)
    elif how == "wrap":
        inner[key] = rnd.choice(([inner[key]], {"name": inner[key]}, {str(key): inner[key]}, [inner[key]] * 3))
    elif how == "swap":
        inner[key] = copy.deepcopy(inner[rnd.choice(list(inner))]) if isinstance(inner, dict) else [*inner]
    else:
        inner[key] = rnd.choice(values)


JSON_VALUES = (
    None, True, -1, 0, 1, 0.5, float("nan"), float("inf"), 10**30, 2**63, 9**999, "", "text", "x" * 131_072, [], {},
    [1, 2],
    [[]], {"a": 1}, {"$tensor": "none"}, {"$tuple": 3}, {"$pairs": 3}, {"$pairs": [[1, 2], [[3], 4]]}, "/etc/passwd",
    "../x",
    "\0", "\ud800",
)  # fmt: skip


def json_text(rnd: Random, good: str) -> str:
    """A JSON text with other values, or damaged."""
    if rnd.random() < 0.2:
        return text(rnd, good)
    if rnd.random() < 0.1:
        return rnd.choice(("[" * 100_000, "[" * DEEP + "]" * DEEP, "9" * 5000, '{"a":' * 5000, "", "null", "3", '"a"'))
    return json.dumps(tree(rnd, json.loads(good), JSON_VALUES))


def xml(rnd: Random, good: str) -> str:
    """An XML text with other attributes or elements, or damaged."""
    if rnd.random() < 0.15:
        return text(rnd, good)
    root = ElementTree.fromstring(good)
    for _ in range(rnd.choice((1, 1, 1, 2))):
        elements = [element for element in root.iter() if element is not root]
        if not elements:
            break
        tags = sorted({element.tag for element in elements})
        tag = rnd.choice(tags)
        _change_element(rnd, root, rnd.choice([element for element in elements if element.tag == tag]), tags)
    return ElementTree.tostring(root, encoding="unicode")


def _change_element(rnd: Random, root: ElementTree.Element, element: ElementTree.Element, tags: list[str]) -> None:
    parent = next(each for each in root.iter() if element in list(each))
    how = rnd.choice(("attribute", "attribute", "attribute", "drop", "remove", "double", "tag", "all", "nest"))
    names = sorted(element.attrib)
    if how == "attribute" and names:
        element.set(rnd.choice(names), rnd.choice(WORDS))
    elif how == "drop" and names:
        del element.attrib[rnd.choice(names)]
    elif how == "remove":
        parent.remove(element)
    elif how == "double":
        parent.append(copy.deepcopy(element))
    elif how == "tag":
        element.tag = rnd.choice(tags)
    elif how == "all":
        for each in list(root.iter(element.tag)):
            if each is not root and element.tag != root.tag and each in list(root):
                root.remove(each)
    elif how == "nest":
        element.append(copy.deepcopy(element))


def table(rnd: Random, good: str) -> str:
    """A CSV text with other cells, or damaged."""
    if rnd.random() < 0.25:
        return text(rnd, good)
    rows = [line.split(",") for line in good.splitlines()]
    row = rnd.choice(rows)
    column = rnd.randrange(len(row))
    changes: tuple[Callable[[], Any], ...] = (
        lambda: row.__setitem__(column, rnd.choice(WORDS)),
        lambda: row.__setitem__(column, rnd.choice(WORDS)),
        lambda: row.pop(column),
        lambda: row.insert(column, rnd.choice(WORDS)),
        lambda: rows.remove(row),
        lambda: rows.append(row),
        lambda: [each.pop() for each in rows],
    )
    rnd.choice(changes)()
    return rnd.choice(("\n", "\r\n", "\r", "\n\n")).join(rnd.choice((",", ",", ";", "\t")).join(r) for r in rows)


def weights(rnd: Random, good: Any) -> Any:
    """Tensors by name, one of them of another shape or type, without finite values, renamed or removed."""
    import torch

    changed = dict(good)
    if not changed:
        return {"more": torch.zeros(2)}
    name = rnd.choice(sorted(changed))
    value = changed.pop(name)
    choices: tuple[Callable[[], Any], ...] = (
        lambda: changed,
        lambda: {**changed, f"{name}x": value},
        lambda: {**changed, name: value.reshape(-1)[:1].clone()},
        lambda: {**changed, name: torch.zeros(3, 3)},
        lambda: {**changed, name: torch.zeros(0)},
        lambda: {**changed, name: value.to(torch.float16)},
        lambda: {**changed, name: torch.full_like(value, 1) * (float("nan") if value.is_floating_point() else -1)},
        lambda: {**good, "more": torch.zeros(2)},
    )
    return rnd.choice(choices)()
