"""``python -m pipeline.eyes_child PARENT HANDLE CONFIG``: the networks that look at pictures.

A process of its own: they take seconds to load and a gigabyte to hold, and go when they are idle.
It gets pixels, never files: those were opened elsewhere.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pictures import faces
from pictures.child import Parent
from pictures.faces import Faces
from pipeline import packs
from pipeline.eyes import EyesConfig
from storage.die_with_parent import tie


class Networks:
    def __init__(self, config: EyesConfig) -> None:
        from pipeline.face_model import FaceModel, wished_providers

        wished = wished_providers(config.device)
        self.pack = packs.checked(Path(config.faces)) if config.faces else None
        self.words = packs.checked(Path(config.tagger)) if config.tagger else None
        self.face_model = None
        self.tagger = None
        self.providers: list[str] = []
        self.has_ages = False
        if self.pack is not None:
            self.face_model = FaceModel(
                self.pack.folder, wished, config.face_score, ages=config.ages
            )
            self.providers += self.face_model.providers
            self.has_ages = self.face_model.has_ages
        if self.words is not None:
            from pipeline.captions.tagger import Tagger

            self.tagger = Tagger.open(self.words.folder, wished, config.tag_threshold)
            self.providers += self.tagger.providers

    def see(self, image: Image.Image, words: Sequence[str] = ()) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if self.face_model is not None and self.pack is not None:
            found = Faces(pack=self.pack.digest, faces=self.face_model.find(image))
            said["faces"] = faces.to_json(found)
        if self.tagger is not None:
            said["described"] = self.tagger.tags([image])[0].to_json()
            if words:
                said["asked"] = self.tagger.shares(image, words)
        return said


def main() -> None:
    tie(int(sys.argv[1]))
    config = EyesConfig(**json.loads(sys.argv[3]))
    # Libraries print; our standard output is a protocol.
    parent = Parent.reached_by(int(sys.argv[2]), os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    try:
        networks = Networks(config)
    except Exception as error:  # noqa: BLE001  whatever a network's file makes of its loader
        parent.say({"failed": f"{type(error).__name__}: {error}"[:300]})
        return
    parent.say({"providers": sorted(set(networks.providers)), "ages": networks.has_ages})
    while (asked := parent.hear()) is not None:
        head, pixels = asked
        parent.say(networks.see(Image.frombytes("RGB", tuple(head["size"]), pixels), head["words"]))


if __name__ == "__main__":
    main()
