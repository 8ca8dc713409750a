"""Certificates for mutual TLS in tests: made by openssl, good for two days."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Papers", "new_papers"]


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True)
class Papers:
    """Certificates of one authority in a folder."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def mark(self, name: str) -> str:
        """Fingerprint of a certificate."""
        from openleadr.utils import certificate_fingerprint

        found: str = certificate_fingerprint(self.path(f"{name}.pem").read_bytes())
        return found


def new_papers(folder: Path) -> Papers:
    """An authority, what it signed for the upstream, for us and for a stranger, and another authority."""
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    _openssl(folder, *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for name in ("vtn", "ven", "stranger"):
        words = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        _openssl(folder, *words, "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
        signed = (
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
        )
        _openssl(folder, *signed, "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
    _openssl(folder, *new, "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=other authority")
    return Papers(folder)
