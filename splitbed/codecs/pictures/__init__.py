"""Codecs of pictures: of a model's input, or of channels side by side as a mosaic.

tensor ──> canvas (the picture that it is, or tiles) ──> pixels ──> still or video ──> the wire
"""

from splitbed.codecs.pictures import stills, video
from splitbed.codecs.stage import StageKind

KINDS: dict[str, StageKind] = {**stills.KINDS, **video.KINDS}
