"""What a person can mend: the error whose message is for them."""


class Mendable(Exception):
    """An error whose message says what is wrong and what to do; a command prints it, without a traceback."""
