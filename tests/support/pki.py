"""Keys and certificates for tests, EC P-256 throughout, made once with the openssl command. `python3 pki.py DIR`.

ca                     the CA of server and client
server                 localhost and 127.0.0.1
expired-server         the same, but its time is over
wrong-host-server      for another host's name
other-server           localhost, of a CA that nobody trusts
client                 what the scripted API wants to see
expired-client, other-client (of other-ca)   what it must refuse
jwt.key jwt.pub        the ES256 signing key; other-jwt.key is not registered anywhere
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CA_CONFIG = """
[ca]
default_ca = this
[this]
database = index.txt
serial = serial.txt
new_certs_dir = .
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
"""


# So far apart that a clock which is ten years wrong does not make them invalid.
FIRST_DAY, LAST_DAY = "20000101000000Z", "20491231000000Z"


def _openssl(directory: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


def _key(directory: Path, name: str) -> None:
    _openssl(directory, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name)


def _sign(directory: Path, name: str, subject: str, extensions: list[str], signer: list[str], end: str = LAST_DAY) -> None:
    """A certificate for the key of that name. `openssl ca`, because `openssl x509` of version 3.0 cannot date a certificate back."""
    (directory / "one.ext").write_text("\n".join(extensions) + "\n")
    _openssl(directory, "req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", "one.csr")
    _openssl(directory, "ca", "-batch", "-notext", "-md", "sha256", "-config", "ca.conf", *signer, "-startdate", FIRST_DAY,
             "-enddate", end, "-extfile", "one.ext", "-in", "one.csr", "-out", f"{name}.pem")


def _ca(directory: Path, name: str) -> None:
    _key(directory, f"{name}.key")
    _sign(directory, name, f"/CN=test {name}", ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign",
                                                "subjectKeyIdentifier=hash"], ["-selfsign", "-keyfile", f"{name}.key"])


def _leaf(directory: Path, name: str, ca: str, usage: str, names: str = "", *, expired: bool = False) -> None:
    _key(directory, f"{name}.key")
    lines = ["basicConstraints=critical,CA:false", "keyUsage=critical,digitalSignature", f"extendedKeyUsage={usage}"]
    if names:
        lines.append(f"subjectAltName={names}")
    _sign(directory, name, f"/CN={name}", lines, ["-cert", f"{ca}.pem", "-keyfile", f"{ca}.key"],
          "20200201000000Z" if expired else LAST_DAY)


def _make(directory: Path) -> None:
    (directory / "ca.conf").write_text(CA_CONFIG)
    (directory / "index.txt").write_text("")
    (directory / "serial.txt").write_text("1000\n")
    here = "DNS:localhost,IP:127.0.0.1"
    _ca(directory, "ca")
    _ca(directory, "other-ca")
    _leaf(directory, "server", "ca", "serverAuth", here)
    _leaf(directory, "expired-server", "ca", "serverAuth", here, expired=True)
    _leaf(directory, "wrong-host-server", "ca", "serverAuth", "DNS:elsewhere.example")
    _leaf(directory, "other-server", "other-ca", "serverAuth", here)
    _leaf(directory, "client", "ca", "clientAuth")
    _leaf(directory, "expired-client", "ca", "clientAuth", expired=True)
    _leaf(directory, "other-client", "other-ca", "clientAuth")
    for name in ("jwt", "other-jwt"):
        _key(directory, f"{name}.key")
        _openssl(directory, "pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub")
    for pattern in ("one.*", "ca.conf", "index.txt*", "serial.txt*", "10*.pem"):
        for left in directory.glob(pattern):
            left.unlink()
    for key in directory.glob("*.key"):
        key.chmod(0o600)


def issue(directory: Path, name: str, usage: str, names: str) -> None:
    """One more certificate by `ca`, in a copy of the folder: usage is serverAuth or clientAuth, names the subjectAltName."""
    _key(directory, f"{name}.key")
    (directory / f"{name}.key").chmod(0o600)
    (directory / f"{name}.ext").write_text(f"extendedKeyUsage={usage}\nsubjectAltName={names}\n")
    _openssl(directory, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
    _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "3650", "-set_serial",
             str(secrets.randbits(63)), "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def make(directory: str | os.PathLike[str]) -> Path:
    """Makes the folder where it is missing; one that exists is left as it is."""
    target = Path(directory)
    if (target / "ca.pem").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        _make(new)
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        try:
            new.rename(target)
        except OSError:
            if not (target / "ca.pem").exists():  # otherwise somebody else was quicker
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return target


def shared() -> Path:
    """The folder that all tests share: in $TRACKBRIDGE_TEST_CACHE, else one of this user under the temporary folder. Its name changes
    when what is in it does."""
    cache = os.environ.get("TRACKBRIDGE_TEST_CACHE") or os.path.join(tempfile.gettempdir(), f"trackbridge-test-{os.getuid()}")
    os.makedirs(cache, mode=0o700, exist_ok=True)
    if os.lstat(cache).st_uid != os.getuid():
        raise RuntimeError(f"{cache} belongs to somebody else")
    return make(os.path.join(cache, "pki-2"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(sys.argv[1])
