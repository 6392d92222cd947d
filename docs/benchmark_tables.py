"""The README's benchmark tables: what a committed result of `benchmarks/results` says, as Markdown."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

__all__ = ["BENCHMARKS", "Results", "table"]

Results = Mapping[str, Any]

#: Shares of the traffic by which kinds of the self-test are compared with missing intents of their size.
_SIZES = (0.002, 0.005, 0.01)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def topics_table(results: Results) -> str:
    rows, told = [], []
    for name, shown in (("clinc150", "CLINC150"), ("banking77", "BANKING77")):
        run = results[name]
        ours = run["offmap"]
        methods = [
            ("offmap, fine topics", ours, ours),
            ("offmap, middle topics", ours, ours["middle"]),
            ("offmap, broad topics", ours, ours["broad"]),
            ("BERTopic's default", run["bertopic_default"], run["bertopic_default"]),
            *([("EVoC", run["evoc"], run["evoc"])] if "evoc" in run else []),
        ]
        rows += [
            (
                shown,
                method,
                f"{times['cold_seconds']:.2f}",
                f"{times['warm_seconds']:.2f}",
                *(_cell(found[key]) for key in ("clusters", "nmi", "ari", "unassigned")),
            )
            for method, times, found in methods
        ]
        told.append(
            f"{shown}: {run['texts']:,} texts, {run['intents']} intents; cold "
            f"{run['bertopic_default']['cold_times_offmap']:g} times as fast as BERTopic, warm "
            f"{run['bertopic_default']['warm_times_offmap']:g} times."
        )
    head = ("data", "method", "seconds, cold process", "seconds, warm", "topics", "NMI", "ARI", "unassigned")
    return table(head, rows) + "\n\nVectors given. " + " ".join(told) + f" {results['machine']}."


def encoding_table(results: Results) -> str:
    rows = [
        (
            f"{name}, {threads} {'thread' if threads == 1 else 'threads'}",
            f"{run['ours_cpu_ms_per_text']:.1f}",
            f"{run['other_cpu_ms_per_text']:.1f}",
            f"{run['ratio_cpu']:.1f}",
            f"{run['ours_texts_per_s']:,.0f}",
            f"{run['other_texts_per_s']:,.0f}",
            f"{run['ratio_wall']:.1f}",
            "disturbed" if run["disturbed"] else "steady",
        )
        for name, sets in results["against_peer"].items()
        for threads in (1, 2)
        if (run := sets.get(f"threads_{threads}"))
    ]
    head = ("texts of", "CPU ms a text", "peer", "ratio", "texts/s", "peer", "ratio", "rounds")
    worst = min(sets["cosine_min"] for sets in results["against_peer"].values())
    told = (
        f"The peer is {results['peer']}; the worst cosine to its vectors is {worst:.3f}. {results['machine']['cores']} cores, "
        f"{results['machine']['cpu']}. Where the rounds are disturbed, other work ran on the machine: believe no ratio there."
    )
    return table(head, rows) + "\n\n" + told


def ingest_table(results: Results) -> str:
    batch = f"a batch of {results['batch']:,} turns"
    rows = [
        (f"{batch} into an empty store", f"{results['empty_ms']:.0f} ms"),
        (f"{batch} into a store of {results['rows']:,}", f"{results['full_ms']:.0f} ms ({results['ratio']:.2f} times)"),
        (f"{batch} that is there already", f"{results['repeated_ms']:.0f} ms"),
        ("turns a second while filling", f"{results['rows_per_second']:,}"),
        ("bytes a turn on disk", f"{results['bytes_per_row']:,}"),
    ]
    machine = results["machine"]
    return table(("ingest", "measured"), rows) + f"\n\n{machine['cores']} cores, DuckDB {machine['duckdb']}."


def growth_table(results: Results) -> str:
    forgotten, consumer, turns = results["forget_user"], results["consumer"], results["turns"]
    memory = [megabytes for _, megabytes in consumer["resident_mb"]]
    rows = [
        (
            f"a batch of {results['batch']:,} turns into {turns:,}, against an empty store",
            f"{results['ratio']:.2f} times",
        ),
        (f"a consumer's memory over {turns:,} messages", f"{min(memory):,} to {max(memory):,} MB"),
        ("its slope over the second half, for each 100,000 messages", f"{consumer['slope_mb_per_100000']:+.1f} MB"),
        (f"forget a user of {forgotten['turns']:,} turns: gone from every table", f"{forgotten['rows_seconds']:.1f} s"),
        (f"and from the disk: {results['store_mb']:,} MB are written anew", f"{forgotten['rewrite_seconds']:.0f} s"),
        ("a reader waits meanwhile, at most", f"{forgotten['longest_wait_of_a_reader_seconds']:.1f} s"),
        ("ingest waits meanwhile, at most", f"{forgotten['longest_wait_of_a_writer_seconds']:.0f} s"),
        ("a deletion that a stream brings", f"{results['forget_turn_of_a_stream_seconds']:.1f} s"),
        ("a backup", f"{results['backup_seconds']:.0f} s"),
        ("restore it, and forget again", f"{results['restore']['seconds']:.0f} s"),
    ]
    machine = results["machine"]
    told = (
        f"DuckDB may keep {consumer['memory_limit_of_the_store']} of what the consumer has read (store.memory_limit). "
        f"{machine['cores']} cores, DuckDB {machine['duckdb']}; others kept the machine busy, at a load of {machine['load']:g}."
    )
    return table(("growth", "measured"), rows) + "\n\n" + told


def streaming_table(results: Results) -> str:
    loops = {
        "polled": "poll and parse only, kafka-python as it is installed",
        "polled_in_c": "the same with its checksum in C, as offmap runs it",
        "polled_by_confluent": "the same with confluent-kafka",
        "stored": "**Kafka to committed rows**",
        "posted": "**HTTP to committed rows**",
    }

    def share(what: str) -> str:
        rates = results.get(f"{what}_rate_of")
        return "" if rates is None else " / ".join(f"{rate:.2f}" for rate in rates.values())

    rows = [
        (words, f"{results['per_second'][what]:,.0f}", share(what))
        for what, words in loops.items()
        if what in results["per_second"]
    ]
    machine = results["machine"]
    told = (
        f"{results['messages']:,} messages, each loop alone on one core; the last column is the rate as a share of the polling "
        f"loops, in their order. The load was {machine['load'][0]:.1f} on {machine['cores']} cores."
    )
    return table(("streams", "messages a second", "of polling only"), rows) + "\n\n" + told


def plain_table(results: Results) -> str:
    rows: Sequence[Mapping[str, Any]] = results["table"]
    return table(tuple(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def coverage_table(results: Results) -> str:
    """Errors of the estimate, and how well turns of missing intents are found: two tables of held-out draws."""
    shares = [
        [
            row["data"],
            f"{row['turns']:,}",
            str(row["items_per_intent"]),
            *(
                f"{row[f'{name}_error']:.1f} ± {row[f'{name}_standard_error']:.1f}"
                for name in ("offmap", "offmap_unlabelled")
            ),
            *(f"{row[f'quantile_{q}_error']:.1f}" for q in ("0.7", "0.9")),
            f"{row['offmap_of_all_covered']:.0f} %",
            f"{row['offmap_interval_holds']:.0%}",
            f"{row['offmap_topic_interval_holds']:.0%}",
            f"{row['offmap_open_topic_interval_holds']:.0%}",
        ]
        for row in results["table"]
    ]
    head = ("data", "turns", "items an intent", "error, points", "without labels", "Storey, .7", "Storey, .9",
            "read for 100 %", "90 % interval holds", "of topics", "of open topics")  # fmt: skip
    found = [
        [
            row["data"],
            f"{row['turns']:,}",
            str(row["items_per_intent"]),
            *(
                f"{row[f'{name}_auroc']:.3f} / {row[f'{name}_ap']:.3f}"
                for name in (
                    "nearest_item",
                    "first_diffusion",
                    "diffused",
                    "told_labelled",
                    "by_slice",
                    "by_slice_told",
                    "by_slice_labelled",
                )
            ),
        ]
        for row in results["finding"]
    ]
    names = ("data", "turns", "items an intent", "nearest eval item, AUROC / AP", "first diffusion", "novelty",
             "covered, labelled", "topics by novelty", "topics", "topics, labelled")  # fmt: skip
    between = (
        f"Mean of {results['draws']} draws with 0, 20, 40 and 60 % of the intents missing, ± one standard error. Open topics "
        "have a figure between 10 and 90 %. Finding the turns, and topics, of a fifth of the intents that is missing; topics "
        "by mean novelty, as with the first diffusion, and by the probability of being covered, as offmap ranks them:"
    )
    return f"{table(head, shares)}\n\n{between}\n\n{table(names, found)}"


def drift_table(results: Results) -> str:
    """Power of the tests beside the peers', how often each fires when nothing changed, and what a comparison costs."""
    kinds = {"new": "{part:.0%} are of 3 new intents", "grown": "3 intents grow by {part:.0%}"}
    names = ("combined", "nearest", "neighbours", "topic", "novelty", "distribution", "nearest_5_of_reference",
             "chi_square_50_clusters", "ks_20_components", "evidently")  # fmt: skip
    shown = ("verdict", "nearest", "neighbours", "topic", "novelty", "MMD", "distance to 5 nearest", "chi-square, 50 clusters",
             "KS, 20 components", "Evidently at a true 5 %")  # fmt: skip
    powers = [
        [
            row["data"],
            kinds[row["change"]].format(part=row["part"]),
            str(row["turns"]),
            *(f"{row[name]:.2f}" for name in names),
            f"{row['evidently_at_0.55']:.2f} ({row['evidently_false_alarms_at_0.55']:.2f})",
        ]
        for row in results["power_table"]
    ]
    head = ("data", "change", "turns", *shown, "Evidently's default (false alarms)")
    of_levels = (*names[:6], "shares", "energy", "classifier")
    levels = [
        [row["data"], f"{row['turns']:,}", str(row["draws"]), *(_level(row, name) for name in of_levels)]
        for row in results["level_table"]
    ]
    between = "How often each fires at 5 % when nothing changed, and in brackets the 95 % interval of that:"
    found = f"{table(head, powers)}\n\n{between}\n\n"
    found += (
        table(("data", "turns", "draws", *shown[:6], *of_levels[6:]), levels) + "\n\n" + _attribution(results, kinds)
    )
    return f"{found}\n\n{_cost(results['cost'])}"


