"""How the reader refuses a file. Part of read_checkpoint.py."""


class Refused(Exception):
    """§3: kind of violation, what, offset."""


def need(condition, what, offset, kind="damaged"):
    if not condition:
        raise Refused(kind, what, offset)


def zero(data, what, offset):  # §3
    need(not any(data), f"{what}: not zero", offset)
