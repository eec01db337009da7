"""The country codes there are, so that a typing error is told apart from a place without data."""

from __future__ import annotations

import datetime as dt

from gatewatch.model.errors import NotFound

CODES = frozenset(
    """AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC
    EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK
    HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB
    LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU
    RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN
    TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK""".split()
)
"""ISO 3166-1 alpha-2, and XK (Kosovo), a user-assigned code in common use."""


def country_code(text: str) -> str:
    """The country code somebody typed.

    Raises:
        NotFound: no country has it.

    >>> country_code(" ir ")
    'IR'
    """
    code = text.strip().upper()
    if code not in CODES:
        raise NotFound(f"{text!r} is no country; two letters of ISO 3166 are wanted, such as IR")
    return code


def network_number(text: str) -> int:
    """The number of a network, with or without AS.

    Raises:
        NotFound: it is not a number that a network can have (RFC 6793: 32 bits; 0 is reserved).

    >>> network_number("AS44244"), network_number("44244")
    (44244, 44244)
    """
    digits = text.strip().upper().removeprefix("AS")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
    if not 0 < number < 2**32:
        raise NotFound(f"{text!r} is no network; a number such as AS44244 is wanted")
    return number


def country_codes(text: str) -> list[str]:
    """The country codes in a list with commas, each once.

    Raises:
        NotFound: one of them is no country's.

    >>> country_codes("ir,TR,IR")
    ['IR', 'TR']
    """
    return list(dict.fromkeys(country_code(part) for part in text.split(",")))


def cell_key(text: str) -> tuple[str, str, int, dt.date] | None:
    """Target, country, network and day of a cell written `target/CC/ASN/day`; None if it is not.

    >>> cell_key("signal.org/IR/AS44244/2026-08-31")
    ('signal.org', 'IR', 44244, datetime.date(2026, 8, 31))
    """
    parts = text.split("/")
    if len(parts) != 4:
        return None
    try:
        day = dt.date.fromisoformat(parts[3])
    except ValueError:
        return None
    return parts[0].lower(), country_code(parts[1]), network_number(parts[2]), day