def _cost(cost: Results) -> str:
    """What all tests cost, and the peers."""
    runs = [
        f"{int(name.split('_')[0]):,} turns against {run['against']:,}: {run['seconds']:.0f} s, {run['peak_gib']:.1f} GiB"
        for name, run in cost.items()
        if "against" in run
    ]
    peers = cost["on_3000_and_3000_turns_with_99_permutations_cpu_seconds"]
    exact, evidently = (
        peers[name] / peers["ours"] for name in ("exact_mmd_permuted_as_alibi_does", "evidently_without_permutations")
    )
    return (
        "All tests and their verdict with 999 permutations, of vectors in memory, of which 20,000 of each window are drawn: "
        f"{'; '.join(runs)}. Of 3,000 and 3,000 turns with 99 permutations, the exact MMD as alibi-detect permutes it takes "
        f"{exact:.0f} times the CPU time of all these tests, and Evidently's embedding drift, which permutes nothing, "
        f"{evidently:.1f} times."
    )


def _level(row: Results, name: str) -> str:
    low, high = row["interval_95"][name]
    return f"{row[name]:.1%} ({100 * low:.1f}-{100 * high:.1f})"


def _attribution(results: Results, kinds: Mapping[str, str]) -> str:
    """What is named first where the verdict fires, by set and change, and of all changes together."""
    of_draws = {
        "first_topic_is_right": "first topic right",
        "first_topic_holds_most": "first topic holds most",
        "topics_agree": "parts that agree",
        "first_word_is_right": "first word right",
        "first_5_words_right": "of five words right",
        "first_5_words_carry": "five words carry",
    }
    rows = []
    for data in dict.fromkeys(row["data"] for row in results["attribution_table"]):
        ours = [row for row in results["attribution_table"] if row["data"] == data]
        fired = sum(row["with_power"] for row in ours)
        means = (sum(row[name] * row["with_power"] for row in ours) / fired for name in of_draws)
        changes = [
            [data, kinds[row["change"]].format(part=row["part"]), str(row["turns"]), str(row["with_power"]),
             *(f"{row[name]:.0%}" for name in of_draws)] for row in ours
        ]  # fmt: skip
        rows += [*changes, [data, "all changes", "", str(fired), *(f"{mean:.0%}" for mean in means)]]
    between = (
        "What carries the change, where the verdict fires. A topic is right that holds a quarter of the planted turns, or more "
        "of them than any other; a word that is one of the five of the greatest class-based TF-IDF of a planted intent:"
    )
    return f"{between}\n\n{table(('data', 'change', 'turns', 'draws that fired', *of_draws.values()), rows)}"


