"""The categories of a memory, chosen by its words. A configured language model chooses them instead."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from functions.memory_engine import words

DEFAULT: dict[str, str] = {
    "personal_details": "name named called age old birthday born live lives address nationality language speak "
    "height email phone from",
    "family": "wife husband mother father mom dad parents son daughter brother sister child children kids baby "
    "married grandmother grandfather cousin family",
    "professional_details": "work job engineer company manager office career developer designer teacher doctor "
    "lawyer salary boss colleague profession startup",
    "sports": "football soccer tennis basketball swim jogging marathon gym hike cycling climb ski yoga golf",
    "travel": "travel trip flight hotel visit vacation holiday airport passport abroad journey",
    "food": "eat food pizza coffee tea restaurant vegetarian vegan cook recipe breakfast lunch dinner allergic "
    "cheese meat fish chocolate spicy wine beer cuisine sushi pasta",
    "music": "music song guitar piano band concert album sing jazz violin playlist drums",
    "health": "health doctor allergy allergic medication diagnosed sleep diet pain asthma diabetes therapy exercise",
    "technology": "computer laptop phone software python javascript code programming app linux server ai data "
    "keyboard editor",
    "hobbies": "hobby paint drawing photography reading book garden chess collect knitting fishing puzzle",
    "fashion": "fashion clothes dress shoes jacket style wear outfit brand jeans",
    "entertainment": "movie film series show netflix game cinema theatre podcast anime novel comedy",
    "milestones": "graduated promoted anniversary wedding engaged achievement finished won completed degree retired",
    "user_preferences": "prefer like love enjoy favorite favourite hate dislike rather best want wish",
}
"""Mem0's default categories, each with words that point to it. `misc` is for memories without any of these words."""

MAX_CATEGORIES = 3


@lru_cache(maxsize=1)
def _default_stems() -> dict[str, frozenset[str]]:
    return {name: words.stems_of(description) for name, description in DEFAULT.items()}


def of(text: str, custom: dict[str, str] | None = None) -> tuple[str, ...]:
    """Returns at most three categories, the best match first; `misc` when no default category matches."""
    stems = words.stems_of(text)
    if custom is None:
        catalogue = _default_stems()
    else:
        catalogue = {
            name: words.stems_of(f"{name.replace('_', ' ')} {description}") for name, description in custom.items()
        }
    support = {name: len(stems & own) for name, own in catalogue.items()}
    chosen = sorted((name for name, hits in support.items() if hits), key=lambda name: -support[name])
    if not chosen and custom is None:
        return ("misc",)
    return tuple(chosen[:MAX_CATEGORIES])


def wrong_entries(listed: Any) -> dict[str, list[str]]:
    """The entries of `custom_categories` that are not objects, by place, each with Django REST's message."""
    return {
        str(place): [f'Expected a dictionary of items but got type "{type(entry).__name__}".']
        for place, entry in enumerate(listed if isinstance(listed, list) else ())
        if not isinstance(entry, dict)
    }
