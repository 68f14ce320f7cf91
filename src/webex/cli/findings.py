"""What a command that examines something has found: plain data, shown as text or as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from webex.errors.base import one_line

__all__ = ["Finding", "Report"]

Level = Literal["ok", "note", "problem"]
_MARKS: Final[dict[Level, str]] = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A `problem` has a `remedy`: what to do about it."""

    check: str
    level: Level
    what: str
    remedy: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Report:
    """The findings of one run, in the order in which they were made."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def ok(self, check: str, what: str, **data: Any) -> None:
        """Add something that is as it should be."""
        self.findings.append(Finding(check, "ok", what, None, data))

    def note(self, check: str, what: str, remedy: str | None = None, **data: Any) -> None:
        """Add something to know that is no problem, such as a check that was left out."""
        self.findings.append(Finding(check, "note", what, remedy, data))

    def problem(self, check: str, what: str, remedy: str, **data: Any) -> None:
        """Add a problem, and what to do about it."""
        self.findings.append(Finding(check, "problem", what, remedy, data))

    @property
    def problems(self) -> list[Finding]:
        """Return the problems only."""
        return [finding for finding in self.findings if finding.level == "problem"]

    def as_json(self) -> dict[str, Any]:
        """Return the report as data."""
        return {"problems": len(self.problems), "findings": [asdict(finding) for finding in self.findings]}

    def as_text(self) -> str:
        """Return the report as lines, each check under its name."""
        lines: list[str] = []
        check = ""
        for finding in self.findings:
            if finding.check != check:
                check = finding.check
                lines += [*([""] if lines else []), check]
            lines.append(f"  {_MARKS[finding.level]}  {one_line(finding.what)}")
            if finding.remedy is not None:
                lines.append(f"           → {one_line(finding.remedy)}")
        count = len(self.problems)
        summary = "No problem was found." if not count else "1 problem." if count == 1 else f"{count} problems."
        return "\n".join([*lines, "", summary])