def always_on_table(results: Results) -> str:
    """Run lengths and delays of the lookout and of its peers."""
    methods = {
        "offmap": "offmap",
        "plug_in": "e-detector, known rate",
        "page_hinkley": "Page-Hinkley",
        "window_200": "window of 200",
    }
    changes = ("new_10%_after_1000", "new_20%_after_1000", "popular_20%_after_1000", "new_10%_after_0")
    rows = [
        [
            row["data"],
            f"{row['reference']:,}",
            shown,
            f"{row['null'][method]['run_length']:,}",
            *(_delay(row[change][method]) for change in changes),
        ]
        for row in results["table"]
        for method, shown in methods.items()
    ]
    head = (
        "data",
        "reference, turns",
        "method",
        "false alarm after",
        "10 % new",
        "20 % new",
        "3 intents +20 %",
        "10 % new at once",
    )
    return (
        table(head, rows)
        + f"\n\nTurns until an alarm, the median of {results['replays']} replays, after 1,000 quiet turns; in the last column "
        f"from the first turn on. The budget is a false alarm in {results['budget_turns']:,} turns. A share is of the replays "
        "that saw it within 1,500 turns, where less than half did."
        + "".join(_others(one) for one in results.get("others", ()))
    )


def _others(one: Results) -> str:
    """Negative signals, and what comes after an accepted change."""
    twice, thrice = (_delay(one[f"{times}_times_as_many_negatives"]["offmap"]) for times in (2, 3))
    accepted = one["after_an_accepted_change"]["run_length"]
    return (
        f" {one['data']}, reference {one['reference']:,}: twice as many negative signals are told after {twice} turns, three "
        f"times as many after {thrice}; after an accepted change a false alarm comes in {accepted:,}."
    )


