"""What axe-core finds wrong with a page, for people who do not see it or use no mouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

SCRIPT = Path(__file__).resolve().parents[2] / ".venv/web/node_modules/axe-core/axe.min.js"
LOOK = """(rules) => axe.run(rules ? { runOnly: rules } : {}).then(({ violations }) =>
    violations.map(({ id, impact, nodes }) =>
    `${impact} ${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`))"""


async def complaints(page: Page, *rules: str) -> list[str]:
    """Return everything that breaks a rule of axe-core, or one of these, in the page as it is, its weight first."""
    assert SCRIPT.is_file(), f"{SCRIPT} is missing: `make` installs it with npm"
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"{SCRIPT.read_text()};undefined")
    found: list[str] = await page.evaluate(LOOK, list(rules) or None)
    return found
