"""A study's question with the data of a city: the geo objects from which it is answered."""


def explain(services, spec, lon, lat):
    raise NotImplementedError
