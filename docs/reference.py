"""Pages of the site that are made when it is built: settings, command line, HTTP API, changelog, contributing.

A hook of MkDocs (`mkdocs.yml`). They are made from what they describe, so none can fall behind it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import typer
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
_TAG_AFTER_TAG = re.compile(r"\]\[(?=(?:lib|doc|seen|guess)\b)")
_FILE_AS_LABEL = re.compile(r"\[([\w-]+\.md)\]\(([^)]+)\)")
sys.path.insert(0, str(ROOT))

import run  # noqa: E402 - run.py and its packages are beside this folder
from core.settings import Settings  # noqa: E402
from core.settings.template import literal  # noqa: E402
from core.settings.values import Section, rows_of  # noqa: E402
from core.web import create_app  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, not written."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Call pages by their titles where the text, for who reads the file, has the file's name.

    Tags of certainty that stand side by side, `[lib][seen]`, are no links.
    """
    plain = _TAG_AFTER_TAG.sub(r"]\\[", markdown)
    return _FILE_AS_LABEL.sub(lambda found: f"[{_title(found[1])}]({found[2]})", plain)


def _title(name: str) -> str:
    page = ROOT / "docs" / name
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") if page.exists() else name


def settings_page() -> str:
    """Every key of every section."""
    parts = [
        "# Settings\n",
        "Every key of `settings.toml` with its default. Units are in the names: `_s` is seconds; money is in rupees; "
        "an empty text means *not set*. A variable `SIXSTEP_<SECTION>__<KEY>`, such as `SIXSTEP_WEB__PORT=9000`, wins "
        "over the file. `python run.py check-settings` reports every mistake at once; `check-settings --template` "
        "prints a whole file. Strategies are tables `[[strategies]]` with `class`, `name` and the class's own "
        "parameters.\n",
    ]
    defaults = Settings()
    for name in Settings.model_fields:
        section = getattr(defaults, name)
        if isinstance(section, Section):
            parts.append(f"## [{name}]\n\n{section.__doc__}\n")
            parts.append("| key | default | meaning |\n|---|---|---|")
            parts.append("\n".join(_keys(section)) + "\n")
            parts.extend(_row_tables(name, type(section)))
    return "\n".join(parts)


def _keys(section: Section) -> Iterator[str]:
    for key, field in type(section).model_fields.items():
        if rows_of(field) is None:
            yield f"| `{key}` | `{_cell(literal(getattr(section, key)))}` | {_cell(field.description or '')} |"


def _row_tables(name: str, section: type[Section]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        rows: type[BaseModel] | None = rows_of(field)
        if rows is not None:
            yield f"### [[{name}.{key}]]\n\n{field.description}\n\n| key | meaning |\n|---|---|"
            yield "\n".join(
                f"| `{part.alias or sub}` | {_cell(part.description or '')} |"
                for sub, part in rows.model_fields.items()
            )
            yield ""


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Command line\n",
        "`python run.py [--settings FILE] [COMMAND]`; without a command it runs the service. Exit codes: 0, 1 for an "
        "error, 2 for settings or a wrong command line, 3 when a submitted order FAILED. `--json` prints the same for "
        "programs.\n",
    ]
    for words, command in _commands(typer.main.get_command(run.app), ()):
        parts.append(f"## {' '.join(words)}\n\n{(command.help or '').strip()}\n")
        context = command.context_class(command, info_name=command.name)
        pieces = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), " ".join(command.collect_usage_pieces(context)))
        parts.append(f"```\npython run.py {' '.join(words)} {pieces}\n```\n")
        options = [_option(one) for one in command.params if getattr(one, "help", None)]
        if options:
            parts.append("\n".join(options) + "\n")
    return "\n".join(parts)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    found: Mapping[str, Any] = getattr(command, "commands", {})
    if words and not found:
        yield words, command
    for name, one in sorted(found.items()):
        yield from _commands(one, (*words, name))


def _option(one: Any) -> str:
    name = ", ".join(one.opts) if one.param_type_name == "option" else one.metavar or one.name.upper()
    return f"- `{name}`: {one.help}"


def api_page() -> str:
    """Every call of the HTTP API, from the service's own OpenAPI description."""
    document = create_app(MagicMock(), Settings()).openapi()
    parts = [
        "# HTTP API\n",
        "On the web port, `http://127.0.0.1:8787` by default. The service describes it in full, with every field and "
        "answer, at `/docs` and `/openapi.json`. Who may call: [Proxy, secrets, connections](../web-access.md); the "
        "webhook has a page of its own: [Webhooks](../webhooks.md).\n",
    ]
    for path, calls in sorted(document["paths"].items()):
        for method, call in calls.items():
            parts.append(f"## {method.upper()} {path}\n\n{call.get('description') or call.get('summary', '')}\n")
            rows = [*_parameters(call), *_body(document, call)]
            if rows:
                parts.append("| field | in | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")
            parts.append("Answers: " + "; ".join(_answers(call)) + ".\n")
    return "\n".join(parts)


def _parameters(call: Mapping[str, Any]) -> Iterator[str]:
    for one in call.get("parameters", ()):
        needed = " (needed)" if one.get("required") else ""
        yield f"| `{one['name']}` | {one['in']}{needed} | {_cell(one.get('description', ''))} |"


def _body(document: Mapping[str, Any], call: Mapping[str, Any]) -> Iterator[str]:
    content = call.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for one in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found = one
        if "$ref" in one:
            found = document["components"]["schemas"][one["$ref"].rpartition("/")[2]]
        for name, field in found.get("properties", {}).items():
            needed = " (needed)" if name in found.get("required", ()) else ""
            said = [", ".join(str(value) for value in field.get("enum", ())), field.get("description", "")]
            yield f"| `{name}` | body{needed} | {_cell('; '.join(text for text in said if text))} |"


def _answers(call: Mapping[str, Any]) -> Iterator[str]:
    for status, answer in call.get("responses", {}).items():
        yield f"{status} {answer['description'].rstrip('.')}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _copied(name: str) -> Callable[[], str]:
    def read() -> str:
        return (ROOT / name).read_text(encoding="utf-8")

    return read


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "reference/commands.md": commands_page,
    "reference/api.md": api_page,
    "changelog.md": _copied("CHANGELOG.md"),
    "contributing.md": _copied("CONTRIBUTING.md"),
}
