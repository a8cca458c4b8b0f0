"""The files of a certificate, its key and its authority: they may be replaced while in use."""

from pathlib import Path
from typing import TYPE_CHECKING

from splitbed.errors import UsageError
from splitbed.logs import log

if TYPE_CHECKING:
    from splitbed.node.config import Tls


class PemFiles:
    """What was last read of them, and could be used; UsageError where they cannot be at first."""

    def __init__(self, tls: "Tls") -> None:
        self._tls = tls
        self._state = self._stat()
        self.content = self._read(self._state)
        """Authority, certificate, key."""

    def renewed(self) -> bool:
        """Whether they were replaced by others that can be used; these are read then.

        Those that cannot, be it that not all are there yet, are told of once.
        """
        if (state := self._stat()) == self._state:
            return False
        self._state = state
        try:
            self.content = self._read(state)
        except UsageError as error:
            log.warning("the certificates of before are still used", reason=str(error))
            return False
        log.info("new certificates", file=str(self._tls.cert))
        return True

    def _files(self) -> tuple[Path, Path, Path]:
        return self._tls.ca, self._tls.cert, self._tls.key

    def _stat(self) -> tuple[object, ...]:
        return tuple(_stat(file) for file in self._files())

    def _read(self, state: tuple[object, ...]) -> tuple[bytes, bytes, bytes]:
        """What is in them, unless that is not what was judged: they are looked at again then."""
        from splitbed.security.certificates import explain  # cryptography takes its time

        if wrong := explain(self._tls):
            raise UsageError(f"cannot use TLS: {wrong}")
        try:
            ca, cert, key = (file.read_bytes() for file in self._files())
        except OSError as error:
            raise UsageError(f"cannot use TLS: {error.filename}: {error.strerror}") from None
        if self._stat() != state:
            raise UsageError(f"cannot use TLS: {self._tls.cert} is being replaced; try again")
        return ca, cert, key


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # about to be replaced
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
