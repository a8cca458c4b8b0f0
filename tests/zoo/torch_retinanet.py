"""torchvision's RetinaNet said again in plain PyTorch, to hold the ONNX graph against.

Modules have the names that torchvision gives them, so the state dict does too.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own code calls it
from torch import Tensor, nn

LEVELS = (3, 4, 5, 6, 7)


class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, eps=0)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=0)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width, eps=0)
        self.downsample = None
        if channels != 4 * width:
            conv = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * width, eps=0))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        short = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(out)) + short)


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=0)
        channels = 64
        for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            rows = []
            for block in range(blocks):
                rows.append(Block(channels, width, 2 if stage > 1 and block == 0 else 1))
                channels = 4 * width
            setattr(self, f"layer{stage}", nn.Sequential(*rows))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        maps = []
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps[1:]


class Extra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(256, 256, 3, 2, 1)
        self.p7 = nn.Conv2d(256, 256, 3, 2, 1)


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(channels, 256, 1)) for channels in (512, 1024, 2048)]
        )
        self.layer_blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(256, 256, 3, padding=1)) for _ in range(3)]
        )
        self.extra_blocks = Extra()

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        merged = [inner(each) for inner, each in zip(self.inner_blocks, x, strict=True)]
        for place in (1, 0):
            size = merged[place].shape[-2:]
            merged[place] = merged[place] + F.interpolate(merged[place + 1], size, mode="nearest")
        maps = [layer(each) for layer, each in zip(self.layer_blocks, merged, strict=True)]
        p6 = self.extra_blocks.p6(maps[-1])
        return [*maps, p6, self.extra_blocks.p7(F.relu(p6))]


class Head(nn.Module):
    def __init__(self, last: str, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()) for _ in range(4))
        )
        self.last = last
        setattr(self, last, nn.Conv2d(256, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = getattr(self, self.last)(self.conv(x))
        return out


class RetinaNet(nn.Module):
    """Gives the maps of the pyramid, of the classes and of the offsets, level by level."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"body": Body(), "fpn": Pyramid()})
        self.head = nn.ModuleDict(
            {
                "classification_head": Head("cls_logits", 9 * 91),
                "regression_head": Head("bbox_reg", 9 * 4),
            }
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        maps = self.backbone["fpn"](self.backbone["body"](images))
        heads = (self.head["classification_head"], self.head["regression_head"])
        logits, offsets = ([head(level) for level in maps] for head in heads)
        return maps, logits, offsets


def state_dict(model: nn.Module) -> dict[str, Tensor]:
    """As frozen batch norm leaves it: nothing counts batches."""
    state = model.state_dict()
    return {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}


def anchors(height: int, width: int, like: Tensor, level: int) -> Tensor:
    """Corners of a level's anchors, as torchvision's AnchorGenerator lays them out."""
    rows, columns = like.shape[-2:]
    base = 2 ** (level + 2)
    scales = torch.tensor([base, int(base * 2 ** (1 / 3)), int(base * 2 ** (2 / 3))]).float()
    tall = torch.tensor([0.5, 1.0, 2.0]).sqrt()[:, None]
    ws, hs = ((1 / tall) * scales).view(-1), (tall * scales).view(-1)
    cell = (torch.stack([-ws, -hs, ws, hs], dim=1) / 2).round()
    y, x = torch.meshgrid(
        torch.arange(rows) * (height // rows), torch.arange(columns) * (width // columns),
        indexing="ij",
    )  # fmt: skip
    shifts = torch.stack([x, y, x, y], dim=-1).view(-1, 1, 4)
    return (shifts + cell).view(-1, 4)


def detect(
    logits: list[Tensor], offsets: list[Tensor], height: int, width: int
) -> dict[str, np.ndarray[Any, Any]]:
    """As torchvision's postprocess_detections: boxes, labels and scores."""
    found = [
        _level(cls, reg, anchors(height, width, cls, level), height, width)
        for cls, reg, level in zip(logits, offsets, LEVELS, strict=True)
    ]
    boxes, labels, scores = (torch.cat(column) for column in zip(*found, strict=True))
    kept = torch.tensor(list(_nms(boxes, labels, scores)), dtype=torch.int64)[:300]
    return {
        "boxes": boxes[kept].numpy(),
        "labels": labels[kept].numpy(),
        "scores": scores[kept].numpy(),
    }


def _level(
    cls: Tensor, reg: Tensor, corners: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = cls.shape[-2:]
    flat = cls.view(9, 91, rows, columns).permute(2, 3, 0, 1).reshape(-1).sigmoid()
    codes = reg.view(9, 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4)
    above = torch.where(flat > 0.05)[0]
    scores, order = flat[above].topk(min(1000, len(above)))
    index = above[order]
    place = index // 91
    sizes = corners[place, 2:] - corners[place, :2]
    centres = corners[place, :2] + 0.5 * sizes
    middle = codes[place, :2] * sizes + centres
    grown = codes[place, 2:].clamp(max=float(np.log(1000 / 16))).exp() * sizes
    boxes = torch.cat([middle - 0.5 * grown, middle + 0.5 * grown], dim=1)
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height)
    return boxes, index % 91, scores


def _nms(boxes: Tensor, labels: Tensor, scores: Tensor) -> Iterator[int]:
    """Survivors of greedy suppression within each class, best first."""
    left = scores.argsort(descending=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    while len(left):
        best = left[0]
        yield int(best)
        corner = torch.maximum(boxes[best, :2], boxes[left, :2])
        sides = (torch.minimum(boxes[best, 2:], boxes[left, 2:]) - corner).clamp(min=0)
        common = sides.prod(dim=1)
        overlap = common / (areas[best] + areas[left] - common)
        drop = (overlap > 0.5) & (labels[left] == labels[best])
        drop[0] = True
        left = left[~drop]
