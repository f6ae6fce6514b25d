"""The answer of a siting study as its page shows it."""


def answer(services, study, settings):
    return None
