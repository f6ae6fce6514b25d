"""An answer as files."""


def write_files(result, spec, data, folder):
    return None
