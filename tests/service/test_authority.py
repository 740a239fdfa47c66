"""The certificates of `up --tls`: what strict clients accept, what is kept and what is made anew."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sagestead.service.authority import UnusableFile, prepare, server_names
from sagestead.service.renewal import RENEW_SECONDS, Renewal, Unusable
from sagestead.service.tls import Certificates
from sagestead.settings import Folder, Settings

NOW = datetime.now(UTC)
HOST = "127.0.0.1"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    prepare(folder, HOST, NOW)
    return folder


def settings_of(folder: Folder) -> Settings:
    return Settings(str(folder.root), tls_cert=str(folder.certificate), tls_ca=str(folder.bundle))


def contents(folder: Folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.tls.iterdir()}


def changed(folder: Folder, before: dict[str, bytes]) -> set[str]:
    return {name for name, text in contents(folder).items() if before.get(name) != text}


def handshake(served: Certificates, trusted: Path, name: str) -> bytes:
    """Connect as a strict client; returns the certificate that the server showed (DER)."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    assert served.context is not None
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    server = served.context.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return shown


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname().lower()])
def test_strict_clients_accept_every_name_of_the_server(folder: Folder, name: str) -> None:
    handshake(Certificates(settings_of(folder)), folder.bundle, name)


@pytest.mark.parametrize("name", ["example.com", "127.0.0.2", "sub.localhost"])
def test_clients_refuse_the_server_under_another_name(folder: Folder, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"doesn't match|mismatch"):
        handshake(Certificates(settings_of(folder)), folder.bundle, name)


def test_clients_of_another_authority_refuse_the_server(folder: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other")
    other.root.mkdir()
    prepare(other, HOST, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(Certificates(settings_of(folder)), other.bundle, "localhost")


def test_keys_are_for_their_owner_alone_and_not_in_the_bundle(folder: Folder) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.tls.iterdir()}
    assert modes == {"authority.pem": 0o600, "ca.pem": 0o644, "server.pem": 0o600}
    assert folder.tls.stat().st_mode & 0o777 == 0o700
    assert b"PRIVATE" not in folder.bundle.read_bytes()


def test_the_authority_signs_servers_only(folder: Folder) -> None:
    authority = x509.load_pem_x509_certificate(folder.bundle.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("127.0.0.1", set()),
        ("0.0.0.0", set()),  # noqa: S104 - no name of a server
        ("::", set()),
        ("192.168.7.9", {"192.168.7.9"}),
        ("fe80::1%eth0", {"fe80::1"}),
        ("Models.Example.org", {"models.example.org"}),
        ("no_name", set()),
    ],
)
def test_names(host: str, named: set[str]) -> None:
    shown = {str(name.value) for name in server_names(host, "Desk")}
    assert shown == {"localhost", "127.0.0.1", "::1", "desk"} | named


def test_what_is_good_is_kept(folder: Folder) -> None:
    before = contents(folder)
    prepare(folder, HOST, NOW + timedelta(days=59))
    assert changed(folder, before) == set()


@pytest.mark.parametrize(
    ("host", "moved", "expected"),
    [
        pytest.param(HOST, timedelta(days=61), {"server.pem"}, id="a-month-before-the-end"),
        pytest.param(HOST, timedelta(days=400), {"server.pem"}, id="long-after-it"),
        pytest.param("192.168.7.9", timedelta(0), {"server.pem"}, id="another-address"),
        pytest.param(
            HOST, timedelta(days=3600), {"server.pem", "authority.pem", "ca.pem"}, id="the-authority-ends"
        ),
        pytest.param(
            HOST, -timedelta(days=2), {"server.pem", "authority.pem", "ca.pem"}, id="the-clock-was-wrong"
        ),
    ],
)
def test_what_is_made_anew(folder: Folder, host: str, moved: timedelta, expected: set[str]) -> None:
    before = contents(folder)
    prepare(folder, host, NOW + moved)
    assert changed(folder, before) == expected


