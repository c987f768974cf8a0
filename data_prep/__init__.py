"""Text in, binarised data out. Imports nothing else of ours."""


class DataError(Exception):
    """Bad input: the message is one line that says what, where (file and line) and how to mend it."""
