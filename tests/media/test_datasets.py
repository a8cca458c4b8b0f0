"""Datasets of every kind, opened as a user names them."""

import hashlib
import io
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from splitbed.errors import UsageError
from splitbed.media.datasets import open_dataset, sequences
from splitbed.media.datasets.coco import read_instances
from splitbed.media.datasets.truth import class_named
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES
from tests.media.making import instances, picture, pixels, texts, video, voc

DATA = Path(__file__).parents[3] / "shared/reference/data"
PERSON = Box("person", 1, 2, 30, 40)


def test_shapes_is_always_there_with_exact_ground_truth() -> None:
    dataset = open_dataset("shapes")
    assert (len(dataset.frames), dataset.is_sequence) == (100, True)
    boxes = [box for frame in dataset.frames[:3] for box in frame.boxes or ()]
    assert boxes
    assert {box.label for box in boxes} <= set(dataset.classes)
    with Image.open(io.BytesIO(dataset.frames[0].read())) as image:
        assert image.format == "PNG"


def test_another_seed_gives_other_shapes() -> None:
    assert open_dataset("shapes:7").frames[0].read() != open_dataset("shapes").frames[0].read()


def test_shapes_can_be_drawn_at_another_size() -> None:
    dataset = open_dataset("shapes:7@960x540")
    assert dataset.facts()["source"] == dataset.frames[0].source == "shapes:7@960x540"
    with Image.open(io.BytesIO(dataset.frames[0].read())) as image:
        assert image.size == (960, 540)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("many", "shapes:many"),
        ("7@960", "shapes:7@960x540"),
        ("7@9x9", "sides are 48 or more"),
        ("7@9600x5400", "3840x2160 is the largest"),
        ("7" * 5000, "a whole number is the seed"),
    ],
)
def test_a_seed_or_size_that_cannot_be_is_refused(part: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_dataset(f"shapes:{part}")


def test_without_a_source_it_is_the_default_picture() -> None:
    (frame,) = open_dataset().frames
    assert frame.name == "grace_hopper.jpg"
    assert frame.boxes is None


def test_pictures_have_boxes_where_a_text_of_their_stem_lies_beside(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("dining table 1 2 30 40\n")
    dataset = open_dataset(tmp_path)
    assert [frame.boxes for frame in dataset.frames] == [(Box("dining table", 1, 2, 30, 40),), None]
    assert dataset.kind == "pictures"


def test_an_own_class_table_gives_ids_their_names(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("1 1 2 30 40\n")
    (tmp_path / "classes.txt").write_text("tram\nferry\n")
    assert open_dataset(tmp_path).frames[0].boxes == (Box("ferry", 1, 2, 30, 40),)


def test_class_folders_label_their_pictures(tmp_path: Path) -> None:
    for name in ("dog/1.png", "cat/1.png", "cat/2.png"):
        picture(tmp_path / name)
    dataset = open_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [(f.name, f.label) for f in dataset.frames] == [
        ("cat_1.png", "cat"), ("cat_2.png", "cat"), ("dog_1.png", "dog"),
    ]  # fmt: skip


def test_a_folder_with_one_folder_of_pictures_is_no_classification(tmp_path: Path) -> None:
    picture(tmp_path / "inner/1.png")
    with pytest.raises(UsageError, match=r"there are some in .*inner"):
        open_dataset(tmp_path)


def test_a_coco_folder_opens_its_pictures_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        picture(tmp_path / name)
    instances(tmp_path / "annotations.json", ["b.png", "a.png"], iscrowd=1)
    dataset = open_dataset(tmp_path)
    assert [frame.name for frame in dataset.frames] == ["a.png", "b.png"]
    assert dataset.frames[0].boxes == (Box("tram", 1, 2, 30, 40, crowd=True),)
    assert (dataset.name, dataset.classes) == (tmp_path.name, ("tram",))


def test_cocos_own_layout_is_found_by_its_picture_folder(tmp_path: Path) -> None:
    picture(tmp_path / "val2017/a.png")
    instances(tmp_path / "annotations/instances_train2017.json", ["z.png"])
    instances(tmp_path / "annotations/instances_val2017.json", ["a.png"])
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.frames[0].path) == ("val2017", tmp_path / "val2017/a.png")


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png"])
def test_coco_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="would be outside the folder"):
        open_dataset(instances(tmp_path / "in/annotations.json", [name]))


def test_coco_names_a_picture_that_is_not_there(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    path = instances(tmp_path / "annotations.json", ["a.png", "b.png"])
    with pytest.raises(UsageError, match=r"names 2 pictures, of which 1 are not in .*b\.png"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, -3, 4]}, "annotation 100: a box of -3 x 4 pixels cannot be"),
        ({"bbox": [1, 2, "3", 4]}, "annotation 100: bbox is not"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 100: bbox is not"),
        ({"bbox": [100, 2, 30, 40]}, "annotation 100: the box .* lies outside the picture"),
        ({"category_id": 9}, "annotation 100: no category has the id 9"),
    ],
)
def test_a_bad_coco_annotation_is_named(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    picture(tmp_path / "a.png")
    dataset = open_dataset(instances(tmp_path / "annotations.json", ["a.png"], **changes))
    with pytest.raises(UsageError, match=message):
        _ = dataset.frames[0].boxes


def test_coco_of_another_picture_size_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 32, 32)
    dataset = open_dataset(instances(tmp_path / "annotations.json", ["a.png"]))
    with pytest.raises(UsageError, match=r"is for a\.png of 64x48, but that has 32x32"):
        _ = dataset.frames[0].boxes


