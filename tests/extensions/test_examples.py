"""What packages bring is found once they are installed, by the commands that a user types."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapt.arms import Arm, FrameOutcome
from orchestrator.adapt.policies import PolicySetting, new_policy, policy_names
from orchestrator.ask.configuration import Configuration
from splitbed.errors import UsageError
from splitbed.meters.energy import EnergyMeter
from splitbed.v1 import nodes_pb2
from tests.extensions.installing import all_installed

PACKAGES = (
    *("codec", "model", "task", "runtime", "dataset", "policy", "scenario", "model_scenario"),
    "meter",
)


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        all_installed(PACKAGES, tmp_path_factory.mktemp("packages"), monkeypatch)
        yield


def orchestrate(*arguments: str) -> str:
    argv = [sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_is_listed_beside_ours() -> None:
    assert "blur" in {one["model"] for one in json.loads(orchestrate("models", "--json"))}
    codecs = {one["codec"]: one for one in json.loads(orchestrate("codecs", "--json"))}
    assert codecs["halved"]["what"] == "half of each value"
    assert (codecs["halved"]["calibrated"], codecs["centred"]["calibrated"]) == ("no", "fitted")


def test_an_installed_model_is_cut_at_its_names() -> None:
    (cut,) = json.loads(orchestrate("splits", "blur", "--split", "once", "--json"))
    assert cut["split"] == "1:2"


def test_an_installed_runtime_and_dataset_are_used() -> None:
    passed = orchestrate(
        "verify", "--model", "blur", "--images", "noise:3", "--runtime", "unoptimised"
    )
    assert "PASSED" in passed


def test_an_installed_scenario_of_models_judges_what_a_coder_rebuilt(tmp_path: Path) -> None:
    asked = ["--scenario", "mean", "--coder", "fp16", "--out", str(tmp_path / "models"), "--json"]
    (row,) = json.loads(orchestrate("model-sweep", *asked))
    assert (row["metric_name"], row["anc_perf"], row["rec_perf"]) == ("mean", 2, 2)


def test_an_installed_codec_is_held_against_ours(tmp_path: Path) -> None:
    asked = ["--split", "once", "--codecs", "raw,halved+zstd", "--frames", "3"]
    told = orchestrate(
        "rd", "--model", "blur", "--input", "noise", *asked, "--json", "--out", str(tmp_path / "rd")
    )
    assert "halved+zstd" in told


def test_an_installed_meter_is_the_one_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "joules").write_text("40")
    monkeypatch.setenv("PLUG_JOULES", str(file))
    meter = EnergyMeter()
    file.write_text("42.5")
    meter.read(told := nodes_pb2.Resources())
    ((name, joules, own),) = [(one.meter, one.joules, one.own) for one in told.energy]
    assert (name, joules, own) == ("plug", 2.5, True)


def test_an_installed_task_reads_a_models_outputs(tmp_path: Path) -> None:
    model = tmp_path / "blur.onnx"
    script = (
        "import sys, pathlib; from splitbed.zoo import ZOO, Variant;"
        "pathlib.Path(sys.argv[1]).write_bytes(ZOO['blur'].build(Variant('onnx'))[0])"
    )
    subprocess.run([sys.executable, "-c", script, str(model)], check=True)
    told = orchestrate(
        "infer", "--model", str(model), "--task", "brightest", "--input", "noise", "--json"
    )
    assert "place" in told


def test_an_installed_policy_chooses_the_split_of_each_frame() -> None:
    arms = arm(0), arm(2), arm(4)
    setting = PolicySetting(arms, arms, {}, 20, 0)
    (name,) = policy_names("turns:2", setting.names)
    policy = new_policy(name, setting)
    chosen = []
    for _ in range(7):
        chosen.append(policy.choose(0.0))
        policy.tell(FrameOutcome(chosen[-1], 0.0, 1.0, None))
    assert chosen == [arms[place] for place in (0, 0, 1, 1, 2, 2, 0)]


def test_an_installed_policys_value_is_refused_before_a_trace_begins() -> None:
    with pytest.raises(UsageError, match=r"turns:soon: give the frames of a turn"):
        policy_names("turns:soon", {})


def arm(k: int) -> Arm:
    return Arm(Configuration(k, 4, f"{k}:{4 - k}"), 1000, 10, 5.0)


def test_an_installed_scenario_is_shown_by_its_name() -> None:
    assert orchestrate("scenario", "show", "quick").startswith("# quick A small detector")