def alarms_table(results: Results) -> str:
    """False alarms a month of all that watches, and what the budget costs a surge."""
    named = {"one_budget": "one budget", "each_on_its_own": "each on its own"}
    rows = [
        (
            one["data"],
            "by day and week" if one["rhythm"] else "none",
            shown,
            *(f"{one[name][kind]:.2f}" for kind in ("lookout", "surges", "comparisons", "a_month")),
        )
        for one in results["months"]
        for name, shown in named.items()
    ]
    months = table(("data", "rhythm", "alerts by", "lookout", "surges", "comparisons", "all, a month"), rows)
    rows = [
        (
            one["data"],
            f"{one['new_a_day']} of {one['conversations_a_day'] + one['new_a_day']}",
            *map(_told, (one[name] for name in named)),
        )
        for one in results["delays"]
    ]
    delays = table(("data", "new a day", *named.values()), rows)
    number, replays = results["months"][0]["months"], results["delays"][0]["replays"]
    return (
        f"{months}\n\nAlerts of a change in months in which nothing changes, the mean of {number} of 100 conversations a day, "
        "looked at every twelve hours; the budget is one a month. On its own, each look of surges and comparisons tells what "
        "chance does in 1 of 100, and the lookout has the whole budget; looks every half an hour would find more then, and no "
        f"more in one budget.\n\n{delays}\n\nConversations about a new intent until its surge is told (median), and in how "
        f"many of {replays} replays that was within a week, by looks every half an hour."
    )


