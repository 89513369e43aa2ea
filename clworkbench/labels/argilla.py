"""Argilla: whether it is one that we can speak with, its teams, and the data sets that stand there."""

import re
import time

import msgspec

from clworkbench.display.text import short
from clworkbench.errors import LabelError
from clworkbench.labels.place import Address, address
from clworkbench.labels.questions import FieldThere, Form, QuestionThere, differences, strange
from clworkbench.labels.records import Dataset, Records
from clworkbench.labels.rest import Refused

__all__ = ["Address", "Argilla", "Dataset", "address", "connect"]

TAKEN = (409, 500)
"""What Argilla answers where a name is taken: 500 where two ask for it at the same moment."""

OLDEST, NEXT = (2, 4), (3, 0)
"""Versions of Argilla that this speaks with: chat fields came with 2.4."""

LEFT_S = 10.0
"""A half-made data set to which nothing is added for so long was left by a push that was killed."""

LOOK_S = 0.5


def connect(place: Address) -> "Argilla":
    """Looks whether an Argilla that we can speak with is there, and whose key we have. Use it in `with`.

    Raises:
        LabelError: nobody answers there, or something else does, of another version, or the key is refused or an
            annotator's.
    """
    import httpx

    http = httpx.Client(
        base_url=place.url,
        auth=place.login,
        headers={"X-Argilla-Api-Key": place.api_key},
        timeout=httpx.Timeout(120.0, connect=10.0),
        trust_env=not place.embedded,
    )
    found = Argilla(http, place.url)
    try:
        found.introduce()
    except BaseException:
        http.close()
        raise
    return found


class _Version(msgspec.Struct):
    version: str


class _User(msgspec.Struct):
    id: str
    username: str
    role: str


class _Users(msgspec.Struct):
    items: list[_User]


class _Named(msgspec.Struct):
    id: str
    name: str


class _Teams(msgspec.Struct):
    items: list[_Named]


class _Overlap(msgspec.Struct):
    min_submitted: int


class _DatasetThere(msgspec.Struct):
    id: str
    name: str
    workspace_id: str
    status: str
    distribution: _Overlap
    guidelines: str | None = None


class _Datasets(msgspec.Struct):
    items: list[_DatasetThere]


class _Fields(msgspec.Struct):
    items: list[FieldThere]


class _Questions(msgspec.Struct):
    items: list[QuestionThere]


