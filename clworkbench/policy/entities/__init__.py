"""The kinds of personal values that patterns can find, in the order in which they are looked for."""

from clworkbench.policy.entities.contacts import EMAIL, PHONE, PHONE_AFTER_WORD, PHONE_BEFORE_WORD
from clworkbench.policy.entities.entity import Entity
from clworkbench.policy.entities.finance import CARD, IBAN
from clworkbench.policy.entities.national_ids import NATIONAL_ID_BESIDE_WORD, NATIONAL_IDS, SSN, SSN_AFTER_WORD
from clworkbench.policy.entities.network import IPV4, IPV6
from clworkbench.policy.entities.secrets import ASSIGNED, BEARER, IN_URL, PRIVATE_KEY, TOKEN

ENTITIES: tuple[Entity, ...] = (
    *(PRIVATE_KEY, TOKEN, BEARER, IN_URL, ASSIGNED),
    *(EMAIL, IBAN, IPV6, IPV4, CARD),
    *(SSN, SSN_AFTER_WORD, *NATIONAL_IDS, NATIONAL_ID_BESIDE_WORD),
    *(PHONE, PHONE_AFTER_WORD, PHONE_BEFORE_WORD),
)
"""What an earlier one has found, a later one does not see."""

KINDS = (*dict.fromkeys(entity.kind for entity in ENTITIES), "NAME")
