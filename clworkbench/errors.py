"""The errors a user can meet: each says what was found, where, and the way out."""


class ClwError(ValueError):
    """Something the user can mend; the command line prints it and exits with status 2."""


class SettingsError(ClwError):
    """`clw.toml` is missing, cannot be read, or says something that means nothing."""


class WorkspaceError(ClwError):
    """The folder is no workspace, or one of another version, or its key is missing or another's."""


class LeaseError(ClwError):
    """Another process holds what must be held by one."""


class SourceError(ClwError):
    """A source cannot be read at all (a bad record is data, not this error)."""


class ExpressionError(ClwError):
    """A slice or rule is not a valid expression, or names what is not there."""


class ModelError(ClwError):
    """A model's name leads nowhere, or what stands there cannot be loaded."""


class EndpointError(ClwError):
    """A model's endpoint cannot be reached, refuses what it is asked, or answers what makes no sense."""


class ArtefactError(ClwError):
    """An artefact is missing, half written, or does not match its manifest."""


class EvidenceError(ClwError):
    """There is not enough evidence for what was asked, e.g. no settled signal to learn from."""


class NotebookError(ClwError):
    """A notebook cannot be read, its settings cannot be set, or one of its cells failed."""


class BudgetError(ClwError):
    """A limit of `[budget]` is reached, or would be exceeded; the command line answers no (status 1)."""


class ForgetError(ClwError):
    """What is to be forgotten is not said clearly, or something of it still stands where it should not."""


class LabelError(ClwError):
    """The annotators' server cannot be installed, started or reached, or does not hold what it should."""


class AlertError(ClwError):
    """A place that alerts go to cannot be reached or written to; what it is owed stays owed."""
