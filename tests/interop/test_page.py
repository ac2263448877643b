"""The page of the admin port in a real browser, for people who are in a hurry."""

import re
import urllib.request

import pytest
from selenium.webdriver.common.keys import Keys

from browser import Browser
from grpcurl import CREATE, Grpcurl
from programs import TIMEOUT

TWO_REGIONS = """
[[regions]]
name = "us-east-1"
endpoint_url = "{endpoint}"

[[regions]]
name = "eu-west-1"
endpoint_url = "{endpoint}"
creates_per_second = 2
concurrent_sessions = "off"
"""

# WCAG 2.2 AA: of text, and of what figures are read from.
LEAST_CONTRAST = {"text": 4.5, "graphic": 3.0}

WELL = re.compile("All is well")


@pytest.fixture(scope="module")
def chromium():
    browser = Browser()
    yield browser
    browser.stop()


@pytest.fixture
def browser(chromium):
    """Shows nothing, and has logged nothing."""
    chromium.driver.get("about:blank")
    chromium.complaints()
    return chromium


@pytest.fixture
def busy(start_gateway, emulator, tmp_path):
    """A gateway of two regions after calls that went well, and calls that did not."""
    config = tmp_path / "gateway.toml"
    config.write_text(TWO_REGIONS.format(endpoint=emulator.url))
    gateway = start_gateway("--config", config)
    make_calls(gateway)
    emulator.break_with("access-denied", times=1)
    Grpcurl(gateway.address).refusal()
    return gateway


def make_calls(gateway):
    grpcurl = Grpcurl(gateway.address)
    for token in ("one", "one", "two"):
        grpcurl.call(CREATE, {"client_request_token": token})
    grpcurl.call(CREATE, {"region": "eu-west-1"})
    grpcurl.refusal(CREATE, {"region": "Europe"})
    grpcurl.refusal(CREATE, {"region": "eu-central-1"}, "-H", "x-request-id: " + 24 * "long-")


def metrics(gateway):
    """The values of all series by their names and labels."""
    with urllib.request.urlopen(f"{gateway.admin}metrics", timeout=TIMEOUT) as answer:
        lines = answer.read().decode().splitlines()
    series = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in series}


def total(metrics, name, *labels):
    """The sum of the series of this name with these labels."""
    wanted = [series for series in metrics if series.partition("{")[0] == name]
    return sum(metrics[series] for series in wanted if all(label in series for label in labels))


def by(metrics, name, label, *labels):
    """As `total`, apart by a label; what is zero is left out."""
    values = {value for series in metrics for value in re.findall(f'\\b{label}="([^"]*)"', series)}
    sums = {value: total(metrics, name, f'{label}="{value}"', *labels) for value in values}
    return {value: count for value, count in sums.items() if count}


def number(text):
    """The first number; None if nothing is known yet."""
    found = re.search(r"[\d,.]*\d", text)
    return found and float(found[0].replace(",", ""))


def column(browser, names, figures):
    """Figures by their names, which stand in the same order."""
    return dict(zip(browser.texts(names), map(number, browser.texts(figures)), strict=True))


def shown(browser):
    """The page's figures by what they are."""
    figures = column(browser, "#tiles h3", "#tiles .figure")
    figures["reasons"] = column(browser, "#reasons tbody th", "#reasons td:last-child")
    figures["callers"] = column(browser, "#callers tbody th", "#callers td:last-child")
    for region in browser.texts("#regions > section"):
        figures[region.split()[0]] = errors(region)
    return figures


def errors(text):
    """How many attempts of how many have failed since the start."""
    failed, attempts = re.search(r"Since the start ([\d,]+) of ([\d,]+) attempts", text).groups()
    return number(failed), number(attempts)


def expected(metrics):
    """What the page is to show for these metrics."""
    attempts = "face_liveness_upstream_duration_seconds_count"
    refusals = by(metrics, "face_liveness_refusals_total", "reason")
    permits = "face_liveness_quota_permits_total"
    figures = {
        "In flight": total(metrics, "face_liveness_calls_in_flight"),
        "Refused since the start": sum(refusals.values()),
        "Sessions made": total(metrics, "face_liveness_sessions_total"),
        "Repeats recognised": total(metrics, "face_liveness_ledger_lookups_total", '="hit"'),
        "reasons": refusals,
        "callers": {"all others": 100} if total(metrics, permits) else {},
    }
    for region in ("us-east-1", "eu-west-1"):
        here = f'region="{region}"'
        made = total(metrics, attempts, here, 'outcome="made"')
        attempted = total(metrics, attempts, here)
        figures[region] = (attempted - made, attempted)
    return figures


def test_under_load_its_figures_are_those_of_the_metrics(browser, busy, in_background):
    browser.show(busy.admin)
    calls = [in_background(busy, CREATE, {"region": "eu-west-1"}) for _ in range(12)]
    waiting = re.compile(r"Queue\s+[1-9]")
    browser.until(lambda: waiting.search(browser.text("regions")))
    for call in calls:
        call.wait()
    make_calls(busy)

    def agrees():
        want = expected(metrics(busy))
        have = shown(browser)
        return want == {name: have[name] for name in want}

    browser.until(agrees)
    assert sum(expected(metrics(busy))["reasons"].values()) >= 5
    assert browser.complaints() == []


