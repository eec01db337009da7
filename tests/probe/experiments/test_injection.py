from __future__ import annotations

import pytest

from gatewatch.probe.experiments.injection import Script, change, common

param = pytest.param
HOST = "www.example.org"
TEXT = b"".join(b"<p>Paragraph %d of an ordinary page." % n for n in range(40))
COUNTER = b"<script>/* counts this visit and no more */</script>"
ATTACK = b"<script>/* asks a target again and again */</script>"


def page(*, head: bytes = b"", text: bytes = TEXT, end: bytes = b"") -> bytes:
    return b"<html><head><title>A site</title>%s</head><body>%s%s</body></html>" % (head, text, end)


@pytest.mark.parametrize(
    ("clear", "true", "kind"),
    [
        param(page(), page(), "same", id="nothing was done to it"),
        param(
            page(end=b'<script src="http://83.224.65.41/added.js"></script>'), page(), "added",
            id="a script from an address",
        ),
        param(
            page(head=b"<SCRIPT async src=//ads.example/a.js></SCRIPT>"), page(), "added",
            id="a script from elsewhere, at the beginning",
        ),
        param(
            page(end=b'<iframe src="//ads.example/frame"></iframe>'), page(), "added",
            id="a frame",
        ),
        param(
            page(end=b"<script src=//ads.example/a.js></script>", text=TEXT + b"<p>12:31"),
            page(text=TEXT + b"<p>12:30"), "added",
            id="beside a clock that went on",
        ),
        param(ATTACK, COUNTER, "swapped", id="a script in place of another, and nothing else"),
        param(page(end=ATTACK), page(end=COUNTER), "swapped", id="the same within a page"),
        param(
            page(end=b'<script src="http://cdn.example.net/x.js"></script>'),
            page(end=b'<script src="https://cdn.example.net/x.js"></script>'), "same",
            id="a script's address differs in its scheme",
        ),
        param(
            page(end=b"<script src=/static/upgrade.js></script>"), page(), "altered",
            id="a script of the site's own, in clear alone",
        ),
        param(
            page(end=b"<script src=//static.example.org/u.js></script>"), page(), "altered",
            id="from a sister of the site",
        ),
        param(
            page(end=b"<script>location='https://www.example.org/'</script>"), page(), "altered",
            id="a site that sends its visitors to TLS",
        ),
        param(
            b"<script>window.location.replace(start)</script>", COUNTER, "altered",
            id="a page that does nothing else",
        ),
        param(
            page(end=b"<script>token('8d1f3a')</script>"),
            page(end=b"<script>token('77aa01')</script>"), "altered",
            id="a token of the visit",
        ),
        param(
            page(end=b"<script src=//b.cdn.example.net/x.js></script>"),
            page(end=b"<script src=//a.cdn.example.net/x.js></script>"), "altered",
            id="from another server",
        ),
        param(page(text=TEXT[:900]), page(), "other", id="much is missing"),
        param(b"<html><body>Blocked.</body></html>", page(), "other", id="a block page"),
        param(b"", page(), "other", id="nothing"),
        param(
            page(text=TEXT.replace(b"ordinary", b"usual", 1)), page(), "altered",
            id="one word was changed",
        ),
    ],
)  # fmt: skip
def test_what_was_done_to_a_page_is_told_by_its_scripts(clear, true, kind):
    assert change(clear, true, HOST)[0] == kind


def test_in_a_page_of_ours_even_a_script_that_stands_in_it_is_foreign():
    added = page(end=b"<script>location='https://elsewhere.example/'</script>")
    assert change(added, page(), None)[0] == "added"
    assert change(added, page(), HOST)[0] == "altered"


ADS = Script("//ads.example/a.js", b"")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        param([("added", [ADS])] * 4, ("added", [ADS]), id="always the same"),
        param([("added", [ADS]), ("same", [])], None, id="once, and once not"),
        param([("same", [])] * 4, None, id="never"),
        param([("other", [])] * 4, None, id="always another page"),
        param(
            [("added", [Script(f"//ads.example/{n}.js", b"")]) for n in range(4)],
            None,
            id="each time a different one",
        ),
        param([("added", [ADS]), ("swapped", [ADS])], None, id="now this, now that"),
    ],
)
def test_only_what_every_comparison_shows_was_put_in(changes, expected):
    assert common(changes) == expected
