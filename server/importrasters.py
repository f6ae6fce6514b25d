"""Rasters on their way into a slot: tried as a file of their own, then put in the place of the present one."""


def checked(services, one, path, task, values):
    raise NotImplementedError


def applied(services, one, task):
    raise NotImplementedError


def put_back(services, one, task, wanted):
    raise NotImplementedError