def test_an_annotation_of_no_image_is_named(tmp_path: Path) -> None:
    path = instances(tmp_path / "annotations.json", ["a.png"], image_id=5)
    with pytest.raises(UsageError, match="annotation 100: no image has the id 5"):
        open_dataset(path)


def test_voc_counts_pixels_from_one_and_difficult_is_a_crowd(tmp_path: Path) -> None:
    voc(tmp_path, "000001", difficult=1)
    (frame,) = open_dataset(tmp_path).frames
    assert frame.boxes == (Box("dog", 0, 10, 10, 20, crowd=True),)


def test_a_voc_image_set_is_chosen_by_name(tmp_path: Path) -> None:
    voc(tmp_path, "000001")
    voc(tmp_path, "000002")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("000002\n")
    assert [f.name for f in open_dataset(f"{tmp_path}:test").frames] == ["000002.jpg"]
    with pytest.raises(UsageError, match="no image set 'train'; there are: test"):
        open_dataset(f"{tmp_path}:train")


def test_a_voc_class_that_is_unknown_is_named_with_its_file(tmp_path: Path) -> None:
    path = voc(tmp_path, "000001", name="spaceship")
    with pytest.raises(UsageError, match=f"{path}: object 1: the class 'spaceship'"):
        _ = open_dataset(tmp_path).frames[0].boxes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_entities_are_never_expanded(tmp_path: Path, encoding: str) -> None:
    head = '<!DOCTYPE a [<!ENTITY e "dog">]>'
    path = voc(tmp_path, "000001", name="&e;", head=head)
    path.write_bytes(path.read_text().encode(encoding))
    with pytest.raises(UsageError, match="it holds a DOCTYPE"):
        _ = open_dataset(tmp_path).frames[0].boxes


def test_xml_that_is_none_is_named(tmp_path: Path) -> None:
    path = voc(tmp_path, "000001")
    path.write_text("<annotation>")
    with pytest.raises(UsageError, match=r"000001\.xml is not XML"):
        _ = open_dataset(tmp_path).frames[0].boxes


def test_a_video_gives_lossless_frames_in_any_order(tmp_path: Path) -> None:
    dataset = open_dataset(video(tmp_path / "clip.mkv"))
    assert [frame.name for frame in dataset.frames][:2] == ["000000.png", "000001.png"]
    for index in (4, 5, 0):
        with Image.open(io.BytesIO(dataset.frames[index].read())) as image:
            assert np.array_equal(np.asarray(image), pixels(index))
    assert (dataset.is_sequence, dataset.rate_hz, dataset.frames[0].boxes) == (True, 50, None)


