"""Commands to a house and to what drives, of a closed vocabulary without homophones.

After the templates of GRID (Cooke et al., JASA 2006): a few patterns that are filled at random, and
now and then words in no order, so that a recogniser cannot go by the pattern alone.
"""

from splitbed.media.dice import Dice

ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
COLOURS = ["red", "green", "blue", "white", "black", "yellow", "orange", "purple"]
PLACES = [
    "kitchen",
    "bedroom",
    "garage",
    "garden",
    "office",
    "hall",
    "station",
    "harbour",
    "airport",
]
THINGS = [
    "lamp",
    "fan",
    "heater",
    "radio",
    "door",
    "window",
    "gate",
    "box",
    "cup",
    "timer",
    "alarm",
]
WAYS = ["north", "south", "east", "west", "left", "right", "up", "down"]
UNITS = ["metres", "minutes", "seconds", "hours", "degrees", "percent"]
WHEN = ["again", "now", "please", "soon", "later", "today"]
MOVES = ["move", "drive", "go", "walk"]
DEEDS = ["open", "close", "lock", "show", "call", "stop", "start", "play"]
OTHERS = [
    "hundred",
    "turn",
    "switch",
    "place",
    "set",
    "on",
    "off",
    "the",
    "in",
    "at",
    "by",
    "with",
    "from",
    "and",
]
LOOSE = [
    *ONES, *TEENS, *TENS, *COLOURS, *PLACES, *THINGS, *WAYS, *UNITS, *WHEN, *MOVES, *DEEDS,
    *OTHERS,
]  # fmt: skip
VOCABULARY = tuple(sorted(LOOSE))


def sentence(dice: Dice) -> str:
    """Three to nine words of the vocabulary, in lower case."""
    pattern = PATTERNS[dice.pick(len(PATTERNS))]
    if not pattern:
        return loose(dice, 3 + dice.pick(3))
    return " ".join(_filled(word, dice) for word in pattern.split())


def loose(dice: Dice, words: int) -> str:
    """So many words of the vocabulary in no order."""
    return " ".join(_one(LOOSE, dice) for _ in range(words))


def _filled(word: str, dice: Dice) -> str:
    if word == "NUMBER":
        return _number(dice)
    return _one(KINDS[word], dice) if word in KINDS else word


def _number(dice: Dice) -> str:
    ones = _one(ONES[1:], dice)
    kinds = (
        _one(ONES, dice), _one(TEENS, dice), _one(TENS, dice), f"{_one(TENS, dice)} {ones}",
        f"{ones} hundred",
    )  # fmt: skip
    return kinds[dice.pick(len(kinds))]


def _one(words: list[str], dice: Dice) -> str:
    return words[dice.pick(len(words))]


KINDS = {
    "VERB": ["set", "place", "move", "show"],
    "COLOUR": COLOURS, "PLACE": PLACES, "THING": THINGS, "WAY": WAYS, "UNIT": UNITS,
    "WHEN": WHEN, "MOVE": MOVES, "DEED": DEEDS, "ON": ["on", "off"],
    "TURN": ["turn", "switch"], "NEAR": ["by", "in", "at", "with", "from"],
    "TIMER": ["timer", "alarm"], "TIME": ["minutes", "seconds", "hours"],
}  # fmt: skip
PATTERNS = (
    "VERB COLOUR THING NEAR NUMBER WHEN",
    "VERB COLOUR THING NEAR WAY PLACE NUMBER",
    "TURN ON the COLOUR THING in the PLACE",
    "TURN ON the THING in the PLACE WHEN",
    "DEED the COLOUR THING WHEN",
    "DEED the THING and the COLOUR THING",
    "MOVE WAY NUMBER UNIT",
    "MOVE WAY NUMBER UNIT and NUMBER UNIT WAY",
    "set the TIMER at NUMBER TIME",
    "go from the PLACE WAY by NUMBER metres",
    "call the PLACE at NUMBER WHEN",
    "",
    "",
)
