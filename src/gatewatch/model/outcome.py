"""The closed vocabularies of conclusions: outcomes, the reasons for not concluding, cell states."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What one measurement says of the ordinary user's path to the URL as asked."""

    OPEN = "open"
    "The user gets what the rest of the world gets."
    DOWN = "down"
    "Nobody gets it: the site or its name fails for the control too."
    BLOCKED = "blocked"
    "The network keeps the user from it."
    SERVER_SIDE = "server_side"
    "The server itself refuses this user: geoblock, captcha, sanctions, rate limit."
    UNCLEAR = "unclear"
    "The evidence does not decide; `Reason` says why."


class Reason(StrEnum):
    """Why a verdict is `unclear`."""

    NO_CONTROL = "no_control"
    "Something is odd here and nothing tells what it looks like elsewhere."
    NO_EVIDENCE = "no_evidence"
    "The probe recorded too little to say anything."
    PROBE_FAILURE = "probe_failure"
    "The probe, its software or its own connection failed, not the path to the target."
    NO_PROBE_NETWORK = "no_probe_network"
    "The probe's own path was down: no name resolved, no address answered."
    RESOLVER_SILENT = "resolver_silent"
    "The system's resolver had no word on the name, and nothing shows that it has one on any."
    DEAD_ADDRESS = "dead_address"
    "The address serves nobody, the control included, which has the page from another one."
    LOST_ROUTE = "lost_route"
    "No packet gets there, and the way ends in a network of another country."
    WEAK_EVIDENCE = "weak_evidence"
    "The path failed here, in a way that is too weak to decide by itself."
    PAGE_DIFFERS = "page_differs"
    "A page came back that is not the control's, and nothing says whose page it is."
    LOCAL_PORTAL = "local_portal"
    "A captive portal or an organisation's own filter answered; that is not the network at large."
    REDIRECT_UNFOLLOWED = "redirect_unfollowed"
    "The answer redirects somewhere the probe did not or could not go."
    PROBE_CLOCK = "probe_clock"
    "A certificate was refused for its dates, and the probe's clock may be what is wrong."
    CONFLICTING = "conflicting"
    "Evidence of about equal weight points both ways."
    UNSUPPORTED_TEST = "unsupported_test"
    "This kind of test is kept and counted, and not yet judged."


class CellState(StrEnum):
    """What the measurements of one cell say together."""

    BLOCKED = "blocked"
    LIKELY_BLOCKED = "likely_blocked"
    IMPAIRED = "impaired"
    DOWN = "down"
    SERVER_SIDE = "server_side"
    "The server turns most of these users away; the network lets them through."
    OPEN = "open"
    INSUFFICIENT = "insufficient"
    "Below the evidence floor. It is not a weak `blocked`, and it is not `open`."
