"""Changes the modules that judge or let in, one little thing at a time; counts what tests notice.

`make mutants` runs all of it, `make mutants ARGS=validity` what has that in its path; what is
changed is a clone of the last commit. Exits 1 where less than 90 % of a module's changes are
noticed, and names those that were not.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent.parent
LEAST = 0.9
RESULTS, JUDGEMENT = "tests/orchestrator/results", "orchestrator/results/judgement"
NODE, SECURITY = "tests/node", "tests/security"
RULES = f"{RESULTS}/test_limits.py {RESULTS}/test_summary.py {RESULTS}/test_advice.py"
JUDGES = {
    f"{JUDGEMENT}/validity.py": RULES,
    f"{JUDGEMENT}/verdict.py": RULES,
    f"{JUDGEMENT}/anchors.py": f"{RESULTS}/test_anchors.py",
    f"{JUDGEMENT}/disturbance.py": f"{RESULTS}/test_disturbance.py",
    f"{JUDGEMENT}/accuracy.py": f"{RESULTS}/test_fitness.py",
    f"{JUDGEMENT}/trust.py": f"{RESULTS}/test_trust.py {RESULTS}/test_limits.py",
    f"{JUDGEMENT}/choice.py": f"{RESULTS}/test_choosing.py",
    f"{JUDGEMENT}/compression.py": f"{RESULTS}/test_compression.py",
    f"{JUDGEMENT}/words.py": f"{RESULTS}/test_words.py {RESULTS}/test_summary.py",
    "orchestrator/results/statistics/intervals.py": f"{RESULTS}/test_intervals.py",
    "orchestrator/results/statistics/comparison.py": f"{RESULTS}/test_difference.py",
    "orchestrator/checks/told.py": "tests/orchestrator/checks/test_told.py",
    "orchestrator/checks/threshold.py": "tests/orchestrator/checks/test_threshold.py",
    "orchestrator/checks/tolerances.py": "tests/orchestrator/checks/test_tolerances.py",
    "netem/probe/proof.py": "tests/netem/test_proof.py",
    "splitbed/node/config.py": f"{NODE}/test_limits.py {NODE}/test_node_config.py",
    "splitbed/wire.py": f"tests/test_wire.py {NODE}/test_limits.py",
    "splitbed/security/access.py": f"{SECURITY}/test_guard.py {SECURITY}/test_access.py "
    f"{SECURITY}/test_rotation.py",
}
"""Each module that judges or lets in, and the tests that hold its rules."""
EXOTIC = "(?!Add_Sub|Sub_Add|Mul_Div|Div_Mul|Add_Mul|Mul_Add)"
LEFT_OUT = [
    f"core/ReplaceBinaryOperator_{EXOTIC}.*",
    "core/ReplaceUnaryOperator_.*(Invert|UAdd).*",
    "core/ReplaceComparisonOperator_(?!Is).*_Is(Not)?$",
]
"""Nobody writes << for +, nor `is` for <."""


def main(asked: Sequence[str]) -> int:
    """Change the modules that are asked for by a piece of their paths, or all."""
    chosen = [one for one in JUDGES if not asked or any(word in one for word in asked)]
    if not chosen:
        print(f"no module that judges is called {' or '.join(asked)}: {', '.join(JUDGES)}")
        return 2
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return max(map(_told, chosen, pool.map(_survivors, chosen)))


def _told(module: str, done: tuple[int, list[str]]) -> int:
    count, survivors = done
    noticed = 1 - len(survivors) / max(count, 1)
    print(f"{module}: {noticed:.0%} of {count} changes are noticed", flush=True)
    for change in survivors:
        print(change)
    return 0 if count and noticed >= LEAST else 1


def _survivors(module: str) -> tuple[int, list[str]]:
    """How many changes were made, and those that no test noticed."""
    with TemporaryDirectory(prefix="splitbed-mutants-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", HERE, clone], check=True)
        test = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {JUDGES[module]}"
        config = Path(folder) / "cosmic-ray.toml"
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = 60.0\nexcluded-modules = []\n'
            f'test-command = "{test}"\n[cosmic-ray.distributor]\nname = "local"\n'
            f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {json.dumps(LEFT_OUT)}\n"
        )
        session = Path(folder) / "session.sqlite"
        commands: Sequence[Sequence[str | Path]] = (
            ["cosmic-ray", "baseline", config],
            ["cosmic-ray", "init", config, session],
            ["cr-filter-operators", session, config],
            ["cosmic-ray", "exec", config, session],
        )
        for command in commands:
            tool = Path(sys.executable).parent / command[0]
            done = subprocess.run(
                [tool, *command[1:]], check=False, cwd=clone, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{module}: {command[0]} failed\n{done.stdout}{done.stderr}")
        made = [*_made(session)]
        return len(made), [change for survived, change in made if survived]


def _made(session: Path) -> Iterator[tuple[bool, str]]:
    """Of each change that was tried: whether it survived, and its lines."""
    dump = subprocess.run(
        [Path(sys.executable).parent / "cosmic-ray", "dump", session],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for line in dump.splitlines():
        _, result = json.loads(line)
        if result and result["worker_outcome"] != "skipped":
            lines = (result["diff"] or "").splitlines()
            changed = [one for one in lines if one[:1] in "+-@" and one[:3] not in ("+++", "---")]
            yield result["test_outcome"] == "survived", "\n".join(f"    {one}" for one in changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