def _told(found: Results) -> str:
    seen = f"{found['seen_in_a_week']:.0%}"
    return f"{found['median_conversations']} ({seen})" if found["median_conversations"] is not None else f"– ({seen})"


def drift_store_table(results: Results) -> str:
    """The command on whole stores."""
    rows = [
        (f"{row['turns']:,}", f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}", f"{row['peak_gib']:.1f}")
        for row in results["rows"]
    ]
    found = table(("turns in the store", "seconds", "CPU seconds", "peak GiB"), rows)
    grown = f" CPU time grows as n^{results['cpu_exponent']:g}." if "cpu_exponent" in results else ""
    return f"{found}\n\n`offmap drift` from its start to its verdict, with topics, attributes, words and attribution.{grown}"


def _delay(found: Mapping[str, Any]) -> str:
    return f"{found['seen']:.0%}" if found["median"] is None else f"{found['median']:,}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def gaps_table(results: Results) -> str:
    lists = {
        "offmap": "offmap",
        "far": "turns × distance to the nearest eval item",
        "without_item": "no eval item in it",
    }
    keys = ("precision_at_10", "recall_at_10", "precision_at_listed", "recall_at_listed")
    rows = [
        (run["data"], name, *(f"{run[f'{key}_{what}']:.0%}" for what in keys))
        for run in results["table"]
        for key, name in lists.items()
    ]
    head = (
        "data",
        "list of topics",
        "right, of 10 or fewer",
        "turns found",
        "right, as many as offmap lists",
        "turns found",
    )
    listed = "; ".join(
        f"{run['listed']:.3g} for {run['missing_intents']:.0f} on {run['data']}" for run in results["table"]
    )
    found = results["parts"]
    said = (
        f"\n\nGaps listed for missing intents: {listed}. Attributes dealt anew: {found['with_a_false_part']} false parts and "
        f"{found['with_a_false_split']} false splits in {found['analyses_dealt_anew']} analyses. Planted: "
        f"{found['planted_listed']} of {found['planted']} parts are listed, {found['splits_told']} of "
        f"{found['splits_planted']} splits told."
    )
    return table(head, rows) + said + held_table(results["held"])


def held_table(held: Results) -> str:
    """What becomes of the other gaps when items of one missing intent are added."""
    lists = {"bar": "the bar alone", "held": "offmap"}
    rows = [
        (
            str(one["items_added"]),
            lists[one["list"]],
            *(f"{one[f'{what}_left']} of {one[what]}" for what in ("others", "own", "wrong")),
            f"{through['got_items']} of {through['listed_at_first']}",
            f"{through['wrong_at_end']} of {through['wrong_at_first']}",
        )
        for one, through in zip(held["changes"], held["worked_through"], strict=True)
    ]
    head = (
        "items added",
        "who decides what stays",
        "gaps of other missing intents that left",
        "the gap of the items left",
        "wrong gaps that left",
        "working down the list: reached",
        "wrong ones left on it",
    )
    return (
        "\n\nWhen eval items of one missing intent are added, on the sample traffic; and missing intents that get items before "
        "they leave the list, when they are added for one gap after the other:\n\n" + table(head, rows)
    )


