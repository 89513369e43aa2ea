"""A server that was restarted in the middle of a rollout moves no running conversation to the other model."""

from datetime import UTC, datetime

from clworkbench.loop.releases.rollout import advance, begin
from clworkbench.serving.chat.routing import Router, recalled, state
from tests.serving.made_traffic import traffic, workspace_for_rollouts

NEW, OLD = "release:new", "release:old"
T0 = datetime(2026, 1, 5, tzinfo=UTC)


def test_conversations_keep_the_model_they_began_with_over_a_restart_and_a_new_stage(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_KEY", "07" * 32)
    place = workspace_for_rollouts(tmp_path / "w")
    place.catalog.set_champion(OLD, "first release, ungated")
    begin(place, NEW, OLD, at=T0)
    traffic(place, 20, since=T0, good=lambda _: 0.9, name="early")
    advance(place, "a test", at=T0)
    before = Router(*state(place))
    drawn = {f"some {number}": before.draw(f"some {number}") for number in range(200)}
    until = traffic(place, 200, since=T0, good=lambda _: 0.9, name="some")
    advance(place, "a test", at=until)

    fresh = Router(*state(place))
    kept = recalled(place, fresh.rollout)
    assert kept == drawn  # and nobody of the shadow stage, in which nothing was drawn
    moved = [name for name, was in drawn.items() if fresh.draw(name).model != was.model]
    assert 20 < len(moved) < 80  # a quarter: from 25 % to 50 %

    restarted = Router(*state(place))
    for conversation, was in kept.items():
        restarted.remember(conversation, was)
    assert {name: restarted.draw(name) for name in drawn} == drawn