def test_a_video_frame_is_identified_by_its_file_and_index(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv")
    assert open_dataset(path).frames[3].facts() == {
        "name": "000003.png",
        "source": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "md5": hashlib.md5(path.read_bytes()).hexdigest(),
        "frame": "3",
    }


@pytest.mark.parametrize("first", [0, 1])
def test_texts_beside_a_video_are_matched_by_number(tmp_path: Path, first: int) -> None:
    path = video(tmp_path / "clip.mkv")
    folder = texts(tmp_path / "clip", first=first)
    (folder / "classes.txt").write_text("\n".join(COCO_CLASSES))
    (folder / f"clip_seq_{first + 2:03}.txt").write_text("")
    boxes = [frame.boxes for frame in open_dataset(path).frames]
    assert boxes == [(PERSON,), (PERSON,), (), (PERSON,), (PERSON,), (PERSON,)]


def test_a_json_beside_a_video_is_its_ground_truth(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv", 2)
    names = ["clip_000.png", "clip_001.png"]
    instances(tmp_path / "clip.json", names, **{"class": "Potted plant"})
    dataset = open_dataset(path)
    assert dataset.frames[1].boxes == (Box("potted plant", 1, 2, 30, 40),)
    assert dataset.classes == ("potted plant",)


def test_a_frame_without_annotation_file_is_named(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv")
    (texts(tmp_path / "clip") / "clip_seq_004.txt").unlink()
    with pytest.raises(UsageError, match=r"frame 4 of .*clip\.mkv has no annotation file"):
        open_dataset(path)


def test_a_video_with_fewer_frames_than_annotations_ends_early(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv")
    texts(tmp_path / "clip", frames=8)
    with pytest.raises(UsageError, match=r"clip_seq_006.* frame 6, .*ends early, after 6 frames"):
        open_dataset(path)


def sfu(folder: Path, *names: str) -> Path:
    for name in names:
        video(folder / "videos" / f"{name}.mkv", 2)
        texts(folder / "ground-truth" / name.partition("_")[0], 2)
    return folder


def test_sfu_with_one_sequence_is_opened_by_its_folder(tmp_path: Path) -> None:
    dataset = open_dataset(sfu(tmp_path, "BQMall_832x480_60"))
    assert (dataset.name, dataset.kind) == ("BQMall_832x480_60", "sfu-hw-objects")
    assert dataset.frames[0].boxes == (PERSON,)
    assert dataset.facts()["annotated"] == 2


def test_an_sfu_sequence_is_chosen_by_its_short_name_or_its_video(tmp_path: Path) -> None:
    sfu(tmp_path, "BQMall_832x480_60", "Kimono1_1920x1080_24")
    by_name = open_dataset(f"{tmp_path}:bqmall")
    by_file = open_dataset(tmp_path / "videos/BQMall_832x480_60.mkv")
    assert by_name.source == by_file.source
    assert by_name.frames[0].boxes == by_file.frames[0].boxes == (PERSON,)


def test_sfu_with_several_sequences_asks_for_one(tmp_path: Path) -> None:
    sfu(tmp_path, "BQMall_832x480_60", "Kimono1_1920x1080_24")
    with pytest.raises(UsageError, match=r"choose one as .*:NAME, of BQMall_832x480_60, Kimono1"):
        open_dataset(tmp_path)


def test_each_sequence_of_sfu_can_be_named(tmp_path: Path) -> None:
    folder = sfu(tmp_path, "BQMall_832x480_60", "Kimono1_1920x1080_24")
    names = sequences(str(folder))
    assert [open_dataset(name).name for name in names] == [
        "BQMall_832x480_60",
        "Kimono1_1920x1080_24",
    ]
    assert sequences("shapes:3") == ("shapes:3",)


def test_sfu_annotations_may_lie_in_one_folder(tmp_path: Path) -> None:
    video(tmp_path / "videos/clip.mkv", 2)
    texts(tmp_path / "ground-truth", 2)
    assert open_dataset(tmp_path).frames[1].boxes == (PERSON,)


def test_sfu_without_ground_truth_says_where_it_belongs(tmp_path: Path) -> None:
    video(tmp_path / "videos/clip.mkv", 2)
    (tmp_path / "ground-truth").mkdir()
    with pytest.raises(UsageError, match=r"no ground truth for .*expected .*ground-truth/clip/"):
        open_dataset(tmp_path)


def test_the_ground_truth_of_a_run_is_identified(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv")
    texts(tmp_path / "clip")
    before = open_dataset(path).facts()["truth"]
    (tmp_path / "clip/clip_seq_003.txt").write_text("car 1 2 3 4\n")
    after = open_dataset(path).facts()["truth"]
    assert isinstance(before, dict)
    assert before["files"] == 6
    assert before != after


def test_a_dataset_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITBED_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=f"voc2007 is not in {tmp_path}/voc2007: run 'orchestrate"):
        open_dataset("voc2007")
    voc(tmp_path / "voc2007/VOCdevkit/VOC2007", "000001")
    assert len(open_dataset("voc2007").frames) == 1


def test_nothing_there_is_refused() -> None:
    with pytest.raises(UsageError, match="nowhere"):
        open_dataset("nowhere")


@pytest.mark.parametrize(
    ("text", "classes", "name"),
    [
        ("Potted plant", COCO_CLASSES, "potted plant"),
        ("pottedplant", COCO_CLASSES, "potted plant"),
        ("Cell phone", COCO_CLASSES, "cell phone"),
        ("sofa", COCO_CLASSES, "couch"),
        ("tv", ("dog", "tvmonitor"), "tvmonitor"),
        ("dining table", ("diningtable",), "diningtable"),
        ("ferry", COCO_CLASSES, None),
    ],
)
def test_a_class_is_found_under_its_names(
    text: str, classes: tuple[str, ...], name: str | None
) -> None:
    assert class_named(text, classes) == name


needs_reference = pytest.mark.skipif(not DATA.is_dir(), reason="the reference data is not here")


@needs_reference
def test_the_100_voc_pictures_have_273_boxes_of_20_classes(tmp_path: Path) -> None:
    with ZipFile(DATA / "voc2007_100_images_boxes.zip") as archive:
        archive.extractall(tmp_path)
    dataset = open_dataset(tmp_path)
    boxes = [box for frame in dataset.frames for box in frame.boxes or ()]
    assert (len(dataset.frames), len(boxes), len(dataset.classes)) == (100, 273, 20)
    assert {box.label for box in boxes} == set(dataset.classes)


@needs_reference
def test_sfus_own_class_texts_are_taken_and_every_real_box_passes(tmp_path: Path) -> None:
    with ZipFile(DATA / "sfu_hw_objects_annotations_m59143.zip") as archive:
        archive.extractall(tmp_path)
    found = Counter(
        box.label
        for path in (tmp_path / "sfu-annotations-from-m59143").glob("*.json")
        for file in [read_instances(path)]
        for image in file.images
        for box in file.boxes(image, image.size)
    )
    assert found.most_common(3) == [("person", 7409), ("car", 4754), ("chair", 2005)]
    assert (found["potted plant"], len(found)) == (226, 15)
    assert set(found) <= set(COCO_CLASSES)


def test_of_class_folders_in_partitions_those_of_the_test_are_taken(tmp_path: Path) -> None:
    """As the Chest X-ray images of clause 10.6.8 lie."""
    for partition, count in (("train", 3), ("test", 1)):
        for name in ("NORMAL", "PNEUMONIA"):
            (folder := tmp_path / partition / name).mkdir(parents=True)
            for place in range(count):
                picture(folder / f"{place}.jpeg")
    dataset = open_dataset(tmp_path)
    assert [frame.label for frame in dataset.frames] == ["NORMAL", "PNEUMONIA"]
    assert dataset.classes == ("NORMAL", "PNEUMONIA")


def test_a_voc_picture_shows_a_class_where_all_its_objects_are_of_one(tmp_path: Path) -> None:
    voc(tmp_path, "000001")
    assert open_dataset(tmp_path).frames[0].shows == "dog"
