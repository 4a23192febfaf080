"""Rotation step by step, with proxies that take up what they are told sooner or later."""

from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weft.identity import files
from weft.identity.ca import Names
from weft.identity.standing import Standing
from weft.lib import clock
from weft.lib.errors import WeftError
from weft.local.credentials import Credentials
from weft.local.rotation import Rotation

pytestmark = pytest.mark.anyio
EVERYBODY = ("a", "b", "c")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Proxies:
    """Each reads the bundle, and renews, when the test says so; whoever it is, all must accept each other always."""

    def __init__(self, directory: Path) -> None:
        self.credentials = Credentials.make(directory, None)
        self._directory = directory
        self.standings: dict[str, Standing | None] = {}
        self.asked = 0
        self.turns: list[Iterable[str]] = []
        """Who comes along before each question; everybody when the list is over."""
        self.come_along(EVERYBODY)

    def come_along(self, names: Iterable[str]) -> None:
        issuer = files.load(self._directory, None, clock.system())
        for name in names:
            leaf = issuer.issue(csr(name), Names(name), clock.system())
            chain = tuple(x509.load_der_x509_certificate(each) for each in (leaf.certificate, *leaf.intermediates))
            self.standings[name] = Standing(name, chain, tuple(self.credentials.trusted))

    async def ask(self) -> dict[str, Standing | None]:
        self.asked += 1
        self.come_along(self.turns.pop(0) if self.turns else EVERYBODY)
        self.accept_each_other()
        return dict(self.standings)

    def accept_each_other(self) -> None:
        known = [each for each in self.standings.values() if each is not None]
        for one in known:
            for other in known:
                assert any(one.under(anchor) for anchor in other.anchors), (one.identity, other.identity)


def csr(name: str) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


async def said(lines: AsyncGenerator[str, None]) -> list[str]:
    return [line async for line in lines]


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("a",), ("b", "c"), ("c",), ("a",), ("b",), ("b",)],
        [(), ("a", "b"), ("c",), (), ("c", "a"), ("b",), (), ("a",)],
    ],
)
async def test_at_every_moment_everybody_accepts_everybody(tmp_path: Path, turns: list[Iterable[str]]) -> None:
    """Requirement: in whatever order proxies come along, no two of them ever refuse each other."""
    proxies = Proxies(tmp_path)
    (old,) = proxies.credentials.trusted
    proxies.turns = turns
    steps = await said(Rotation(proxies.credentials, proxies.ask).anchors(None, 20, "remove"))
    assert [line.partition(":")[0] for line in steps if not line.startswith(" ")] == ["add", "reissue", "remove"]
    (new,) = proxies.credentials.trusted
    assert new != old
    for each in proxies.standings.values():
        assert each is not None
        assert each.anchors == (new,)
        assert each.under(new)


@pytest.mark.parametrize("stage", ["add", "reissue"])
async def test_who_does_not_come_along_stops_it(tmp_path: Path, stage: str) -> None:
    """Requirement: at each step the straggler is named and nothing is taken away; afterwards it goes on from there."""
    proxies = Proxies(tmp_path)
    rotation = Rotation(proxies.credentials, proxies.ask)
    if stage == "reissue":
        await said(rotation.anchors(None, 0, "add"))
    before = proxies.credentials.issuer
    proxies.turns = [("a", "b")] if stage == "add" else [(), ("a", "b")]
    with pytest.raises(WeftError, match=r"would cut off c$"):
        await said(rotation.anchors(None, 0, "remove"))
    assert len(proxies.credentials.trusted) == 2
    assert (proxies.credentials.issuer == before) is (stage == "add")
    with pytest.raises(WeftError, match="half way"):
        await said(rotation.issuer(None, 0))
    proxies.turns = []
    await said(rotation.anchors(None, 0, "remove"))
    assert len(proxies.credentials.trusted) == 1


async def test_who_does_not_answer_stops_it_too(tmp_path: Path) -> None:
    """Requirement: a proxy that does not say what it trusts counts as one that does not trust."""
    proxies = Proxies(tmp_path)

    async def ask() -> dict[str, Standing | None]:
        return {**await proxies.ask(), "silent": None}

    with pytest.raises(WeftError, match=r"silent \(silent did not answer\)"):
        await said(Rotation(proxies.credentials, ask).anchors(None, 0, "remove"))


async def test_a_new_issuer_brings_everybody_a_new_certificate(tmp_path: Path) -> None:
    """Requirement: below the same anchor; confirmed when nobody bears one of the old issuer any more."""
    proxies = Proxies(tmp_path)
    trusted, old = proxies.credentials.trusted, proxies.credentials.issuer
    proxies.turns = [("a",), ("b",)]
    await said(Rotation(proxies.credentials, proxies.ask).issuer(None, 20))
    assert proxies.credentials.trusted == trusted
    assert proxies.credentials.issuer != old
    assert all(each and each.bears(proxies.credentials.issuer) for each in proxies.standings.values())


async def test_one_rotation_at_a_time(tmp_path: Path) -> None:
    """Requirement: a second one is refused while the first is under way."""
    proxies = Proxies(tmp_path)
    rotation = Rotation(proxies.credentials, proxies.ask)
    first = rotation.anchors(None, 0, "remove")
    await anext(first)
    with pytest.raises(WeftError, match="under way"):
        await said(rotation.issuer(None, 0))
    await first.aclose()
    await said(rotation.anchors(None, 0, "remove"))
