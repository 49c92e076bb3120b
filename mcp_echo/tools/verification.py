"""What bearerDecode and authContext say of the verification of a token: what was looked at, and no more."""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.oauth.verify import Check, Judged
from mcp_echo.redaction import mask_tokens
from mcp_echo.tools.base import Call
from mcp_echo.watch.traces import Trace

MORE = "tokenExplain tells more"

_CLAIMS = frozenset({"type", "issuer", "expiry", "notBefore", "issuedAt", "audience", "standing"})
"""Checks that are not about the signature; scopes are looked at with each request."""


class Verification(NamedTuple):
    """What is known of one token that this server can have an opinion on."""

    key: str | None
    """The key that has signed it, and whose it is; None where no signature was verified."""
    claims: bool
    """Whether it is signed, and everything else holds that has to, scopes aside."""
    signature_text: str
    claims_text: str
    problems: tuple[str, ...] = ()
    """What does not hold of a token that is signed."""

    @property
    def text(self) -> str:
        """Both in one sentence."""
        return f"signature {self.signature_text}; claims {self.claims_text}"


def verification_of(call: Call, token: str | None) -> Verification | None:
    """Return what is known here of a token, without asking anybody.

    Args:
        call: Who asks, and by which trace.
        token: The token.

    Returns:
        None where there is nothing to say: nobody asks for a token here, and it is of no issuer that the
        operator has named.
    """
    tokens = call.context.tokens
    if tokens is None or not token:
        return None
    trace: Trace | None = call.request.seen.trace
    judged = tokens.at_once(token, trace, call.headers.get("Host"), secure=call.request.is_secure)
    return None if judged is None else _told(judged)


def _told(judged: Judged) -> Verification:
    checks = {each.name: each for each in judged.checks}
    signature = checks.get("signature")
    issuer = mask_tokens(str(judged.claims.get("iss")))
    if signature is None or signature.held is None:
        why = next(each for each in judged.checks if each.held is not True)
        return Verification(
            None, False, f"not verified ({_why(why)}); {MORE}", "not verified, as the signature is not"
        )
    kid = checks["key"].found
    key = f"the key {mask_tokens(kid)} of {issuer}" if kid else f"a key of {issuer}"
    if not signature.held:
        return Verification(
            None, False, f"WRONG: {key} has not made it; {MORE}", "not verified, as the signature is wrong"
        )
    wrong = [each for each in judged.checks if each.name in _CLAIMS and each.held is not True]
    problems = tuple(map(_why, wrong))
    claims = f"not all good: {', '.join(problems)}; {MORE}" if wrong else "verified"
    return Verification(key, not wrong, f"verified with {key}", claims, problems)


def _why(check: Check) -> str:
    """Return what is wrong in the words of a check."""
    said = [] if check.found is None else [f"found {check.found}"]
    if check.wanted is not None:
        said.append(f"wanted {check.wanted}")
    if check.differs_in:
        said.append(f"differs in {', '.join(check.differs_in)}")
    if check.note is not None:
        said.append(check.note)
    return mask_tokens(f"{check.name}: {'; '.join(said)}" if said else check.name)
