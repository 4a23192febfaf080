"""What keeps the bench from being run."""


class MeshError(Exception):
    """The topology could not be raised; the message is for people."""
