"""What callgrind wrote becomes counts of one request, without what the crypto libraries took."""

import pytest
from bench.callgrind import Counts, counts

PROFILE = """\
# callgrind format
positions: line
event: sysTime : sysTime (elapsed us)
events: Ir sysCount sysTime
summary: 1234 9 100

ob=(1) /program
fl=(1) relay.rs
fn=(1) weft_proxy::relay
10 100
+2 20 3 55
cob=(2) /libc.so
cfi=(2) syscall.S
cfn=(2) write
calls=3 7
* 30 3 40
cfn=(3) aws_lc_0_47_0_EVP_AEAD_CTX_seal
calls=2 0
-1 500 1

fn=(3)
0 300
cfn=(4) aes_block
calls=8 0
* 150
cfn=(5) aws_lc_0_47_0_CRYPTO_memcmp
calls=8 0
* 50 1 2

fn=(4)
1 150

fn=(5)
1 50 1 2

fn=(2)
7 30 3 40
"""


def test_crypto_is_left_out_with_all_that_it_calls():
    """Requirement: what a call cost counts once, at the callee; what a call into crypto cost, not at all."""
    assert counts(PROFILE.splitlines()) == Counts(100 + 20 + 30, 3 + 3)


@pytest.mark.parametrize(
    "name", ["aws_lc_0_47_0_EVP_AEAD_CTX_open", "ring::aead::algorithm::aes_gcm_open", "ring_core_0_17_14__gcm"]
)
def test_every_crypto_library_is_left_out(name: str):
    """Requirement: handshakes are one library's, records another's."""
    lines = ["events: Ir sysCount", "fn=(1) a", "1 5", f"cfn=(2) {name}", "calls=1 0", "1 70", "fn=(2)", "1 70"]
    assert counts(lines) == Counts(5, 0)


def test_the_order_of_the_events_is_read():
    """Requirement: columns are found by their names."""
    turned = ["events: sysTime sysCount Ir", "fn=(1) a", "1 5 6 7", "2 5"]
    assert counts(turned) == Counts(7, 6)


@pytest.mark.parametrize("lines", [[], ["fn=(1) a", "1 5"], ["events: Ir", "fn=(1) a", "1 5"]])
def test_what_is_no_such_profile_is_refused(lines: list[str]):
    """Requirement: an empty or other file is an error, never a small count."""
    with pytest.raises(ValueError, match="Ir"):
        counts(lines)


def test_one_request_has_its_share():
    """Requirement: instructions whole, system calls to a hundredth."""
    assert Counts(1000, 100).of_each(3) == Counts(333, 33.33)