class Argilla(Records):
    """A connection to Argilla. Every failure is a `LabelError` in words, and none holds a key or a text."""

    def introduce(self) -> None:
        """Learns the server's version, and whose key we have; raises as `connect` does."""
        self.version = self.call("GET", "version", _Version, tries=1).version
        parts = re.match(r"(\d+)\.(\d+)", self.version)
        if parts is None or not OLDEST <= (int(parts[1]), int(parts[2])) < NEXT:
            raise LabelError(
                f"{self.url}: Argilla {short(self.version, 20)} is there; this works with 2.4 to 2.8.\n"
                "Upgrade that server, or use the one of `clw label serve` (unset ARGILLA_API_URL and ARGILLA_API_KEY)."
            )
        me = self.call("GET", "me", _User, tries=1)
        self.username, self.role = me.username, me.role
        if me.role == "annotator":
            raise LabelError(
                f"{self.url}: the key is that of {me.username}, an annotator, who may not see others' answers.\n"
                "Set ARGILLA_API_KEY to the key of an owner or an admin (in Argilla: My settings)."
            )

    # teams and their people

    def teams(self) -> dict[str, str]:
        """By name, the id of each team's workspace that the key's owner may see."""
        return {each.name: each.id for each in self.call("GET", "me/workspaces", _Teams).items}

    def team(self, name: str) -> str | None:
        """The id of a team's workspace; None where there is none that the key's owner may see."""
        return self.teams().get(name)

    def make_team(self, name: str) -> str:
        """The id of a team's workspace, which is made where it is missing."""
        if there := self.team(name):
            return there
        try:
            return self.call("POST", "workspaces", _Named, json={"name": name}).id
        except Refused as error:
            if error.status in TAKEN and (there := self.team(name)):  # somebody else made it meanwhile
                return there
            if error.status != 409:
                raise
            raise LabelError(
                f"{self.url}: {self.username} does not belong to the workspace {name!r}.\n"
                "Have its admin or an owner add you, or name another `team` in clw.toml."
            ) from None

    def accounts(self) -> dict[str, str]:
        """By username, the id of each account; only an owner may ask."""
        return {user.username: user.id for user in self.call("GET", "users", _Users).items}

    def add_annotator(self, name: str, password: str) -> str:
        """Makes an annotator's account; its id."""
        body = {"username": name, "first_name": name, "role": "annotator", "password": password}
        return self.call("POST", "users", _User, json=body).id

    def join(self, user_id: str, team_id: str) -> bool:
        """Makes an account a member of a team's workspace; whether it was none before."""
        members = self.call("GET", f"workspaces/{team_id}/users", _Users).items
        if user_id in {user.id for user in members}:
            return False
        try:
            self.call("POST", f"workspaces/{team_id}/users", _User, json={"user_id": user_id})
        except Refused as error:
            if error.status != 409:
                raise
            return False  # somebody else did it meanwhile
        return True

    # data sets

    def find(self, name: str, team: str) -> Dataset | None:
        """The data set of this name in a team's workspace; None where there is none."""
        there = self._there(name, team)
        return None if there is None else self._dataset(there, team)

    def _there(self, name: str, team: str) -> _DatasetThere | None:
        if (team_id := self.team(team)) is None:
            return None
        for found in self.call("GET", "me/datasets", _Datasets, params={"workspace_id": team_id}).items:
            if found.name == name and found.workspace_id == team_id:
                return found
        return None

    def _dataset(self, there: _DatasetThere, team: str) -> Dataset:
        fields, questions = self._parts(there)
        return Dataset(
            id=there.id,
            name=there.name,
            team=team,
            questions={question.name: question.id for question in questions},
            n_answers=sum(each.name.startswith("answer_") for each in fields),
            guidelines=there.guidelines,
            overlap=there.distribution.min_submitted,
            is_published=there.status == "ready",
        )

    def ensure(self, form: Form, team: str) -> Dataset:
        """The data set that asks what `form` says, made and published where it is missing.

        Guidelines and overlap are brought up to date. Questions and fields cannot be changed once people may answer.

        Raises:
            LabelError: a data set of this name asks something else, or is somebody's who has not published it yet; says
                what, and the way out.
        """
        if (there := self._published(form, team)) is None:
            return self._make(form, team)
        fields, questions = self._parts(there)
        if differs := differences(form, fields, questions):
            raise LabelError(
                f"{self.url}: the data set {form.name!r} of {team} asks something else than clw.toml:\n"
                + "".join(f"  {each}\n" for each in differs)
                + "Argilla lets nobody change questions once they may be answered. Give the new set a name of its own "
                f"([labels.ask.{form.name}-2]), or take back what clw.toml says."
            )
        return self._dataset(self._up_to_date(form, there), team)

    def _parts(self, there: _DatasetThere) -> tuple[list[FieldThere], list[QuestionThere]]:
        fields = self.call("GET", f"datasets/{there.id}/fields", _Fields).items
        return fields, self.call("GET", f"datasets/{there.id}/questions", _Questions).items

    def _published(self, form: Form, team: str) -> _DatasetThere | None:
        """The published data set of this name, None where there is none.

        One that is half made is waited for, as another push may be at it, and deleted where a killed push left it.
        """
        seen, since = None, time.monotonic()
        while (there := self._there(form.name, team)) is not None and there.status != "ready":
            fields, questions = self._parts(there)
            about = there.guidelines is not None and there.guidelines != form.guidelines
            if other := [*strange(form, fields, questions), *(["its guidelines are others"] if about else [])]:
                raise LabelError(
                    f"{self.url}: a data set {form.name!r} of {team} is there that nobody has published, and it is not "
                    f"what clw.toml describes ({other[0]}).\nPublish or delete it there, if it is yours; or give the "
                    f"set a name of its own ([labels.ask.{form.name}-2])."
                )
            if seen != (seen := (there.id, len(fields), len(questions))):
                since = time.monotonic()
            elif time.monotonic() - since > LEFT_S:
                self.call("DELETE", f"datasets/{there.id}", type(None))
                return None
            time.sleep(LOOK_S)
        return there

    def _up_to_date(self, form: Form, there: _DatasetThere) -> _DatasetThere:
        if (there.guidelines or None) != form.guidelines:
            body: dict[str, object] = {"guidelines": form.guidelines}
            there = self.call("PATCH", f"datasets/{there.id}", _DatasetThere, json=body)
        if there.distribution.min_submitted != form.overlap:
            try:
                body = {"distribution": form.distribution}
                return self.call("PATCH", f"datasets/{there.id}", _DatasetThere, json=body)
            except Refused:
                raise LabelError(
                    f"{self.url}: {form.name!r} is answered by {there.distribution.min_submitted} annotators a record, "
                    f"and clw.toml says overlap = {form.overlap}.\nArgilla cannot change that once somebody "
                    f"has answered. Set it back, or give the set a name of its own ([labels.ask.{form.name}-2])."
                ) from None
        return there

    def _make(self, form: Form, team: str) -> Dataset:
        """Makes a data set, and takes it back where a part of it is refused."""
        body = {
            "name": form.name,
            "workspace_id": self.make_team(team),
            "allow_extra_metadata": False,
            "guidelines": form.guidelines,
            "distribution": form.distribution,
        }
        try:
            made = self.call("POST", "datasets", _DatasetThere, json=body)
        except Refused as error:
            if error.status in TAKEN and self._there(form.name, team):  # another push began it meanwhile
                return self.ensure(form, team)
            raise
        try:
            for part, rows in (
                ("fields", form.fields),
                ("questions", form.questions),
                ("metadata-properties", form.metadata),
            ):
                for row in rows:
                    self.call("POST", f"datasets/{made.id}/{part}", type(None), json=row)
            made = self.call("PUT", f"datasets/{made.id}/publish", _DatasetThere)
        except LabelError:
            self.call("DELETE", f"datasets/{made.id}", type(None))
            raise
        return self._dataset(made, team)
