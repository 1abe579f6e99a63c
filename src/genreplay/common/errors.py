"""The errors a person can mend. Light on imports: every other module may use it."""


class UserError(Exception):
    """Something the user can put right. The command line prints it as one line and exits with status 2."""


class FieldError(ValueError):
    """A config field holds a value it must not; `config.load` adds the file and the section to the message."""

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


def require(condition: bool, field: str, message: str) -> None:
    """Raise `FieldError(field, message)` unless `condition`. The message says what to write instead."""
    if not condition:
        raise FieldError(field, message)
