"""The health of an eval set in plain sentences, for the command line and the page."""

from __future__ import annotations

from monitor.coverage.health import Health, unbalanced
from monitor.wording import counted, cut, percent

__all__ = ["about_balance", "about_demand", "about_labels", "about_repeats", "about_subset", "health_verdict"]


def health_verdict(health: Health) -> str:
    """One or two sentences: how varied it is, and what to look at first."""
    if not health.texts:
        return "No item of the eval set is in a language that the encoder knows."
    different = "" if health.texts == health.items else f", which ask {health.texts:,} different things,"
    said = (
        f"{counted(health.items, 'item')}{different} {'is' if health.items == 1 else 'are'} as varied as "
        f"{health.diversity:.0f} that have nothing in common."
    )
    if health.left_out:
        are = "is" if health.left_out == 1 else "are"
        said += f" {health.left_out:,} more {are} left out, in languages that the encoder does not know."
    found = [
        counted(len(health.conflicts), "contradiction") if health.conflicts else "",
        counted(len(health.doubts), "label") + " to check" if health.doubts else "",
        counted(health.repeated, "repeated item") if health.repeated else "",
    ]
    found = [one for one in found if one]
    if not found:
        return f"{said} Nothing in it repeats or contradicts itself."
    return f"{said} Worth a look: {', '.join(found)}."


def about_repeats(health: Health) -> str:
    if not health.repeats:
        return "No item repeats another."
    groups = counted(len(health.repeats), "group")
    return (
        f"{counted(health.repeated, 'item')} in {groups} {'says' if health.repeated == 1 else 'say'} "
        "what another says: they add nothing to coverage, and count twice in a score."
    )


def about_labels(health: Health) -> str:
    if not health.labels:
        return "The items have no labels."
    parts = []
    if health.conflicts:
        pairs = counted(len(health.conflicts), "pair")
        parts.append(f"{pairs} of items {'asks' if len(health.conflicts) == 1 else 'ask'} the same under two labels.")
    if health.doubts:
        are = "is" if len(health.doubts) == 1 else "are"
        parts.append(
            f"{counted(len(health.doubts), 'item')} {are} nearer to what another label has than to its own: "
            "the label may be wrong, or the item says more than one thing."
        )
    return " ".join(parts) or "No label contradicts another."


def about_demand(health: Health) -> str:
    """What nobody seems to ask. It is a ranking: even the last of it may be asked by somebody."""
    if health.least_asked_kinds:
        least = health.least_asked_kinds[0]
        none = f"no turn is as near to {least.unasked} of them as they are to one another"
        some = "turns come near to all of them"
        return f"Least asked for: {cut(least.label, 60)} ({counted(least.items, 'item')}; {none if least.unasked else some})."
    if health.least_asked:
        return f"Least asked for: {cut(health.least_asked[0].item, 60)}. Items have no labels, so that they are ranked singly."
    return "There is too little traffic, or there are too few items, to say what is asked for least."


def about_subset(health: Health) -> str:
    if not health.needed:
        return "There is too little to choose a subset from."
    if not health.spare:
        return f"All {counted(health.items, 'item')} are needed: each is the nearest to some of the traffic."
    return (
        f"{len(health.needed):,} of {counted(health.items, 'item')} ({percent(len(health.needed) / health.items)}) are nearly "
        "as near to what people ask as all of them: enough for a quick run. The others ask what these ask, in other words."
    )


def about_balance(health: Health) -> str:
    far = unbalanced(health.balance)
    few = [one for one in far if one.items_share < one.share]
    many, none = len(far) - len(few), sum(one.items == 0 for one in few)
    if not far:
        return (
            "Topics have items about as their traffic asks for."
            if health.balance
            else "There is no traffic to weigh against."
        )
    parts = [
        f"{counted(len(few), 'topic')} with a third or less of the items that their traffic asks for" if few else "",
        f"{counted(many, 'topic')} with three times as many or more" if many else "",
    ]
    return f"{', and '.join(one for one in parts if one)}; {none} {'has' if none == 1 else 'have'} none at all."
