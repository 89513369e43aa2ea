"""The engine that serves: several adapters on one base, whose requests are answered in one batch that never stops.

Requests join the batch between two tokens and leave it when they are done, whichever adapter answers them.
"""

from clworkbench.models.engine.asking import Ask, Piece
from clworkbench.models.engine.engine import Engine, Ticket
from clworkbench.models.engine.refusals import EngineClosed, EngineFull, PromptTooLong, UnknownModel

__all__ = ["Ask", "Engine", "EngineClosed", "EngineFull", "Piece", "PromptTooLong", "Ticket", "UnknownModel"]
