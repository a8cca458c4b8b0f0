"""A generated video of moving shapes with exact ground truth: accuracy without a download.

Textured discs, squares, triangles, rings, crosses and stars turn, grow and shrink, hide one another
and come and go, over a textured background that pans by fractions of a pixel, under changing light
and with grain: detection is not trivial, coarse quantisation costs accuracy, and coding between
frames gains.  Bars and ovals that are no objects lie in the background.

Seeds 0 to 99 are for measurements; Splitbed's own detector is trained on seeds from 1000 on
(``scripts/train-shapesnet``).

Every machine gets the same bytes, see :mod:`splitbed.media.dice`.
"""

from splitbed.media.shapes.film import Film, drawn, sequence
from splitbed.media.shapes.scene import HEIGHT, NOBODY, WIDTH, Frame, Pixels

__all__ = ["HEIGHT", "NOBODY", "WIDTH", "Film", "Frame", "Pixels", "drawn", "sequence"]