def test_every_refusal_has_its_remedy(browser, busy):
    browser.show(busy.admin)
    (card,) = (text for text in browser.texts("#refusals > li") if "UPSTREAM_ACCESS" in text)
    assert "rekognition:CreateFaceLivenessSession" in card


def test_without_calls_it_says_so(browser, gateway):
    browser.show(gateway.admin)
    assert WELL.match(browser.text("headline"))
    assert "no session has been asked for yet" in browser.text("headline")
    for empty in ("no-callers", "no-reasons", "no-refusals"):
        assert browser.text(empty)
    assert browser.complaints() == []


def test_what_callers_write_is_text(browser, gateway):
    name = "<img/src=x/onerror=document.title=1>"
    Grpcurl(gateway.address).refusal(CREATE, {"region": "X"}, "-H", f"x-request-id: {name}")
    browser.show(gateway.admin)
    open_all(browser)
    assert name in browser.text("refusals")
    assert browser.elements("img") == []
    assert browser.complaints() == []


def open_all(browser):
    for summary in browser.elements("details:not([open]) > summary"):
        summary.click()
    browser.until(lambda: "listen = " in browser.text("config-text"))


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_is_wider_than_the_screen(browser, busy, width):
    browser.show(busy.admin, width=width)
    open_all(browser)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    beyond = """return [...document.querySelectorAll("body *")].filter((node) =>
      node.getBoundingClientRect().right > innerWidth).map((node) => node.outerHTML)"""
    assert browser.run(beyond) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(browser, gateway, busy, scheme):
    browser.show(gateway.admin, scheme)
    assert WELL.match(browser.text("headline"))
    assert_readable(browser)
    browser.show(busy.admin, scheme)
    assert browser.text("headline") == "Needs attention"
    assert_readable(browser)
    busy.stop()
    browser.until(lambda: "Cannot reach" in browser.text("headline"))
    assert_readable(browser)


def assert_readable(browser):
    open_all(browser)
    contrasts = browser.contrasts()
    assert {kind for kind, _, _ in contrasts} == set(LEAST_CONTRAST)
    assert [each for each in contrasts if each[2] < LEAST_CONTRAST[each[0]]] == []


def test_the_keyboard_reaches_everything(browser, busy):
    browser.show(busy.admin)
    interactive = browser.elements("a, summary, button, input")
    assert len(interactive) > 6
    for element in interactive:
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.driver.switch_to.active_element
        assert focused == element
        assert browser.run("return getComputedStyle(arguments[0]).outlineStyle", focused) == "solid"
    browser.run("arguments[0].focus()", browser.elements("#config summary")[0])
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.until(lambda: "listen = " in browser.text("config-text"))


def test_what_is_open_and_focused_stays_so(browser, busy):
    browser.show(busy.admin)
    summary = browser.elements("#refusals summary")[0]
    browser.run("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    before = browser.text("refusals")
    make_calls(busy)
    browser.until(lambda: browser.text("refusals") != before)
    assert browser.driver.switch_to.active_element == summary
    assert browser.run("return arguments[0].parentElement.open", summary)


def test_charts_have_words_and_one_place_speaks(browser, busy):
    browser.show(busy.admin)
    charts = browser.elements("svg")
    assert len(charts) == 8
    for chart in charts:
        assert chart.get_attribute("role") == "img"
        assert len(chart.get_attribute("aria-label")) > 20
    assert len(browser.elements("[aria-live], [role=status], [role=alert]")) == 1
    assert browser.run("return announcement.textContent").startswith(browser.text("headline"))


def test_a_gateway_that_is_gone_is_told_and_one_that_is_back_too(browser, start_gateway):
    gateway = start_gateway()
    browser.show(gateway.admin)
    gateway.stop()
    browser.until(lambda: browser.text("headline") == "Cannot reach the gateway")
    assert browser.driver.title.startswith("Cannot reach the gateway")
    assert "before" in browser.text("findings")
    start_gateway("--admin-listen", re.search(r"[\d.:]+\d", gateway.admin)[0])
    browser.until(lambda: WELL.match(browser.text("headline")))


def test_it_does_not_ask_while_nobody_looks(browser, gateway):
    browser.show(gateway.admin)
    # The same page, whose seconds are short.
    browser.run("""
      window.asked = 0;
      const [ask, wait] = [window.fetch, window.setTimeout];
      window.fetch = (...request) => { asked += 1; return ask(...request); };
      window.setTimeout = (then, ms) => wait(then, ms / 100);
      window.look = (hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
        document.dispatchEvent(new Event("visibilitychange"));
      };
    """)

    def asked():
        return browser.run("return asked")

    browser.until(lambda: asked() > 10)
    browser.run("look(true)")
    at_rest = """const done = arguments[0]; let before = -1;
      const compare = () => { if (asked === before) done(asked); before = asked; };
      setInterval(compare, 500);"""
    rested = browser.driver.execute_async_script(at_rest)
    browser.run("look(false)")
    browser.until(lambda: asked() > rested + 10)
