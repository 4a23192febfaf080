"""Who gets a certificate: a real control plane, asked over gRPC, with a clock that the test holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weft.gen import identity_pb2, identity_pb2_grpc
from weft.identity import authority, files, tokens
from weft.model.settings import Settings
from weft.serve import plane

pytestmark = pytest.mark.anyio
DEADLINE = 20.0
START = datetime(2026, 1, 1, tzinfo=UTC)
SUFFIX = "serviceaccount.identity.weft.cluster.local"
WEB = f"web.default.{SUFFIX}"
OURS = tokens.Bearer("default", "web", "web-0", "first")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Authority:
    """A running control plane and what a workload needs to ask it."""

    directory: Path
    key: tokens.KeyPair
    stub: identity_pb2_grpc.IdentityStub
    anchor: authority.Authority
    admin: int
    now: datetime = START

    def token(self, bearer: tokens.Bearer = OURS) -> str:
        return tokens.mint(self.key.private, bearer, self.now)

    def forged(self, claims: Mapping[str, object], headers: Mapping[str, str] | None = None, key: bytes = b"") -> str:
        """A good token, but for these claims, headers or this key."""
        good = self.token()
        said = {**jwt.decode(good, options={"verify_signature": False}), **claims}
        named = {"kid": jwt.get_unverified_header(good)["kid"], **(headers or {})}
        return jwt.encode(said, (key or self.key.private).decode(), algorithm="ES256", headers=named)

    async def ask(self, token: str, identity: str = WEB) -> identity_pb2.CertifyResponse:
        request = identity_pb2.CertifyRequest(
            identity=identity, token=token.encode(), certificate_signing_request=csr(identity)
        )
        response = await self.stub.Certify(request)
        assert isinstance(response, identity_pb2.CertifyResponse)
        return response

    async def refused(self, token: str, identity: str = WEB) -> tuple[str, str]:
        """The code's name and the words of a refusal."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.ask(token, identity)
        return refused.value.code().name, str(refused.value.details())

    def pod(self, name: str, uid: str, account: str = "web", namespace: str = "default") -> Path:
        """Put a pod into the mesh, by rename; returns its file."""
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {"serviceAccountName": account},
        }
        path = self.directory / "objects" / f"{namespace}-{name}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(document))
        return draft.rename(path)

    async def documents(self, count: int) -> None:
        """Until the control plane knows of so many documents."""
        while f"weft_documents {count}.0\n" not in await self.metrics():
            pass

    async def metrics(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.decode()


@asynccontextmanager
async def mesh(path: Path, **settings: bool) -> AsyncIterator[Authority]:
    """A control plane that knows one pod, web-0."""
    (path / "objects").mkdir()
    anchor = authority.create(path / "issuer", "cluster.local", START)
    key = tokens.create_key()
    (path / "token.pub").write_bytes(key.public)
    options = plane.Options(
        objects=path / "objects",
        issuer_directory=path / "issuer",
        token_key=path / "token.pub",
        settings=Settings(**settings),
        listen="127.0.0.1",
        identity_port=0,
        destination_port=0,
        policy_port=0,
        admin_port=0,
    )
    made: list[Authority] = []

    def clock() -> datetime:
        return made[0].now if made else START

    async with (
        asyncio.timeout(DEADLINE),
        plane.running(options, clock) as ports,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports.identity}") as channel,
    ):
        made.append(Authority(path, key, identity_pb2_grpc.IdentityStub(channel), anchor, ports.admin))
        made[0].pod("web-0", "first")
        yield made[0]


def csr(name: str) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


