"""What an hour costs: by the device that is found, or this machine's one price."""

from clworkbench.errors import SettingsError
from clworkbench.models.torch_setup import import_torch
from clworkbench.settings import BudgetSettings


def usd_per_hour(settings: BudgetSettings) -> float:
    """The price of an hour of work here: of `[budget.prices]` where there is a table, else `usd_per_hour`.

    Raises:
        SettingsError: the table has no price for what is found here, and there is no other.
    """
    return price_of(settings, *found()) if settings.prices else settings.usd_per_hour


def found() -> tuple[str, int]:
    """The device that work is done on, by its name, and how many of them: `cpu` and 1, or a GPU's name."""
    torch = import_torch()
    if not torch.cuda.is_available():
        return "cpu", 1
    return torch.cuda.get_device_name(), torch.cuda.device_count()


def price_of(settings: BudgetSettings, device: str, n: int = 1) -> float:
    """US dollars for an hour of so many devices of this name.

    The longest name of the table that stands in the device's decides, in whatever case; where none does, it is
    `usd_per_hour`, which is the whole machine's.

    Raises:
        SettingsError: neither says what it costs.
    """
    fitting = [name for name in settings.prices if name.strip().lower() in device.lower()]
    if fitting:
        return settings.prices[max(fitting, key=len)] * n
    if settings.usd_per_hour:
        return settings.usd_per_hour
    raise SettingsError(
        f"[budget.prices] has no price for {device!r}. There: {', '.join(settings.prices)}.\n"
        f"Add it (0 where it costs nothing), or set usd_per_hour in [budget] for all that the table does not name."
    )
