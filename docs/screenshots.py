"""Make the README's screenshots from a running app: every page, light and dark, on a desk and on a phone.

    python docs/screenshots.py URL [--out docs/images] [--chromium /usr/bin/chromium] [--all]

Without `--all` only the pictures that the README shows are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
PAGES = {
    "overview": "/",
    "gaps": "/gaps",
    "gap": "/gaps",
    "topics": "/topics",
    "words": "/words",
    "drift": "/drift",
    "evalsets": "/evalsets",
    "data": "/data",
}
README = ("overview-desk-light", "gap-desk-light", "topics-desk-light", "overview-desk-dark")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python docs/screenshots.py", description="Make the README's screenshots")
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--all", action="store_true")
    chosen = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright

    chosen.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chosen.chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
                )
                page.on(
                    "console", lambda message: print(message.type, message.text) if message.type == "error" else None
                )
                for name, path in PAGES.items():
                    picture = f"{name}-{size}-{scheme}"
                    if not chosen.all and picture not in README:
                        continue
                    page.goto(chosen.url.rstrip("/") + path)
                    page.wait_for_selector("h2", timeout=20_000)
                    if name == "gap":
                        page.locator(".ag-center-cols-container .ag-row").first.click()
                        page.wait_for_selector("#export-button", timeout=20_000)
                    page.wait_for_timeout(1_500)
                    page.screenshot(path=chosen.out / f"{picture}.png", full_page=chosen.all)
                    print(chosen.out / f"{picture}.png")
                page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
