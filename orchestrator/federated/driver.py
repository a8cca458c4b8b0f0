"""PySpark's driver, the aggregator of clause 9.3: ``python -m orchestrator.federated.driver FD``.

It runs in the aggregator's namespace and is told what to do over the socket FD, where it answers
(:mod:`orchestrator.federated.words`).  What it holds is the model, its held-out samples, and none
of the UEs' samples but for the anchor.
"""

import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.federated import words
from splitbed.errors import SplitbedError
from splitbed.federated.averaging import Answer, Gathered
from splitbed.federated.classifier import State, accuracy, fresh, trained
from splitbed.federated.drawn import Samples
from splitbed.federated.part import Training
from splitbed.federated.task import at_ue, ready
from splitbed.federated.travel import packed, packed_file

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

_LOOK_S = 0.05


class Driver:
    """What is told is done here; ``hosts`` are the UEs' addresses, ``folder`` has samples."""

    def __init__(self, spark: "SparkContext", hosts: Mapping[str, str], folder: Path) -> None:
        self._spark, self._hosts, self._folder = spark, hosts, folder
        self._held_out = Samples.read(folder / "held-out.npz")
        self._how: words.Training | None = None
        self._state: State = {}

    def answer(self, told: words.Told) -> words.Answered:
        """Do it."""
        match told:
            case words.Waiting():
                return words.Began(self._wait(told))
            case words.Training():
                self._how, self._state = told, fresh(told.hidden, told.seed)
                return words.Began()
            case words.Round():
                return self._round(told)
            case words.Central():
                return self._central(told)
            case words.Keep():
                Path(told.file).write_bytes(packed_file(self._state))
                return words.Began()

    def _wait(self, told: words.Waiting) -> str:
        """Why they cannot be given tasks; nothing where they can."""
        deadline_s = time.monotonic() + told.within_s
        while lacking := {self._hosts[ue] for ue in told.ues} - self._executors():
            if time.monotonic() > deadline_s:
                late = [ue for ue in told.ues if self._hosts[ue] in lacking]
                return f"no executor of {', '.join(late)} came within {told.within_s:g} s"
            time.sleep(_LOOK_S)
        # one by one: of several tasks Spark would give up the one that is last to start its Python
        for ue in told.ues:
            [problem] = self._pinned([ue]).map(self._tried()).collect()
            if problem:
                return f"{ue}: {problem}"
        return ""

    def _tried(self) -> Callable[[str], str]:
        """A UE's part as it will be, once there is a model to train: then all is loaded."""
        if (how := self._how) is None:
            return ready
        model = packed(self._state, how.model_coder)
        train = Training(how.epochs, how.rate, how.seed, how.coder)
        return lambda ue: at_ue(ue, model, train).answers[0].missing

    def _executors(self) -> set[str]:
        """Hosts that have an executor now."""
        infos = self._spark._jsc.sc().statusTracker().getExecutorInfos()
        return {info.host() for info in infos}

    def _pinned(self, ues: Sequence[str]) -> "RDD[str]":
        """The UEs' names, each a partition that prefers its UE: Spark's makeRDD, which has no name
        in Python.
        """
        from pyspark import RDD
        from pyspark.serializers import CPickleSerializer

        jvm = self._spark._jvm
        pairs = [
            jvm.scala.Tuple2(pickle.dumps(ue), jvm.PythonUtils.toSeq([self._hosts[ue]]))
            for ue in ues
        ]
        any_class = jvm.scala.reflect.ClassTag.AnyRef()
        made = self._spark._jsc.sc().makeRDD(jvm.PythonUtils.toSeq(pairs), any_class)
        return RDD(made.toJavaRDD(), self._spark, CPickleSerializer())

    def _round(self, told: words.Round) -> words.Ended:
        how = self._how
        assert how is not None
        train = Training(how.epochs, how.rate, how.seed + told.number, how.coder)
        group = f"round {told.number}"
        began_ns = time.time_ns()
        model = packed(self._state, how.model_coder)
        sent = self._spark.broadcast(model)
        self._spark.setJobGroup(group, group)
        limit = threading.Timer(told.most_s, self._spark.cancelJobGroup, [group])
        limit.start()
        whole, problem, spent_ms = Gathered(), "", list[float]()

        def plus(one: Gathered, two: Gathered) -> Gathered:
            start_s = time.perf_counter()
            both = one.plus(two)
            spent_ms.append((time.perf_counter() - start_s) * 1e3)
            return both

        try:
            whole = self._pinned(told.ues).map(lambda ue: at_ue(ue, sent.value, train)).reduce(plus)
        except Exception as error:
            problem = _why(error, told)
        finally:
            limit.cancel()
        there = whole.there
        if not problem and len(there) < told.quorum:
            problem = f"{len(there)} of {len(told.ues)} UEs answered, a quorum is {told.quorum}"
        start_s = time.perf_counter()
        if not problem:
            self._state = whole.onto(self._state)
        spent_ms.append((time.perf_counter() - start_s) * 1e3)
        ended_ns = time.time_ns()
        arrivals = self._arrivals(group, told.ues, {one.ue: one for one in whole.answers})
        sent.destroy()
        return words.Ended(
            arrivals=arrivals,
            began_ns=began_ns,
            ended_ns=ended_ns,
            aggregate_ms=sum(spent_ms),
            model_bytes=len(model),
            accuracy=accuracy(self._state, self._held_out),
            problem=problem,
        )

    def _arrivals(
        self, group: str, ues: Sequence[str], answers: Mapping[str, Answer]
    ) -> tuple[words.Arrival, ...]:
        """What Spark tells of the first attempt at each UE's task."""
        context = self._spark._jsc.sc()
        context.listenerBus().waitUntilEmpty()
        tracker = self._spark.statusTracker()
        found = []
        jobs = tracker.getJobIdsForGroup(group)
        info = tracker.getJobInfo(max(jobs)) if jobs else None
        tasks = []
        for stage in info.stageIds if info else ():
            listed = context.statusStore().taskList(stage, 0, 1000)
            tasks += [listed.apply(place) for place in range(listed.size())]
        for place, ue in enumerate(ues):
            own = [one for one in tasks if one.index() == place and one.host() == self._hosts[ue]]
            answer = answers.get(ue) or Answer(ue, missing="the round ended without it")
            if answer.missing or not own:
                why = _fate(own) or (answer.missing if own else self._absence(ue))
                found.append(words.Arrival(answer=Answer(ue, missing=why)))
                continue
            first = min(own, key=lambda one: one.launchTime().getTime())
            launched_ns = first.launchTime().getTime() * 1_000_000
            took = first.duration()
            arrived_ns = launched_ns + int(took.get()) * 1_000_000 if took.isDefined() else None
            found.append(
                words.Arrival(answer=answer, launched_ns=launched_ns, arrived_ns=arrived_ns)
            )
        return tuple(found)

    def _absence(self, ue: str) -> str:
        """Why a UE was given no task."""
        if self._hosts[ue] in self._executors():
            return "busy: with an earlier round, which the link still carries"
        return "gone: it has no executor"

    def _central(self, told: words.Central) -> words.Anchored:
        how = self._how
        assert how is not None
        files = sorted(self._folder.glob("ue-*.npz"))
        every = Samples.joined([Samples.read(file) for file in files])
        state: State = fresh(how.hidden, how.seed)
        reached, took_ms = list[float](), list[float]()
        while len(reached) < told.rounds and max(reached, default=0.0) < told.target:
            start_s = time.perf_counter()
            seed = how.seed + len(reached) + 1
            state = trained(state, every, epochs=how.epochs, rate=how.rate, seed=seed)
            took_ms.append((time.perf_counter() - start_s) * 1e3)
            reached.append(accuracy(state, self._held_out))
        return words.Anchored(tuple(reached), tuple(took_ms))


