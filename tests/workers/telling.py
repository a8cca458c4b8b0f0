"""A program that tells what it is, and then does what it is told."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
from threadpoolctl import ThreadpoolController

from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import fork_server
from splitbed.workers.inherited import Inherited
from splitbed.workers.worker import Worker

print("begins", flush=True)
with Worker("tests.workers.tasks:blas", {}, Allowance(1 << 30, 10.0)) as worker:
    of_a_worker = worker.answer()["threads"]
told = {
    "argv": sys.argv[1:],
    "called": psutil.Process().cmdline()[1:],
    "main": __name__,
    "folder": str(Path.cwd()),
    "path": sys.path,
    "own": os.environ["OWN"],
    "alone": os.environ.get("OMP_NUM_THREADS"),
    "blas": [one["num_threads"] for one in ThreadpoolController().info()],
    "blas_of_a_worker": of_a_worker,
    "leads": os.getsid(0) == os.getpid(),
    "safe": sys.flags.safe_path,
    "ignores": [
        one.name
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
        if signal.getsignal(one) is signal.SIG_IGN
    ],
    "inherited": vars(Inherited.now()),
    "fork_server": fork_server().pid,
}
print(json.dumps(told), flush=True)
match sys.argv[1]:
    case "wait":
        time.sleep(600)
    case "fail":
        raise KeyError("nobody thought of it")
    case words:
        sys.exit(int(words) if words.isdigit() else words)