async def test_a_workload_gets_a_certificate_for_the_account_its_token_proves(tmp_path: Path) -> None:
    """Requirement: a DER leaf for a day and the token's identity, with the issuer that leads to the anchor.

    The workload's document may come a moment after its proxy: the control plane waits for it.
    """
    async with mesh(tmp_path) as running:
        response = await running.ask(running.token())
        leaf = x509.load_der_x509_certificate(response.leaf_certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [WEB]
        (issuer,) = (x509.load_der_x509_certificate(each) for each in response.intermediate_certificates)
        leaf.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(running.anchor.anchor)
        assert response.valid_until.ToDatetime(UTC) == leaf.not_valid_after_utc
        assert leaf.not_valid_after_utc == START + timedelta(hours=24, seconds=20)


async def test_a_token_for_another_audience_gets_nothing(tmp_path: Path) -> None:
    """Requirement: audience `identity.l5d.io`, nothing else."""
    async with mesh(tmp_path) as running:
        code, why = await running.refused(running.forged({"aud": ["https://kubernetes.default.svc"]}))
        assert (code, "udience" in why) == ("FAILED_PRECONDITION", True)


async def test_an_expired_token_gets_nothing(tmp_path: Path) -> None:
    """Requirement: after `exp` a token proves nothing."""
    async with mesh(tmp_path) as running:
        token = running.token()
        running.now += timedelta(hours=1, seconds=10)
        assert await running.refused(token) == ("FAILED_PRECONDITION", "the token has expired")


async def test_a_token_of_the_future_gets_nothing(tmp_path: Path) -> None:
    """Requirement: before `nbf` a token proves nothing."""
    async with mesh(tmp_path) as running:
        token = running.token()
        running.now -= timedelta(minutes=1)
        assert await running.refused(token) == ("FAILED_PRECONDITION", "the token is not valid yet")


async def test_a_clock_that_is_set_is_survived(tmp_path: Path) -> None:
    """Requirement: after the clock was set forward by a month or back by most of a day, a token of then gets a
    certificate that is in force then, below an issuer and an anchor that are.
    """
    async with mesh(tmp_path) as running:
        for jump in (timedelta(days=30), timedelta(days=-30, hours=-23)):
            running.now += jump
            response = await running.ask(running.token())
            chain = [response.leaf_certificate, *response.intermediate_certificates]
            for each in (*map(x509.load_der_x509_certificate, chain), running.anchor.anchor):
                assert each.not_valid_before_utc <= running.now < each.not_valid_after_utc


async def test_a_token_that_somebody_else_signed_gets_nothing(tmp_path: Path) -> None:
    """Requirement: the signature must be that of the key which the token names."""
    async with mesh(tmp_path) as running:
        code, why = await running.refused(running.forged({}, key=tokens.create_key().private))
        assert (code, "not signed" in why) == ("FAILED_PRECONDITION", True)


async def test_a_token_of_an_unknown_key_gets_nothing(tmp_path: Path) -> None:
    """Requirement: the key id must be one of the mesh's, whatever signed the token."""
    async with mesh(tmp_path) as running:
        code, why = await running.refused(running.forged({}, headers={"kid": "another"}))
        assert (code, "names a key" in why) == ("FAILED_PRECONDITION", True)


async def test_a_token_of_another_workload_gets_nothing(tmp_path: Path) -> None:
    """Requirement: the token's workload exists and runs as the token's account; the identity is that account's."""
    async with mesh(tmp_path) as running:
        running.pod("api-0", "api", "api")
        api = tokens.Bearer("default", "api", "api-0", "api")
        await running.ask(running.token(api), f"api.default.{SUFFIX}")
        assert await running.refused(running.token(api)) == (
            "FAILED_PRECONDITION",
            f"the token proves api.default.{SUFFIX}, not {WEB}",
        )
        for bearer, words in (
            (tokens.Bearer("default", "web", "api-0", "api"), "runs as api, not web"),
            (tokens.Bearer("default", "web", "nobody-0", "first"), "does not exist"),
            (tokens.Bearer("default", "web"), "bound to no workload"),
        ):
            code, why = await running.refused(running.token(bearer))
            assert (code, words in why) == ("FAILED_PRECONDITION", True), why


async def test_a_token_of_another_namespace_gets_nothing(tmp_path: Path) -> None:
    """Requirement: the namespace is part of the identity, of the subject and of the workload, and all three agree."""
    async with mesh(tmp_path) as running:
        running.pod("web-0", "theirs", namespace="other")
        theirs = tokens.Bearer("other", "web", "web-0", "theirs")
        await running.ask(running.token(theirs), f"web.other.{SUFFIX}")
        code, why = await running.refused(running.token(theirs))
        assert (code, "proves web.other" in why) == ("FAILED_PRECONDITION", True)
        code, why = await running.refused(running.forged({"sub": "system:serviceaccount:other:web"}))
        assert (code, "not in namespace other" in why) == ("FAILED_PRECONDITION", True)


async def test_a_token_is_of_no_use_after_its_workload_is_removed(tmp_path: Path) -> None:
    """Requirement: a copy of a token gets nothing once the workload is gone, nor when another has its name."""
    async with mesh(tmp_path) as running:
        token = running.token()
        await running.ask(token)
        (tmp_path / "objects" / "default-web-0.json").unlink()
        await running.documents(0)
        code, why = await running.refused(token)
        assert (code, "does not exist" in why) == ("FAILED_PRECONDITION", True)
        running.pod("web-0", "second")
        await running.documents(1)
        code, why = await running.refused(token)
        assert (code, "earlier or other workload" in why) == ("FAILED_PRECONDITION", True)
        await running.ask(running.token(tokens.Bearer("default", "web", "web-0", "second")))


async def test_what_cannot_be_read_is_an_invalid_argument(tmp_path: Path) -> None:
    """Requirement: Linkerd's codes: INVALID_ARGUMENT for an empty or broken token or request."""
    async with mesh(tmp_path) as running:
        assert (await running.refused("not a token"))[0] == "INVALID_ARGUMENT"
        assert (await running.refused(""))[0] == "INVALID_ARGUMENT"
        assert (await running.refused(running.forged({"sub": "somebody"})))[0] == "INVALID_ARGUMENT"
        request = identity_pb2.CertifyRequest(
            identity=WEB, token=running.token().encode(), certificate_signing_request=b"no request"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.stub.Certify(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        mismatch = identity_pb2.CertifyRequest(
            identity=WEB, token=running.token().encode(), certificate_signing_request=csr("other")
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.stub.Certify(mismatch)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_new_issuer_signs_as_soon_as_it_is_there_and_a_broken_one_does_not(tmp_path: Path) -> None:
    """Requirement: files are loaded again when they change; after a bad change the last good issuer goes on."""
    async with mesh(tmp_path) as running:
        first = (await running.ask(running.token())).intermediate_certificates
        (tmp_path / "issuer" / files.ISSUER).write_text("broken")
        assert (await running.ask(running.token())).intermediate_certificates == first
        assert "weft_issuer_problem 1.0\n" in await running.metrics()
        authority.write_pair(tmp_path / "issuer", running.anchor.issuer(START + timedelta(seconds=1)))
        assert (await running.ask(running.token())).intermediate_certificates != first
        assert "weft_issuer_problem 0.0\n" in await running.metrics()


async def test_an_ended_issuer_is_unavailable(tmp_path: Path) -> None:
    """Requirement: UNAVAILABLE, with the date: nothing is wrong with the request, and it may be sent again."""
    async with mesh(tmp_path) as running:
        running.now = START + timedelta(days=366)
        code, why = await running.refused(running.token())
        assert (code, "expired on 2027-01-01" in why) == ("UNAVAILABLE", True)


async def test_a_mesh_in_spiffe_form_adds_the_uri(tmp_path: Path) -> None:
    """Requirement: the workload asks for its DNS-like name as ever, and its certificate says who it is as a URI."""
    async with mesh(tmp_path, spiffe=True) as running:
        leaf = x509.load_der_x509_certificate((await running.ask(running.token())).leaf_certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/default/sa/web"]
        assert names.get_values_for_type(x509.DNSName) == [WEB]
