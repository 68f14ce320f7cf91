"""Run mutmut on a sample of its mutants. Runs in the environment `mutate`, in the copy that `tools/mutate.py` made.

mutmut has no option for a sample: its list of mutants is shortened between their making and their running.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import sys
from pathlib import Path
from typing import Any

ORDER, SAMPLE, REPORT = Path("order.json"), Path("sample.json"), Path("report.json")
_STATUS = {1: "killed", 3: "killed", 0: "survived", None: "not run", 33: "survived"}  # 33: no test calls the function
_LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_WORDING = re.compile(r"[A-Za-z,;:.']+ [A-Za-z,;:.']+ [A-Za-z,;:.']+")


def main(step: str) -> None:
    """Run the sample, or report on it."""
    sys.path.insert(0, str(Path.cwd()))
    if step == "run":
        run(json.loads(ORDER.read_text()))
    else:
        report()


def run(order: dict[str, Any]) -> None:
    """Make the mutants, and run those that `order` asks for."""
    mutmut: Any = importlib.import_module("mutmut.__main__")
    find = mutmut.collect_source_file_mutation_data

    def sampled(*, mutant_names: object) -> tuple[list[Any], Any]:
        found, by_path = find(mutant_names=())
        chosen = _chosen(sorted(found, key=lambda each: each[1]), order)
        SAMPLE.write_text(json.dumps({"population": len(found), "names": [[str(m.path), n] for m, n, _ in chosen]}))
        return chosen, by_path

    mutmut.collect_source_file_mutation_data = sampled
    os.environ["PYTHONPATH"] = str(Path("mutants/src").absolute())  # for processes that a test starts
    mutmut._run((), order["processes"])


def _chosen(found: list[Any], order: dict[str, Any]) -> list[Any]:
    random.Random(order["seed"]).shuffle(found)
    only = order["only"] and {tuple(each) for each in order["only"]}
    chosen: list[Any] = []
    for each in found:
        if order["sample"] and only is None and len(chosen) == order["sample"]:
            break
        path, was, becomes = _change(each[1], str(each[0].path))
        if _is_wording(was, becomes) or (only is not None and (path, _function(each[1]), was, becomes) not in only):
            continue
        chosen.append(each)
    return chosen


def _is_wording(was: str, becomes: str) -> bool:
    """Whether only the text of a sentence was changed."""
    for literal in _LITERAL.findall(was):
        text = literal[1:-1]
        if _WORDING.search(text):
            for changed in (f"XX{text}XX", text.lower(), text.upper()):
                if was.replace(text, changed) == becomes:
                    return True
    return False


def _function(name: str) -> str:
    return name.rsplit(".", maxsplit=1)[-1].rpartition("__mutmut_")[0].removeprefix("x").strip("ǁ_").replace("ǁ", ".")


def _diff(name: str, path: str) -> str:
    get_diff = importlib.import_module("mutmut.mutation.diff_apply").get_diff_for_mutant
    lines = get_diff(name, path=Path(path)).splitlines()[2:]
    return "\n".join(line for line in lines if line[:1] in ("-", "+"))


def _change(name: str, path: str) -> tuple[str, str, str]:
    lines = _diff(name, path).splitlines()
    was, becomes = ("\n".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
    return path, was, becomes


def report() -> None:
    """Write what became of each mutant of the sample."""
    sample = json.loads(SAMPLE.read_text())
    codes: dict[str, int | None] = {}
    for path in {path for path, _ in sample["names"]}:
        codes |= json.loads(Path(f"mutants/{path}.meta").read_text())["exit_code_by_key"]
    mutants = [
        {
            "name": name,
            "path": path,
            "function": _function(name),
            "status": _STATUS.get(codes[name], "timeout"),
            "diff": _diff(name, path),
        }
        for path, name in sample["names"]
    ]
    REPORT.write_text(json.dumps({"population": sample["population"], "mutants": mutants}))


if __name__ == "__main__":
    main(sys.argv[1])
