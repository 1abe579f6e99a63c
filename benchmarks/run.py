"""Every benchmark, one after the other, as JSON and as the table of docs/performance.md.

    make bench
    python benchmarks/run.py --json results/performance.json --markdown docs/performance.md
    python benchmarks/run.py --parts scaling --figure results/performance_scaling.png
    python benchmarks/run.py --parts critic_updates machine --device cuda --seconds 60

Each part runs in a process of its own, which tells its peak memory. Nothing else should run on the machine meanwhile.
The JSON is written after every part. With --parts it keeps what it had of the others, which must be of the same kind of
device and as many threads: so a part is measured again alone, on the same machine. The table is of all that the JSON
holds. A part that fails is named at the end, and the table is not written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import Record, add_options

HERE = Path(__file__).parent
PARTS = {
    "machine": "The machine",
    "critic_updates": "Critic updates",
    "generator_speed": "Generator",
    "replay_speed": "Replay",
    "environments": "Environments",
    "whole_loop": "The whole loop",
    "scaling": "Scaling",
}
BEGIN, END = "<!-- figures: make bench writes them -->", "<!-- end of figures -->"


def run_part(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The part's figures, measured in a fresh process.

    Raises:
        subprocess.CalledProcessError: the part failed; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(file), "--device", options.device]
        command += ["--seconds", str(options.seconds), "--threads", str(options.threads)]
        command += ["--quick"] * options.quick
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "RL_LOGGING_LEVEL": "WARNING"}
        subprocess.run(command, env=environment, check=True)
        return {"seconds": options.seconds, **json.loads(file.read_text())}


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: list[Record]) -> list[str]:
    """A markdown table; columns in which no line has anything are left out."""
    with_ratio, with_floor, with_note = (any(line[key] for line in lines) for key in ("ratio", "floor", "note"))
    heads = ["case", "contender", "median", "unit"] + ["ratio"] * with_ratio + ["of the floor"] * with_floor
    heads += ["note"] * with_note
    rows = []
    for line in lines:
        row = [line["case"], line["contender"], "" if line["value"] is None else number(line["value"]), line["unit"]]
        row += [""] * with_ratio if line["ratio"] is None else [number(line["ratio"])] * with_ratio
        row += [""] * with_floor if line["floor"] is None else [f"{line['floor']:.0%}"] * with_floor
        rows.append(row + [line["note"]] * with_note)
    ruler = ["---"] * len(heads)
    return ["| " + " | ".join(row) + " |" for row in (heads, ruler, *rows)]


def markdown(figures: dict[str, Any]) -> str:
    """All parts' tables."""
    told = figures["settings"]
    what = f"Device `{told['device']}`, {told['threads']} thread(s) of torch"
    text = [what + (", **quick: a test of the benchmarks, no measurement**." if told["quick"] else ".")]
    for name, part in figures["parts"].items():
        memory = f"Peak memory {number(part['peak_memory_mib'])} MiB"
        if "peak_device_memory_mib" in part:
            memory += f", on the device {number(part['peak_device_memory_mib'])} MiB"
        text += ["", f"### {PARTS[name]}", "", *table(part["records"]), "", f"{part['seconds']:g} s a case. {memory}."]
    return "\n".join(text)


def around_figures(page: Path) -> tuple[str, str]:
    """What the page says before and after its figures.

    Raises:
        ValueError: it does not say where they are.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: no place for the figures; it must hold the lines {BEGIN!r} and {END!r}")
    return before, after


def kept_parts(file: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The parts that an earlier run with the same settings left in `file`; none where there is no such file.

    Raises:
        ValueError: its settings are others, so its parts would be lost.
    """
    if file is None or not file.exists():
        return {}
    earlier = json.loads(file.read_text())
    if earlier["settings"] != settings:
        raise ValueError(f"{file}: holds figures of {earlier['settings']}, not of {settings}; name another file")
    return earlier["parts"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--markdown", type=Path, help="a page whose figures to replace")
    parser.add_argument("--figure", type=Path, help="where to draw the part scaling")
    options = parser.parse_args()
    if options.markdown:
        try:
            around_figures(options.markdown)  # now, not after an hour of measuring
        except (OSError, ValueError) as error:
            parser.error(f"--markdown: {error}")
    told = {key: getattr(options, key) for key in ("device", "threads", "quick")}
    try:
        kept = {} if set(options.parts) == set(PARTS) else kept_parts(options.json, told)
    except ValueError as error:
        parser.error(f"--json: {error}")
    figures: dict[str, Any] = {"settings": told, "parts": kept}
    failed = []
    for name in options.parts:
        print(f"\n{PARTS[name]}", flush=True)
        try:
            figures["parts"][name] = run_part(name, options)
        except subprocess.CalledProcessError:
            failed.append(name)
            continue
        figures["parts"] = {part: figures["parts"][part] for part in PARTS if part in figures["parts"]}
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.figure and "scaling" in figures["parts"]:
        from scaling import draw

        draw(figures["parts"]["scaling"]["records"], options.figure)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    if options.markdown:
        before, after = around_figures(options.markdown)  # read again: it may have been edited meanwhile
        options.markdown.write_text(f"{before}{BEGIN}\n{markdown(figures)}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