def gate_table(results: Results) -> str:
    """The interval of a change of an eval set, against truth."""
    rows = [
        [
            row["data"],
            f"{row['turns']:,}",
            str(row["items_per_intent"]),
            "yes" if row["labelled"] else "no",
            f"{row['interval_holds']:.0%}",
            f"{row['width']:.0f}",
            f"{row['width_apart']:.0f}",
            f"{row['error']:.1f}",
            f"{row['topics_interval_holds']:.0%}",
        ]
        for row in results["table"]
    ]
    head = ("data", "turns", "items an intent", "labels", "90 % interval holds", "width, points", "drawn apart",
            "error, points", "of topics that changed")  # fmt: skip
    return table(head, rows)


def selftest_table(results: Results) -> str:
    """What the self-test predicted of finding, and what became of the intents that are missing; then its days."""
    rows = []
    for data in dict.fromkeys(run["data"] for run in results["runs"]):
        for labelled in (True, False):
            runs = [run for run in results["runs"] if run["data"] == data and run["labelled"] == labelled]
            large = [
                (found, share >= run["smallest"])
                for run in runs
                if run["smallest"] is not None
                for share, found in run["missing"]
            ]
            hidden, missing = ([one for run in runs for one in run[name]] for name in ("hidden", "missing"))
            rows.append(
                (
                    data,
                    "labels" if labelled else "topics",
                    str(len(runs)),
                    _of([found for run in runs for _, found in run["hidden_alone"]]),
                    _of([found for _, found in hidden]),
                    _by_size(hidden, missing),
                    _of([found for _, found in missing]),
                    _of([found for found, is_large in large if is_large]),
                )
            )
    head = ("data", "kinds", "draws", "hidden and found, alone in a topic", "hidden and found, all",
            "as large as the missing", "really missing, and listed",
            "of these as large as the smallest said to be noticed")  # fmt: skip
    return table(head, rows) + _days_words(results["days"])


def _by_size(hidden: Sequence[tuple[float, bool]], missing: Sequence[tuple[float, bool]]) -> str:
    """The share of the missing that would be listed if those of each size were as often as the hidden ones of that size."""
    sizes = [bisect(_SIZES, share) for share, _ in missing]
    found = {size: [was for share, was in hidden if bisect(_SIZES, share) == size] for size in set(sizes)}
    known = [fmean(found[size]) for size in sizes if found[size]]
    return f"{fmean(known):.0%}" if known else "none"


def _of(found: Sequence[bool]) -> str:
    return f"{sum(found)} of {len(found)} ({sum(found) / len(found):.0%})" if found else "none"


def _days_words(days: Sequence[Mapping[str, Any]]) -> str:
    """Of new intents at least as large as the smallest: whether and when they were listed, against two predictions."""
    large = [one for one in days if one["smallest"] is not None and one["share"] >= one["smallest"]]
    listed = [one for one in large if one["listed_after_days"] is not None]
    if not listed:
        return ""
    turns = [one["listed_after_days"] * one["a_day"] * one["share"] for one in listed]
    now = median(own / (one["smallest"] * one["turns_before"]) for own, one in zip(turns, listed, strict=True))
    return (
        f"\n\nNew intents that are at least so large, on CLINC150: {len(listed)} of {len(large)} were listed in a new gap "
        f"within 28 days. Those took {now:.1f} times as long as predicted (median); by the five conversations that a gap "
        f"needs, as it was predicted before, {median(own / 5 for own in turns):.1f} times."
    )


BENCHMARKS: dict[str, Callable[[Results], str]] = {
    "topics": topics_table,
    "coverage": coverage_table,
    "gate": gate_table,
    "gaps": gaps_table,
    "selftest": selftest_table,
    "drift": drift_table,
    "drift_store": drift_store_table,
    "always_on": always_on_table,
    "alarms": alarms_table,
    "encoding": encoding_table,
    "ingest": ingest_table,
    "growth": growth_table,
    "scale": plain_table,
    "streaming": streaming_table,
    "static_vectors": plain_table,
    "encoder_switch": plain_table,
}
