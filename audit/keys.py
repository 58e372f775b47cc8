"""Which public keys the console trusts: those that it signs with, and those that these vouch for."""

from __future__ import annotations

import json

from django.utils import timezone

from audit.models import SigningKey
from audit.signing import Signer, signers
from audit.verify_audit import Keys


def trusted_pem() -> str:
    """PEM text of all of them, the one that signs now first: what somebody needs to check what the console signed."""
    own = [signer.public_pem for signer in signers()]
    pems = list(own)
    for row in SigningKey.objects.filter(public_key__in=own).order_by("-at"):
        # The database may name keys of anybody; those that one of ours signed are ours.
        if Keys.of_pem("".join(own)).trouble("keys", row.facts) is None:
            pems += [pem for pem in row.facts["earlier"] if pem not in pems]
    return "".join(pems)


def trusted_keys() -> Keys:
    return Keys.of_pem(trusted_pem())


def is_known(signer: Signer) -> bool:
    return SigningKey.objects.filter(pk=signer.id).exists()


def introduce(signer: Signer) -> None:
    """Keep its public key, and have it vouch for all that were trusted before it."""
    earlier = [pem for pem in _split(trusted_pem()) if pem != signer.public_pem]
    row = SigningKey(
        key_id=signer.id, public_key=signer.public_pem, earlier=json.dumps(earlier), at=timezone.now(), signature=""
    )
    row.signature = signer.signed("keys", {name: row.facts[name] for name in ("public_key", "earlier", "at")})[
        "signature"
    ]
    row.save(force_insert=True)


def _split(pems: str) -> list[str]:
    end = "-----END PUBLIC KEY-----\n"
    return [block + end for block in pems.split(end) if block.strip()]
