"""What a step changes in a case beside the fields of its form: Ask -> {name in Situation: new value}."""

from datetime import date, timedelta


def add_months(day, months):
    """The same day so many calendar months later; the last day of the month where it has no such day.

    Civil Code 2015, article 148: a period in months ends with the corresponding day, else with the month's last.

    >>> add_months(date(2028, 2, 29), 12)
    datetime.date(2029, 2, 28)
    """
    months += day.year * 12 + day.month - 1
    first_of_next = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
    return min(first_of_next - timedelta(days=1), date(months // 12, months % 12 + 1, 1) + timedelta(days=day.day - 1))


def sets_plan_date(ask):
    return {"plan_due": ask.fields.get("plan_due") or ask.situation.today + timedelta(days=ask.rules.plan_days)}


def spends_proof(ask):
    return {"proof_from": ask.situation.today, "work_done_on": None}


def starts_watch(ask):
    today = ask.situation.today
    return {"watch_from": today, "watch_until": add_months(today, ask.rules.watch_months)}


def ends_watch(ask):
    return {"watch_from": None, "watch_until": None}


def counts_relapse(ask):
    """One relapse more; the case needs a new plan and new proof, and its photo before must show the new state."""
    s = ask.situation
    spent = ("decision_no", "decision_on", "deadline", "needed_samples", "needed_days")
    return {
        **dict.fromkeys(spent),
        **spends_proof(ask),
        **ends_watch(ask),
        "relapses": s.relapses + 1,
        "before_from": s.watch_from or s.today,
        "plan_due": s.today + timedelta(days=ask.rules.plan_days),
    }


def frees_duplicate(ask):
    return {"merged_into": None}


def restores(ask):
    return dict(ask.situation.last_step.old)
