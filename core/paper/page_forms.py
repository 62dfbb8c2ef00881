"""The forms of the live page: one a command, and what their texts mean as arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from core.paper.faults import MEANING, FaultKind, parameters_of

_SEGMENTS = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")


@dataclass(frozen=True, slots=True)
class Field:
    """One input.

    Attributes:
        name: The argument it fills.
        kind: `text`, `whole` (an integer), `number` or `yes` (a boolean).
        start: What stands in it at first; empty for nothing.
        choices: What can be chosen; empty for free text.
        required: Whether the form goes without it.
    """

    name: str
    kind: str = "text"
    start: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One command with its inputs.

    Attributes:
        command: The control command.
        title: What its button says.
        meaning: What it does, in a line.
        fields: Its inputs.
    """

    command: str
    title: str
    meaning: str
    fields: tuple[Field, ...] = ()


def _needed(name: str, kind: str = "text", start: str = "", choices: tuple[str, ...] = ()) -> Field:
    return Field(name, kind, start, choices, required=True)


_CONTRACT = (_needed("exch", choices=_SEGMENTS), _needed("tsym", start="RELIANCE-EQ"))
_ORDER = _needed("norenordno")
_FILL = (_ORDER, Field("qty", "whole"), Field("prc"))

FORMS = (
    Form("set_price", "Set price", "Put the price of a contract somewhere.", (*_CONTRACT, _needed("price"))),
    Form("hold_price", "Hold price", "Stop the walk of a contract, or let it go on.",
         (*_CONTRACT, Field("hold", "yes", "true", ("true", "false")))),
    Form("cancel_order", "Cancel by exchange", "Cancel an open order that nobody asked to cancel.",
         (_ORDER, Field("reason"))),
    Form("fill_order", "Fill", "Fill an open order, whatever the book says.", _FILL),
    Form("late_fill", "Fill after cancel", "Fill an order that is cancelled already.", _FILL),
    Form("external_order", "Order from elsewhere", "An order that came by the web or from the broker's own desk.",
         (_needed("account"), *_CONTRACT, _needed("trantype", choices=("B", "S")), _needed("qty", "whole", "1"),
          Field("prctyp", choices=("LMT", "MKT")), Field("prc"), Field("prd", choices=("I", "C", "M")),
          Field("remarks"))),
    Form("kill_token", "Kill token", "End the session of one account, or of all.", (Field("account"),)),
    Form("close_sockets", "Close sockets", "Close the sockets of one account, or all.",
         (Field("account"), Field("code", "whole", "1000"), Field("reason"))),
    Form("set_cash", "Set cash", "Opening cash of an account in rupees.", (_needed("account"), _needed("cash"))),
    Form("set_holding", "Set holding", "Shares an account holds.",
         (_needed("account"), *_CONTRACT, _needed("quantity", "whole"), Field("cost"))),
    Form("end_session", "End session", "Square off intraday positions and cancel open DAY orders."),
    Form("end_of_day", "End day", "End the session, carry positions, clear the books, begin the next day."),
    Form("clear_faults", "Clear faults", "Take away all faults at work."),
)  # fmt: skip
"""What can be done by hand besides faults and switches, which come from the exchange's own list."""

_NARROWING = (
    Field("count", "whole"),
    Field("path"),
    Field("account"),
    Field("remarks"),
    Field("report"),
    Field("probability", "number"),
)
_PARAMETERS = (
    Field("seconds", "number"),
    Field("text"),
    Field("status", "whole"),
    Field("limit", "whole"),
    Field("qty", "whole"),
    Field("from"),
    Field("to"),
)
_FAULT_GROUPS = {
    "Answers": ("accept_", "drop_", "reply_", "refuse_", "rate_", "http_"),
    "Books and quotes": ("book_", "row_", "quote_", "position_", "unknown_", "status_"),
    "Order updates": ("push_",),
    "Sockets and session": ("socket_", "token_"),
    "Orders": ("reject_", "exchange_", "late_", "cancel_", "modify_"),
}

