"""Chromium, and the page of the admin port in it."""

import os
import shutil

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from programs import eventually

# The contrast of each visible text with what is behind it, as WCAG 2 has it; and the same for what
# charts are drawn with. No colour of the page is translucent, and no background is an image.
CONTRASTS = """
const parsed = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
const luminance = (color) => {
  const [red, green, blue] = color.map((channel) => linear(channel / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const behind = (node) => {
  const color = parsed(getComputedStyle(node).backgroundColor);
  if (color.length < 4 || color[3] > 0) return color;
  return node.parentElement ? behind(node.parentElement) : [255, 255, 255];
};
const contrast = (color, background) => {
  const [one, other] = [parsed(color), background].map(luminance);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
};
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const [words, node] = [texts.currentNode.data.trim(), texts.currentNode.parentElement];
  if (!words || !node.checkVisibility()) continue;
  found.push(["text", words, contrast(getComputedStyle(node).color, behind(node))]);
}
const drawn = {
  ".bar, .trouble": "fill",
  ".trace, .limit, .used": "stroke",
  ".part": "backgroundColor",
};
for (const [selector, property] of Object.entries(drawn)) {
  for (const node of document.querySelectorAll(selector)) {
    const color = getComputedStyle(node)[property];
    const background = behind(node.closest(".card"));
    found.push(["graphic", node.getAttribute("class"), contrast(color, background)]);
  }
}
return found;
"""


class Browser:
    """A headless Chromium without anybody's profile."""

    def __init__(self):
        options = Options()
        options.binary_location = _program("chromium")
        for flag in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(flag)
        if os.geteuid() == 0:
            # Chromium's sandbox does not work for root; it meets nothing but the gateway.
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options, Service(_program("chromedriver")))

    def stop(self):
        self.driver.quit()

    def show(self, url, scheme="light", width=1280):
        """Opens the page and waits for its first figures."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(url)
        self.until(lambda: self.element("content").is_displayed())

    def until(self, probe):
        """What `probe` gives, once it is true."""
        return eventually(probe, lambda: self.driver.find_element(By.TAG_NAME, "body").text)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def element(self, id):
        return self.driver.find_element(By.ID, id)

    def elements(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, id):
        return self.element(id).text

    def texts(self, selector):
        """The texts of what is there at one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText)"
        return self.run(script, selector)

    def contrasts(self):
        """What is visible: its kind, what it is, and its contrast."""
        return self.run(CONTRASTS)

    def complaints(self):
        """What the browser has logged since the last time: errors, refused scripts and the like."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


def _program(name):
    program = shutil.which(name)
    assert program, f"{name} is missing"
    return program
