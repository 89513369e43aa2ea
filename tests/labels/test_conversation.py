import json

from clworkbench.labels.conversation import MOST, answer, chat, spoken, tools


def message(role="user", content=None, **more):
    return {
        "role": role,
        "content": content,
        "tool_calls": None,
        "tool_call_id": None,
        "name": None,
        "parts": None,
    } | more


CALL = {"id": "c1", "name": "get_weather", "arguments": '{"city": "Paris"}'}


def test_a_conversation_tells_who_said_what_which_tools_were_called_and_what_they_gave():
    shown = chat(
        [
            message("system", "Be brief."),
            message("user", "Weather?"),
            message("assistant", "Let me look.", tool_calls=[CALL]),
            message("tool", "12 °C", tool_call_id="c1"),
            message("tool", "raining", tool_call_id="unknown"),
        ],
        "i1",
    )
    assert shown == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": 'Let me look.\n→ calls get_weather({"city": "Paris"})'},
        {"role": "result of get_weath…", "content": "12 °C"},
        {"role": "tool result", "content": "raining"},
    ]
    assert all(len(each["role"]) <= 20 for each in shown)


def test_long_arguments_stand_on_several_lines_and_broken_ones_as_they_are():
    long = {"id": "c", "name": "book", "arguments": json.dumps({"from": "a" * 50, "to": "b" * 50})}
    torn = {"id": "d", "name": "book", "arguments": '{"from": '}
    assert chat([message("assistant", None, tool_calls=[long, torn])], "i")[0]["content"] == (
        '→ calls book({\n  "from": "' + "a" * 50 + '",\n  "to": "' + "b" * 50 + '"\n})\n→ calls book({"from": )'
    )


def test_a_message_without_text_says_so_and_a_conversation_without_messages_too():
    assert chat([message("user", "")], "i") == [{"role": "user", "content": "(no text)"}]
    assert chat(None, "i") == [{"role": "conversation", "content": "(no text)"}]
    assert chat([], "i") == [{"role": "conversation", "content": "(no text)"}]


def test_pictures_and_reasoning_are_named():
    parts = json.dumps(
        [{"type": "text", "content": "look"}, {"type": "blob", "modality": "image"}, {"type": "reasoning"}]
    )
    assert chat([message("user", "look", parts=parts)], "i")[0]["content"] == (
        "look\n[blob, image: not shown here]\n[reasoning: not shown here]"
    )
    assert chat([message("user", "look", parts="{torn")], "i")[0]["content"] == "look"


def test_of_more_messages_than_argilla_takes_the_system_prompt_and_the_last_ones_are_shown():
    shown = chat([message("system", "rules"), *(message("user", f"turn {n}") for n in range(800))], "i9")
    assert len(shown) == MOST == 500
    assert shown[0] == {"role": "system", "content": "rules"}
    assert shown[1] == {"role": "left out", "content": "[302 messages are left out here; the whole: interaction i9]"}
    assert [shown[2]["content"], shown[-1]["content"]] == ["turn 302", "turn 799"]


def test_every_message_is_escaped_and_bounded():
    shown = chat([message("user", "<b>" * 20_000)], "i")
    assert "<" not in shown[0]["content"]
    assert len(shown[0]["content"]) <= 20_000


def test_an_answer_of_one_message_is_its_text_and_of_several_all_of_them():
    assert answer([message("assistant", "Yes.")]) == "Yes."
    several = [message("assistant", None, tool_calls=[CALL]), message("tool", "12 °C"), message("assistant", "Cold.")]
    assert answer(several) == '→ calls get_weather({"city": "Paris"})\n\n[tool result]\n12 °C\n\nCold.'
    assert spoken(several) == "Cold."
    assert spoken([message("assistant", None, tool_calls=[CALL])]) == spoken(None) == ""


def test_tools_are_a_line_each_in_either_spelling_and_what_is_no_json_is_shown_as_it_is():
    openai = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}, "b": {}}}}}]
    semantic = [{"type": "function", "name": "g", "description": "Says <hi>"}, {"odd": 1}]
    assert tools(json.dumps(openai + semantic), "i") == 'f(a, b)\ng(): Says &lt;hi>\n{"odd": 1}'
    assert tools("not json", "i") == "not json"
    assert tools(None, "i") is tools("", "i") is tools("[]", "i") is None


def test_of_more_text_than_a_page_holds_the_system_prompt_and_the_last_messages_are_shown():
    shown = chat([message("system", "rules"), *(message("user", f"{n:03}" + "x" * 19_900) for n in range(100))], "i9")
    assert shown[0]["content"] == "rules"
    assert shown[1] == {"role": "left out", "content": "[80 messages are left out here; the whole: interaction i9]"}
    assert [each["content"][:3] for each in shown[2:]] == [f"{n:03}" for n in range(80, 100)]


def test_exactly_as_many_messages_as_argilla_takes_are_all_shown():
    assert len(chat([message("user", str(n)) for n in range(500)], "i")) == 500
    shown = chat([message("user", str(n)) for n in range(501)], "i")
    assert len(shown) == 500
    assert shown[0]["content"].startswith("[2 messages are left out here")
    assert shown[1]["content"] == "2"


def test_what_hides_in_arguments_and_roles_is_written_out():
    half = {"id": "c", "name": "f", "arguments": '{"a": "\\ud83d"}'}
    (shown,) = chat([message("us\u202eer", None, tool_calls=[half])], "i")
    assert shown == {"role": "us⟨U+202E⟩er", "content": '→ calls f({"a": "⟨U+D83D⟩"})'}
