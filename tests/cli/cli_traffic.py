"""A small log with known topics: of twelve subjects the eval set knows eight, so four are gaps."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

SUBJECTS = {
    "parcel": "parcel courier tracking doorstep delivery depot",
    "refund": "refund money chargeback reimbursement return receipt",
    "password": "password login reset locked account credentials",
    "invoice": "invoice pdf billing statement vat download",
    "coupon": "coupon discount voucher promo redeem checkout",
    "warranty": "warranty repair guarantee broken replacement defect",
    "newsletter": "newsletter unsubscribe emails marketing inbox mailing",
    "sizes": "size fitting measurements chart tight large",
    "bicycle": "bicycle pedal saddle spokes handlebar brakes",
    "garden": "garden lawn mower hedge shrubs watering",
    "piano": "piano keyboard tuning strings hammer pedals",
    "aquarium": "aquarium fish filter tank algae bubbles",
}
MISSING = ("bicycle", "garden", "piano", "aquarium")
_FORMS = ("{0} {1} {2} {3}?", "{0} {1}, {2} {3}", "my {0} {1} {2} {3}", "{0} or {1}: {2} {3}", "{0} {1} {2}")
START = datetime(2026, 3, 2, 8)


def question(subject: str, rng: random.Random) -> str:
    words = SUBJECTS[subject].split()
    return rng.choice(_FORMS).format(*rng.sample(words, 4))


def write_log(path: Path, *, conversations: int = 240, seed: int = 3) -> Path:
    """Two turns a conversation. Some who ask about a piano leave an address; some replies are challenged."""
    rng = random.Random(seed)
    lines = []
    for number in range(conversations):
        subject = list(SUBJECTS)[number % len(SUBJECTS)]
        at = START + timedelta(hours=2.7 * number)
        for index in range(2):
            text = question(subject, rng)
            if index == 1 and number % 10 == 0:
                text = "are you sure?"
            if subject == "piano" and number % 24 == 10:
                text += ", ann@example.org"
            lines.append(
                {
                    "turn_id": f"c{number}-{index}",
                    "conversation_id": f"c{number}",
                    "turn_index": index,
                    "created_at": f"{at + timedelta(minutes=index):%Y-%m-%dT%H:%M:%SZ}",
                    "user_text": text,
                    "assistant_text": f"About the {subject}: it is being looked at, case {number}-{index}.",
                    "user_id": f"u{number % 60}",
                    "tenant": "eu" if number % 2 else "us",
                }
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_eval_set(path: Path, *, each: int = 8, seed: int = 4) -> Path:
    rng = random.Random(seed)
    items = [
        {"item_id": f"{subject}-{number}", "prompt": question(subject, rng), "label": subject}
        for subject in SUBJECTS
        if subject not in MISSING
        for number in range(each)
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path
