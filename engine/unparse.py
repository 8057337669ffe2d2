"""A typed expression as an author would write it: for traces and differences."""

from __future__ import annotations

from typing import Any

from engine import syntax as s


def text(node: s.Node) -> str:
    """The expression in the rule language."""
    return _text(node, 0)


_COMPARE, _AND, _OR, _NOT, _SUM, _PRODUCT = 4, 2, 1, 3, 5, 6


def _text(node: s.Node, outer: int) -> str:
    shown, level = _shown(node)
    return f"({shown})" if level < outer else shown


def _shown(node: s.Node) -> tuple[str, int]:
    if isinstance(node, s.Const):
        return _literal(node.value), 9
    if isinstance(node, (s.Fact, s.Formula)):
        return node.name, 9
    if isinstance(node, s.Variable):
        return node.name.rpartition("_")[0], 9
    if isinstance(node, s.Parameter):
        return f"parameters.{node.name}" + (f"[{text(node.key)}]" if node.key else ""), 9
    if isinstance(node, s.FieldOf):
        return f"{_text(node.record, 9)}.{node.name}", 9
    if isinstance(node, s.AsOf):
        return "as_of", 9
    if isinstance(node, s.Outcome):
        return "outcome", 9
    if isinstance(node, s.Not):
        if isinstance(node.item, s.IsNull):
            return f"{_text(node.item.item, 9)} is not null", _COMPARE
        if isinstance(node.item, s.In):
            return f"{_text(node.item.item, _SUM)} not in {_text(node.item.collection, _SUM)}", _COMPARE
        return f"not {_text(node.item, _NOT)}", _NOT
    if isinstance(node, (s.And, s.Or)):
        word, level = ("and", _AND) if isinstance(node, s.And) else ("or", _OR)
        return f" {word} ".join(_text(i, level + 1) for i in node.items) or "true", level
    if isinstance(node, s.If):
        return f"{_text(node.then, 1)} if {_text(node.condition, 1)} else {_text(node.otherwise, 0)}", 0
    if isinstance(node, s.Compare):
        return f"{_text(node.left, _SUM)} {node.op} {_text(node.right, _SUM)}", _COMPARE
    if isinstance(node, s.In):
        return f"{_text(node.item, _SUM)} in {_text(node.collection, _SUM)}", _COMPARE
    if isinstance(node, s.IsNull):
        return f"{_text(node.item, 9)} is null", _COMPARE
    if isinstance(node, s.Arithmetic):
        level = _PRODUCT if node.op == "*" else _SUM
        return f"{_text(node.left, level)} {node.op} {_text(node.right, level + 1)}", level
    if isinstance(node, s.Negative):
        return f"-{_text(node.item, 9)}", 8
    return _called(node), 9


def _called(node: s.Node) -> str:
    if isinstance(node, s.Call):
        return f"{node.function}({', '.join(map(text, node.arguments))})"
    if isinstance(node, (s.Aggregate, s.Select)):
        variable = node.variable.rpartition("_")[0]
        value = variable if node.value is None else text(node.value)
        loop = f"{value} for {variable} in {text(node.source)}" + (f" if {text(node.condition)}" if node.condition else "")
        return f"{node.function}({loop})" if isinstance(node, s.Aggregate) else f"[{loop}]"
    if isinstance(node, s.ListOf):
        return f"[{', '.join(map(text, node.items))}]"
    if isinstance(node, s.TableCall):
        return f"tables.{node.table}({', '.join(f'{n}={text(a)}' for n, a in node.arguments)})"
    if isinstance(node, s.ScaleCall):
        return f"scales.{node.scale}({text(node.amount)})"
    if isinstance(node, s.Violated):
        return f'violated("{node.code}")'
    if isinstance(node, s.Applies):
        return f'applies("{node.code}")'
    if isinstance(node, s.Preceding):
        return f"preceding({text(node.value)})"
    if isinstance(node, s.First):
        return "first(" + "; ".join(f"{text(x.when)}: {text(x.then)}" if x.when else f"else: {text(x.then)}" for x in node.lines) + ")"
    if isinstance(node, s.SetOf):
        return "{" + ", ".join(f"{v} if {text(t)}" for v, t in node.members) + "}"
    if isinstance(node, s.Each):
        return f"each {node.variable.rpartition('_')[0]} in {text(node.source)}"
    raise TypeError(f"no text for {type(node).__name__}")


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value.replace("_", "a").isidentifier() else f'"{value}"'
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
