"""Datasets that are known by name: their terms, how to get them, where they lie."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.download import Progress, fetch
from splitbed.media.unpack import unpack

DATA_VARIABLE = "SPLITBED_DATA"


@dataclass(frozen=True)
class Archive:
    """A file to download and unpack. No hash is given where none is published and certain."""

    url: str
    mb: int
    gives: str
    """The folder that it unpacks to."""
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class KnownDataset:
    """A dataset of the catalogue.

    ``inside`` is the place in its folder that is opened.  ``steps`` say how to get it by hand;
    ``archives`` are what can be fetched.  ``embedded`` needs neither.
    """

    name: str
    title: str
    truth: str
    terms: str
    page: str
    steps: str
    archives: tuple[Archive, ...] = ()
    inside: str = "."
    needs: tuple[str, ...] = ()
    """Folders that are there when it is there, seen from ``inside``."""
    embedded: bool = False

    @property
    def folder(self) -> Path:
        """Where it lies, or would: its own in :func:`data_folder`."""
        return data_folder() / self.name

    @property
    def present(self) -> bool:
        """Whether it is there."""
        here = self.folder / self.inside
        return self.embedded or all((here / need).is_dir() for need in self.needs)


_SFU_STEPS = (
    "the sequences are JVET's: ask a member for access; put them as videos/NAME.mp4 and the labels"
    " as ground-truth/NAME/*.txt"
)


def _librispeech(part: str, mb: int, sha256: str) -> KnownDataset:
    name = f"{part}-clean"
    return KnownDataset(
        name=f"librispeech-{name}",
        title=f"LibriSpeech {name}: 5.4 hours of read speech (clause 10.1.8)",
        truth="transcripts",
        terms="CC BY 4.0",
        page="https://www.openslr.org/12",
        steps="unpack the archive into the folder",
        archives=(
            Archive(
                f"https://www.openslr.org/resources/12/{name}.tar.gz",
                mb=mb,
                gives="LibriSpeech",
                sha256=sha256,
            ),
        ),
        inside=f"LibriSpeech/{name}",
        needs=(".",),
    )


CATALOGUE: dict[str, KnownDataset] = {
    known.name: known
    for known in (
        KnownDataset(
            name="shapes",
            title="moving shapes, generated: 100 frames, 6 classes",
            truth="boxes with tracks",
            terms="part of Splitbed (BSD-3-Clause)",
            page="",
            steps="nothing: it is made on the spot; others are shapes:SEED and shapes:SEED@960x540",
            embedded=True,
        ),
        KnownDataset(
            name="emblems",
            title="patterned shapes, generated: 1000 pictures, 24 classes",
            truth="a class",
            terms="part of Splitbed (BSD-3-Clause)",
            page="",
            steps="nothing: it is made on the spot; others are emblems:SEED",
            embedded=True,
        ),
        KnownDataset(
            name="speech",
            title="commands spoken by espeak-ng in noise: 123 recordings of 3 s",
            truth="transcripts",
            terms="part of Splitbed (BSD-3-Clause)",
            page="",
            steps="apt-get install espeak-ng: it is made on the spot; speech:dev is another split",
            embedded=True,
        ),
        KnownDataset(
            name="sentences",
            title="commands in a row, generated: 200 texts of up to 64 bytes",
            truth="the bytes that follow",
            terms="part of Splitbed (BSD-3-Clause)",
            page="",
            steps="nothing: it is made on the spot; others are sentences:SEED",
            embedded=True,
        ),
        _librispeech(
            "test", 347, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"
        ),
        _librispeech(
            "dev", 338, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"
        ),
        KnownDataset(
            name="sfu-hw-objects",
            title="SFU-HW-Objects: 18 sequences, 21 classes (clause 2.1.1.1)",
            truth="boxes",
            terms="labels: see the page; sequences: JVET's terms, not to be passed on",
            page="http://multimedia.fas.sfu.ca/data/",
            steps=_SFU_STEPS,
            needs=("videos", "ground-truth"),
        ),
        KnownDataset(
            name="sfu-hw-tracks",
            title="SFU-HW-Tracks (the SFU-HW-Tracking of clause 10.3): 13 sequences",
            truth="boxes with tracks",
            terms="labels: see the page; sequences: JVET's terms, not to be passed on",
            page="https://data.mendeley.com/datasets/d5cc83ks6c/1",
            steps=_SFU_STEPS,
            needs=("videos", "ground-truth"),
        ),
        KnownDataset(
            name="coco-val2017",
            title="COCO 2017 validation: 5000 pictures, 80 classes",
            truth="boxes",
            terms="annotations CC BY 4.0; pictures under their Flickr terms",
            page="https://cocodataset.org/#download",
            steps="unpack both archives into the folder",
            archives=(
                Archive(
                    "http://images.cocodataset.org/zips/val2017.zip",
                    mb=816,
                    gives="val2017",
                    md5="442b8da7639aecaf257c1dceb8ba8c80",
                ),
                Archive(
                    "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
                    mb=253,
                    gives="annotations",
                    md5="f4bbac642086de4f52a3fdda2de5fa2c",
                ),
            ),
            needs=("val2017", "annotations"),
        ),
        KnownDataset(
            name="voc2007",
            title="PASCAL VOC 2007 test: 4952 pictures, 20 classes",
            truth="boxes",
            terms="pictures under their Flickr terms",
            page="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
            steps="unpack the archive into the folder",
            archives=(
                Archive(
                    "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/VOCtest_06-Nov-2007.tar",
                    mb=451,
                    gives="VOCdevkit",
                    md5="b6e924de25625d8de591ea690078ad9f",
                ),
            ),
            inside="VOCdevkit/VOC2007",
            needs=("JPEGImages", "Annotations"),
        ),
    )
}


def data_folder() -> Path:
    """Where datasets lie: $SPLITBED_DATA, else ~/.cache/splitbed/datasets."""
    given = os.environ.get(DATA_VARIABLE)
    return Path(given) if given else Path.home() / ".cache/splitbed/datasets"


def known(name: str) -> KnownDataset:
    """The dataset of that name; UsageError where the catalogue has none."""
    if name not in CATALOGUE:
        raise UsageError(f"no dataset is called {name!r}; known are: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def found(dataset: KnownDataset) -> Path:
    """Where a dataset lies that is there.

    Raises:
        UsageError: it is not there; the message says how to get it.
    """
    if not dataset.present:
        how = f"run 'orchestrate datasets --get {dataset.name}', or " if dataset.archives else ""
        raise UsageError(
            f"{dataset.name} is not in {dataset.folder}: {how}see {dataset.page}; {dataset.steps}"
        )
    return dataset.folder / dataset.inside


def get(
    dataset: KnownDataset,
    sha256: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    unchecked: bool = False,
) -> Path:
    """Download and unpack a dataset into its folder, unless it is there; where it lies.

    ``sha256`` are those of its archives in their order, for which none is known.  ``unchecked``
    takes an archive that no hash is known of.

    Raises:
        UsageError: it cannot be fetched, or has an archive without a hash; as fetch and unpack.
        MachineError, RunError: as fetch and unpack.
    """
    if dataset.present:
        return dataset.folder / dataset.inside
    if not dataset.archives:
        raise UsageError(
            f"{dataset.name} cannot be fetched: see {dataset.page}; {dataset.steps}, in"
            f" {dataset.folder}"
        )
    if sha256 and len(sha256) != len(dataset.archives):
        raise UsageError(f"{dataset.name} has {len(dataset.archives)} archives: as many hashes")
    for place, archive in enumerate(dataset.archives):
        if (dataset.folder / archive.gives).exists():  # of a call before, which was cut short
            continue
        checked = sha256[place] if sha256 else archive.sha256
        if not (checked or archive.md5 or unchecked):
            raise UsageError(f"no hash of {archive.url} is known: give its sha256")
        file = fetch(archive.url, dataset.folder, checked, archive.md5, progress)
        unpack(file, dataset.folder)
        file.unlink()
    return found(dataset)
