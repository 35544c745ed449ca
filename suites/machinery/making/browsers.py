"""Pages opened in a real browser, for tests, and everything that they should not have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@dataclass
class Opened:
    """A page that is open, and everything that it should not have done."""

    view: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def found(self) -> str:
        """The sentence on how many there are."""
        return self.view.inner_text("#found").replace("\u202f", "")

    def choose(self, name: str, value: str) -> None:
        """Set one filter."""
        self.view.select_option(f"select[name={name}]", value)
        self.settle()

    def settle(self) -> None:
        """Wait for what the page does a moment later: by its own timers, whose order a busy machine does not change."""
        self.view.evaluate("() => new Promise(done => setTimeout(() => requestAnimationFrame(done), 200))")


Opener = Callable[..., Opened]


CONTRAST = """names => {
  const light = name => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).map(x => x / 255);
    probe.remove();
    const [r, g, b] = parts.map(x => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = names.map(light).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
