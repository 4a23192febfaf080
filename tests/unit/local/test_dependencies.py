"""What keeps a replica from starting."""

from weft.local.dependencies import HeldUp, Stand, held_up

DONE, COMING = Stand(done=True), Stand(done=False)
FAILED = Stand(done=False, trouble="job migrate failed: migrate-0 exited with code 3")


def test_all_replicas_of_all_workloads_must_be_there() -> None:
    """Requirement: whoever is not ready is named, and nothing holds up a replica that depends on nobody."""
    assert not held_up({})
    assert not held_up({"a": [DONE, DONE], "b": []})
    assert held_up({"a": [DONE, COMING], "b": [DONE], "c": [COMING]}) == HeldUp("waits for a, c")


def test_a_failure_is_told_along_the_whole_way() -> None:
    """Requirement: who waits for a failed job has the job's reason, and so has who waits for those that wait."""
    first = held_up({"migrate": [FAILED], "slow": [COMING]})
    assert first == HeldUp(f"blocked: {FAILED.trouble}", FAILED.trouble)
    assert held_up({"web": [DONE, Stand(done=False, trouble=first.trouble)]}) == first