def _fate(own: Sequence[Any]) -> str:
    """What became of a task on its own UE, by what Spark says of its attempts there."""
    if not own:
        return ""
    last = max(own, key=lambda one: one.launchTime().getTime())
    said = last.errorMessage()
    told = str(said.get()) if said.isDefined() else ""
    if "ExecutorLostFailure" in told:
        return "lost: its executor went while it was at work"
    if str(last.status()) in ("KILLED", "RUNNING"):
        return "late: it was not done within the limit"
    return ""


def _why(error: Exception, told: words.Round) -> str:
    """In a line, what stopped a round."""
    if "cancelled" in str(error):
        return f"no quorum of {told.quorum} within {told.most_s:g} s"
    if isinstance(error, SplitbedError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Spark gave the round up: {lines[0] if lines else type(error).__name__}"


def main() -> None:
    """Answer until there is nobody more to ask."""
    fd, folder, *pairs = sys.argv[1:]
    hosts = dict(pair.split("=") for pair in pairs)
    from pyspark import SparkContext

    with socket.socket(fileno=int(fd)) as asking, asking.makefile("rwb") as stream:
        spark = SparkContext(appName="splitbed-9.3")
        try:
            driver = Driver(spark, hosts, Path(folder))
            stream.write(msgspec.json.encode(words.Began()) + b"\n")
            stream.flush()
            for line in stream:
                stream.write(msgspec.json.encode(driver.answer(words.TOLD.decode(line))) + b"\n")
                stream.flush()
        finally:
            spark.stop()


if __name__ == "__main__":
    main()
