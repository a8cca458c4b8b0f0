"""Bad input and bare machines: one line, and the exit code that says whose fault it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from netem import doctor, namespace, shell
from netem.backends import choose
from netem.doctor import lacks_room
from splitbed.errors import LinkError, MachineError, UsageError


def netem(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "netem.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment or None,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate-mbit", "0"],
        ["--rate-mbit", "5", "--delay-ms", "-1"],
        ["--rate-mbit", "5", "--loss-pct", "101"],
        ["--rate-mbit", "5", "--jitter-ms", "1"],
        ["--rate-mbit", "fast"],
        ["--rate-mbit", "5", "--queue-packets", "0"],
        ["--profile", "carrier-pigeon"],
        ["--rate-mbit", "5", "--profile", "lte"],
        [],
    ],
)
def test_bad_input_exits_2_in_one_line(arguments: list[str]) -> None:
    done = netem("prove", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4


def test_an_unknown_profile_lists_the_choices() -> None:
    assert "lte" in netem("prove", "--profile", "carrier-pigeon").stderr


def test_an_unknown_backend_lists_the_choices() -> None:
    with pytest.raises(UsageError, match="native, linkbox, mininet, or auto"):
        choose("carrier-pigeon")


def test_a_machine_without_iproute2_exits_3_with_the_repair() -> None:
    done = netem("prove", "--rate-mbit", "5", PATH="/nonexistent")
    assert done.returncode == 3
    assert "repair: " in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_that_takes_long() -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "netem.cli", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not {"grpc", "numpy", "onnx", "pydantic"} & imported


def test_every_finding_that_is_not_ok_has_a_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    lacking = [finding for finding in doctor.diagnose() if not finding.ok]
    assert lacking
    assert all(finding.repair for finding in lacking)


def test_a_missing_program_names_its_package() -> None:
    assert "apt-get install user-mode-linux" in shell.missing("linux.uml")


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(MachineError, match="no-such-program is not installed"):
        shell.run(["no-such-program"])


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(LinkError, match=r"`sh -c .*` failed \(exit 3\): oh dear"):
        shell.run(["sh", "-c", "echo oh dear >&2; exit 3"])


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(LinkError, match="did not end within"):
        shell.run(["sleep", "60"], timeout_s=0.1)


def test_a_refused_user_namespace_says_what_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise LinkError("unshare failed: Operation not permitted")

    monkeypatch.setattr(namespace, "privileged", lambda: False)
    monkeypatch.setattr(shell, "run", refuse)
    with pytest.raises(MachineError, match="apparmor_restrict_unprivileged_userns") as error:
        choose("auto")
    # what else was tried in one failed with it, and says nothing
    assert "sch_netem" not in str(error.value)


def test_a_kernel_without_sch_netem_and_uml_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "_fails", lambda _: "Specified qdisc kind is unknown")
    monkeypatch.setattr(doctor, "UML", "no-such-uml")
    monkeypatch.setitem(shell.PACKAGES, "no-such-uml", "user-mode-linux")
    with pytest.raises(MachineError, match=r"(?s)native: .*linkbox: .*apt-get install"):
        choose("auto")


def test_a_processor_with_more_registers_than_uml_knows_takes_a_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (facts := tmp_path / "cpuinfo").write_text("flags\t\t: fpu sse avx512f amx_tile amx_int8\n")
    assert lacks_room(facts)
    facts.write_text("flags\t\t: fpu sse avx512f\n")
    assert not lacks_room(facts)
    monkeypatch.setattr(doctor, "lacks_room", lambda: True)
    monkeypatch.setattr(doctor, "has_netem", lambda _: True)
    monkeypatch.setattr(shell, "which", lambda name: None if name == "cc" else name)
    assert doctor.link_box().repair == "apt-get install gcc libc6-dev"


def test_a_compiler_without_headers_is_seen_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (compiler := tmp_path / "cc").write_text(
        "#!/bin/sh\necho 'fatal error: dlfcn.h: No such file or directory' >&2\nexit 1\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MachineError, match="repair: apt-get install gcc libc6-dev"):
        shell.run(["cc", "x.c"])
    monkeypatch.setattr(doctor, "lacks_room", lambda: True)
    monkeypatch.setattr(doctor, "has_netem", lambda _: True)
    monkeypatch.setattr(doctor, "UML", "sh")
    monkeypatch.setitem(shell.PACKAGES, "sh", "dash")
    found = doctor.link_box()
    assert not found.ok
    assert found.repair == "apt-get install gcc libc6-dev"


def test_a_guest_may_have_sch_netem_as_a_module_or_built_in(tmp_path: Path) -> None:
    assert not doctor.has_netem(tmp_path)
    (tmp_path / "6.1").mkdir()
    (names := tmp_path / "6.1" / "modules.builtin").write_text("kernel/net/sched/sch_tbf.ko\n")
    assert not doctor.has_netem(tmp_path)
    names.write_text("kernel/net/sched/sch_tbf.ko\nkernel/net/sched/sch_netem.ko\n")
    assert doctor.has_netem(tmp_path)
    names.unlink()
    (module := tmp_path / "6.1/kernel/net/sched").mkdir(parents=True)
    (module / "sch_netem.ko.xz").touch()
    assert doctor.has_netem(tmp_path)
