"""Key pairs of somebody else who makes tokens, and the JWK sets that they publish."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from server.clock import now_ms

FAMILIES = ("RS256", "ES256", "EdDSA")


def pair(family: str, number: int = 0) -> Any:
    """Return the `number`-th private key of a family, the same each time."""
    return _made(family, number)


@cache
def _made(family: str, _number: int) -> Any:
    if family == "RS256":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return (
        ec.generate_private_key(ec.SECP256R1()) if family == "ES256" else ed25519.Ed25519PrivateKey.generate()
    )


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as a JWK, with more members, without those that are None."""
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        told = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        told = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        told = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {name: value for name, value in {**told, **more}.items() if value is not None}


def jwks(*keys: dict[str, Any]) -> bytes:
    """Return a JWK set."""
    return json.dumps({"keys": keys}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Return a viewer's claims with some of them changed, or left out with None."""
    now = now_ms() // 1000
    good = {"sub": "anna", "role": "viewer", "shows": ["sh_1"], "exp": now + 60, "iat": now}
    told = {**good, "aud": "livedrop", "iss": "livedrop", **changed}
    return {name: value for name, value in told.items() if value is not None}


def signed(family: str, number: int = 0, headers: dict[str, Any] | None = None, **changed: Any) -> str:
    """Return a token of somebody else's, signed with one of their keys."""
    return jwt.encode(claims(**changed), pair(family, number), algorithm=family, headers=headers)