_KINDS = {field.name: field.kind for form in FORMS for field in form.fields} | {
    field.name: field.kind for field in (*_NARROWING, *_PARAMETERS, Field("id", "whole"))
}


def to_arguments(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What was typed into a form, as arguments of its command; a field left empty is an argument not given.

    An empty `value` is given, as None: it takes a limit away.

    Raises:
        ValueError: A field does not hold what it should; the message names it.
    """
    typed = {name: text.strip() for name, text in fields}
    return {name: _value(name, text) if text else None for name, text in typed.items() if text or name == "value"}


def _value(name: str, text: str) -> Any:
    kind = _KINDS.get(name, "text")
    try:
        if kind == "whole":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a {kind} number") from None
    return text == "true" if kind == "yes" else text


def command_forms() -> str:
    """The forms of all commands."""
    return _group(render_form(form) for form in FORMS)


def fault_forms() -> str:
    """A form for each kind of fault, in groups; what every fault can be narrowed down by is folded away."""
    known = dict(MEANING)
    parts = []
    for title, prefixes in _FAULT_GROUPS.items():
        kinds = [kind for kind in known if kind.value.startswith(prefixes)]
        parts.append(f"<h3>{escape(title)}</h3>\n{_group(_fault_form(kind, known.pop(kind)) for kind in kinds)}")
    if known:
        parts.append(f"<h3>Others</h3>\n{_group(_fault_form(kind, meaning) for kind, meaning in known.items())}")
    return "".join(parts)


def _fault_form(kind: FaultKind, meaning: str) -> str:
    taken = parameters_of(kind)
    own = "".join(_input(field) for field in _PARAMETERS if field.name in taken)
    narrowing = "".join(_input(field) for field in _NARROWING)
    body = f"{own}<details><summary>only for</summary>\n{narrowing}</details>\n"
    form = Form("add_fault", kind.value, meaning.replace("`", ""))
    return _form(form, _hidden({"kind": kind.value}) + body)


def row_button(command: str, title: str, arguments: Mapping[str, str]) -> str:
    """A button alone, for a row of a table. Its id lets the page keep the focus when the table is renewed."""
    name = escape("-".join((command, *arguments.values())))
    return (
        f'<form class="row" method="post" action="/control/{escape(command)}" data-name="{escape(title)}">'
        f'{_hidden(arguments)}<button id="{name}">{escape(title)}</button></form>'
    )


def switch_forms(values: Mapping[str, object]) -> str:
    """A form for each setting that is not just on or off."""
    return _group(_switch_form(name, value) for name, value in values.items())


def _switch_form(name: str, value: object) -> str:
    field = Field("value", start="" if value is None else str(value))
    return _form(Form("set_switch", f"Set {name}", ""), _hidden({"name": name}) + _input(field))


def render_form(form: Form) -> str:
    """The form of one command."""
    return _form(form, "".join(_input(field) for field in form.fields))


def _form(form: Form, inputs: str) -> str:
    meaning = f"<p>{escape(form.meaning)}</p>\n" if form.meaning else ""
    return (
        f'<form method="post" action="/control/{escape(form.command)}" data-name="{escape(form.title)}">\n'
        f"{meaning}{inputs}<button>{escape(form.title)}</button>\n</form>\n"
    )


def _hidden(arguments: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in arguments.items()
    )


def _input(field: Field) -> str:
    required = " required" if field.required else ""
    name = escape(field.name)
    if field.choices:
        empty = "" if field.required or field.start else "<option></option>"
        options = empty + "".join(_option(choice, field.start) for choice in field.choices)
        control = f'<select name="{name}"{required}>{options}</select>'
    else:
        mode = ' inputmode="numeric"' if field.kind in {"whole", "number"} else ""
        control = f'<input name="{name}" value="{escape(field.start)}"{mode}{required} autocomplete="off">'
    return f"<label>{name} {control}</label>\n"


def _option(choice: str, start: str) -> str:
    selected = " selected" if choice == start else ""
    return f"<option{selected}>{escape(choice)}</option>"


def _group(forms: Iterable[str]) -> str:
    return f'<div class="forms">\n{"".join(forms)}</div>\n'
