"""placeholder until identity lands"""
from pathlib import Path
from weft.local.plan import Replica


class Credentials:
    anchors: Path
    token_key: Path

    @staticmethod
    def make(directory: Path) -> "Credentials":
        raise NotImplementedError

    def write_token(self, replica: Replica, path: Path) -> None: ...
