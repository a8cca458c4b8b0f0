"""Files of strangers are read elsewhere first; what lies beside them does no harm."""

from pathlib import Path

import pytest

from splitbed.errors import UsageError
from splitbed.graphs.apart import check_file, check_stored
from tests.node.loopback import small_model


def test_a_file_beside_it_that_goes_meanwhile_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, gone = small_model(tmp_path / "small.onnx"), tmp_path / "gone"
    gone.touch()
    is_file = Path.is_file

    def look(path: Path) -> bool:
        found = is_file(path)
        if path == gone:
            gone.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", look)
    check_file(file, None)
    assert not gone.exists()


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot list the folder .*none: No such file"):
        check_stored(tmp_path / "none", "onnx")
