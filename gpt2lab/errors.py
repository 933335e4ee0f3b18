"""The one exception a user is meant to read."""


class UserError(Exception):
    """A wrong config, file, row or device: one clear line saying what, where, and what would be right.

    `python -m gpt2lab` prints the message without a traceback and exits with code 2;
    `debug=true` shows the traceback.
    """