def test_what_is_lost_is_made_from_what_is_left(folder: Folder) -> None:
    before = contents(folder)
    folder.bundle.unlink()
    folder.bundle.with_name("ca.pem.new").write_text("of a start that was cut off")
    prepare(folder, HOST, NOW)
    assert contents(folder) == before
    folder.authority.unlink()
    prepare(folder, HOST, NOW)
    assert changed(folder, before) == {"authority.pem", "ca.pem", "server.pem"}
    handshake(Certificates(settings_of(folder)), folder.bundle, "localhost")


@pytest.mark.parametrize("name", ["authority.pem", "server.pem"])
@pytest.mark.parametrize("damage", ["empty", "cut", "of-two"])
def test_a_damaged_file_is_named_and_not_replaced(folder: Folder, name: str, damage: str) -> None:
    file, other = folder.tls / name, folder.tls / ("server.pem" if name[0] == "a" else "authority.pem")
    whole, foreign = file.read_bytes(), other.read_bytes()
    key = whole[: whole.index(b"-----BEGIN CERT")]
    foreign_certificate = foreign[foreign.index(b"-----BEGIN CERT") :]
    text = {"empty": b"", "cut": whole[:-40], "of-two": key + foreign_certificate}[damage]
    file.write_bytes(text)
    with pytest.raises(UnusableFile, match=rf"{name} is damaged; remove it"):
        prepare(folder, HOST, NOW)
    assert file.read_bytes() == text


def test_a_renewed_certificate_serves_the_next_handshake(folder: Folder) -> None:
    served = Certificates(settings_of(folder))
    first = handshake(served, folder.bundle, "localhost")
    assert not served.look()
    prepare(folder, "192.168.7.9", NOW)
    assert served.look()
    second = handshake(served, folder.bundle, "localhost")
    assert second != first
    handshake(served, folder.bundle, "192.168.7.9")
    assert not served.look()


def test_a_file_that_cannot_be_used_leaves_the_old_certificate_in_place(folder: Folder) -> None:
    served = Certificates(settings_of(folder))
    first = handshake(served, folder.bundle, "localhost")
    whole = folder.certificate.read_bytes()
    for text in (b"", whole[:300], folder.bundle.read_bytes()):
        folder.certificate.write_bytes(text)
        assert not served.look()
        assert handshake(served, folder.bundle, "localhost") == first
    folder.certificate.unlink()
    assert not served.look()
    folder.certificate.write_bytes(whole)
    assert served.look()


def test_a_server_without_tls_has_nothing_to_follow(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path))
    Renewal(settings).prepare(NOW.timestamp())
    assert Certificates(settings).context is None
    assert not Certificates(settings).look()
    assert list(tmp_path.iterdir()) == []


def test_renewal_looks_once_an_hour_and_survives_what_goes_wrong(tmp_path: Path) -> None:
    folder, start = Folder(tmp_path), NOW.timestamp()
    renewal = Renewal(settings_of(folder))
    renewal.prepare(start)
    before = contents(folder)
    folder.certificate.unlink()
    renewal.look(start + RENEW_SECONDS - 1)
    assert not folder.certificate.exists()
    renewal.look(start + RENEW_SECONDS)
    assert changed(folder, before) == {"server.pem"}
    folder.certificate.write_text("damaged")
    renewal.look(start + 2 * RENEW_SECONDS)
    with pytest.raises(Unusable, match="is damaged"):
        renewal.prepare(start + 2 * RENEW_SECONDS)
    folder.certificate.unlink()
    renewal.look(start + 3 * RENEW_SECONDS)
    assert b"PRIVATE" in folder.certificate.read_bytes()


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.tls.write_text("a file where the folder should be")
    with pytest.raises(
        Unusable, match=r"cannot be made in .*tls .*; make the folder writable, or name your own"
    ):
        Renewal(settings_of(folder)).prepare(NOW.timestamp())
