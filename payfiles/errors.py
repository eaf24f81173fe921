"""How a payment file is refused: what is wrong, where, and what to do about it.

InvalidInput (domain)
└── PaymentFileError    the file as a whole is not used; `problems` lists what was found, up to 20 of them
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.errors import InvalidInput

MAX_REPORTED = 20
"""As many problems or warnings of one file are listed; the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong (or, among a file's warnings, worth knowing). `location` starts with the file's name."""

    code: str
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class PaymentFileError(InvalidInput):
    """The file is refused and nothing of it may be used. `str(error)` is made for people, `code` for programs."""

    def __init__(self, code: str, message: str, location: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(code, message, location)
        self.location = location
        self.problems = problems or (Problem(code, message, location),)

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"

    def __reduce__(  # type: ignore[override]  # one argument more than the parent
        self,
    ) -> tuple[type[PaymentFileError], tuple[str, str, str, tuple[Problem, ...]]]:
        return (type(self), (self.code, self.message, self.location, self.problems))


class Findings:
    """Collects what is found on the way through a file, so that a sender can mend everything in one go."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._total = 0
        self._said: set[tuple[str, str]] = set()

    def add(self, code: str, message: str, location: str) -> None:
        """Keep one more, or only count it once `MAX_REPORTED` are kept."""
        self._total += 1
        if len(self._kept) < MAX_REPORTED:
            self._kept.append(Problem(code, message, location))

    def add_once(self, code: str, message: str, location: str) -> None:
        """Keep it unless the same was said of another place: one debtor's account stands in many transfers."""
        if (code, message) not in self._said:
            self._said.add((code, message))
            self.add(code, message, location)

    def add_error(self, error: PaymentFileError) -> None:
        """Keep what `error` says and go on reading."""
        for problem in error.problems:
            self.add(problem.code, problem.message, problem.location)

    def all(self, name: str) -> tuple[Problem, ...]:
        """Everything kept, with a last line for what was only counted."""
        more = self._total - len(self._kept)
        if not more:
            return tuple(self._kept)
        return (*self._kept, Problem("more", f"and {more} more like these", name))

    def raise_if_any(self, name: str) -> None:
        """Refuse the file `name` if anything was found."""
        if not self._kept:
            return
        first = self._kept[0]
        if self._total == 1:
            raise PaymentFileError(first.code, first.message, first.location)
        problems = self.all(name)
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise PaymentFileError(first.code, f"{self._total} problems, nothing was used:{lines}", name, problems)
