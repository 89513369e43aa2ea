"""The kinds of personal values that patterns can find, in the order in which they are looked for."""

from clworkbench.policy.entities.contacts import EMAIL, PHONE, PHONE_AFTER_WORD, PHONE_BEFORE_WORD
from clworkbench.policy.entities.entity import Entity
from clworkbench.policy.entities.finance import CARD, CARD_IN_A_LIST, IBAN
from clworkbench.policy.entities.national_ids import NATIONAL_ID_BESIDE_WORD, NATIONAL_IDS, NIR, SSN, SSN_AFTER_WORD
from clworkbench.policy.entities.network import IPV4, IPV6
from clworkbench.policy.entities.secrets import ASSIGNED, BASIC, BEARER, IN_URL, PRIVATE_KEY, TOKEN

ENTITIES: tuple[Entity, ...] = (
    *(PRIVATE_KEY, TOKEN, BEARER, BASIC, IN_URL, ASSIGNED),
    *(EMAIL, IBAN, IPV6, IPV4, NIR, CARD, CARD_IN_A_LIST),
    *(SSN, SSN_AFTER_WORD, *NATIONAL_IDS, NATIONAL_ID_BESIDE_WORD),
    *(PHONE, PHONE_AFTER_WORD, PHONE_BEFORE_WORD),
)
"""What an earlier one has found, a later one does not see."""

KINDS = (*dict.fromkeys(entity.kind for entity in ENTITIES), "NAME")
