#!/usr/bin/env python3
"""Compare the chat templates that are compiled in with the templates of models.

    pip install jinja2
    scripts/check_chat_templates.py                         # the models of MODELS, from the hub
    scripts/check_chat_templates.py qwen3=path/to/model     # a folder with tokenizer_config.json
    scripts/check_chat_templates.py qwen3=trl/chat_templates/qwen3.jinja   # as the package `trl` has them

Both are rendered as `transformers` does, with the settings of `render_chats.py`, on conversations with
system turns, tools, results, thoughts and several turns. Where the texts are the same, `ratdata sft`
takes the family's marks; where they differ, it searches for the turns. A conversation that both refuse
is the same, too, and one that only the family writes is no difference: it is more tolerant of null. Exits with status 1 if a model's template writes no conversation as its family does.
"""
import argparse
import json
import pathlib
import sys
import urllib.error
import urllib.request

import jinja2

import render_chats

FAMILIES = pathlib.Path(__file__).parent.parent / "configs/chat"
HUB = "https://huggingface.co"

# Models that need no agreement to a licence.
MODELS = {
    "chatml": ["NousResearch/Hermes-2-Pro-Mistral-7B", "HuggingFaceTB/SmolLM-135M-Instruct"],
    "deepseek": ["deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-V3"],
    "gemma": ["unsloth/gemma-2-2b-it"],
    "glm-4.5": ["zai-org/GLM-4.5", "zai-org/GLM-4.6"],
    "gpt-oss": ["openai/gpt-oss-20b"],
    "llama-3": ["NousResearch/Meta-Llama-3-8B-Instruct"],
    "llama-3.1": ["NousResearch/Meta-Llama-3.1-8B-Instruct"],
    "mistral": ["unsloth/Mistral-Small-3.1-24B-Instruct-2503"],
    "phi-3": ["microsoft/Phi-3.5-mini-instruct"],
    "phi-4": ["microsoft/phi-4"],
    "qwen2.5": ["Qwen/Qwen2.5-0.5B-Instruct"],
    "qwen3": ["Qwen/Qwen3-0.6B"],
}

CALL = {
    "id": "abcdefghi",
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "Oslo", "days": 2}},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
TEXT_CALL = {
    "id": "abcdefghi",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
MORE_TOOLS = TOOLS + [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Look for \u201cwords\u201d",
            "parameters": {
                "type": "object",
                "properties": {
                    "words": {"type": "array", "items": {"type": "string"}, "description": "What for"},
                    "most": {"type": "integer", "default": 3},
                    "near": {"type": "boolean"},
                    "order": {"type": "string", "enum": ["new", "old"], "default": "new"},
                },
                "required": ["words"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "description": "The time"}},
]
THOUGHT = "<think>\n{}\n</think>\n\n{}"


def say(*turns):
    """Make messages of texts, of which the user has the first one."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(turns)
    ]


SYSTEM = [{"role": "system", "content": "Be brief."}]
TALKS = {
    "one turn": {"messages": say("hi", "hello")},
    "two turns": {"messages": say("hi", "hello", "and you?", "well\n")},
    "system": {"messages": SYSTEM + say("hi", "hello", "bye", "bye")},
    "thoughts": {"messages": say("2+2?", THOUGHT.format("add", "4"), "3+3?", THOUGHT.format("add", "6"))},
    "tools": {
        "messages": SYSTEM
        + say("The weather of Oslo?")
        + [
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "It rains."},
        ],
        "tools": TOOLS,
    },
    # DeepSeek's and gpt-oss' templates want other forms of calls and thoughts.
    "calls as text": {
        "messages": say("The weather of Oslo and Rome?")
        + [
            {"role": "assistant", "content": None, "tool_calls": [TEXT_CALL, TEXT_CALL]},
            {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"},
            {"role": "tool", "content": "sun", "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "It rains there, and not here."},
            {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": "I see.", "tool_calls": [TEXT_CALL]},
            {"role": "tool", "content": "snow", "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "It snows."},
        ],
    },
    "thinking": {
        "messages": SYSTEM
        + say("2+2?", "4", "3+3?")
        + [{"role": "assistant", "content": "6", "thinking": "add", "reasoning_content": "add"}],
    },
    "open call": {
        "messages": say("The weather of Oslo?")
        + [
            {"role": "assistant", "content": "", "thinking": "ask", "tool_calls": [CALL]},
            {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"},
        ],
        "tools": MORE_TOOLS,
    },
    "results": {
        "messages": SYSTEM
        + say("The weather of Oslo and Rome?")
        + [
            {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]},
            {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"},
            {"role": "tool", "content": "sun", "tool_call_id": "abcdefghi"},
            {"role": "assistant", "content": "It rains there."},
            {"role": "user", "content": "Thanks"},
            {"role": "assistant", "content": "Bye"},
        ],
        "tools": MORE_TOOLS,
    },
}


def template_of(place):
    """Read a template file, or the template of a folder or of a model on the hub; and BOS and EOS."""
    if place.endswith(".jinja"):
        return pathlib.Path(place).read_text(), "<s>", "</s>"

    def read(name):
        if pathlib.Path(place).is_dir():
            path = pathlib.Path(place) / name
            return path.read_text() if path.is_file() else None
        try:
            with urllib.request.urlopen(f"{HUB}/{place}/resolve/main/{name}", timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as wrong:
            if wrong.code == 404:
                return None
            raise

    config = json.loads(read("tokenizer_config.json") or "{}")
    template = read("chat_template.jinja") or config.get("chat_template")
    if isinstance(template, list):
        template = next(named["template"] for named in template if named["name"] == "default")
    tokens = [config.get(name) or "" for name in ("bos_token", "eos_token")]
    # A token is its text, or a table with it.
    bos, eos = (token["content"] if isinstance(token, dict) else token for token in tokens)
    return template, bos, eos


def rendered(template, talk, bos, eos):
    """Write a conversation; refusals and failures are all one."""
    try:
        text = template.render(
            **talk, documents=None, add_generation_prompt=False, bos_token=bos, eos_token=eos
        )
    except (jinja2.TemplateError, render_chats.Refused, TypeError):
        return None
    return text.replace("\U0010fffc", "").replace("\U0010fffd", "")


def compare(family, place):
    source, bos, eos = template_of(place)
    theirs = render_chats.environment().from_string(source)
    ours = render_chats.environment().from_string(
        (FAMILIES / f"{family}.jinja").read_text()
    )
    same = 0
    for name, talk in TALKS.items():
        one, other = (rendered(template, talk, bos, eos) for template in (theirs, ours))
        equal = one == other
        same += equal and one is not None
        told = "same" if equal else "refused by the model's" if one is None else "differs"
        print(f"{family:10} {place:44} {name:13} {told}")
        if not equal and one is not None:
            print(f"  model:  {one!r}\n  family: {other!r}")
    return same > 0


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("models", nargs="*", metavar="FAMILY=MODEL")
    models = options.parse_args().models
    pairs = [tuple(model.split("=", 1)) for model in models] or [
        (family, place) for family, places in MODELS.items() for place in places
    ]
    good = True
    for family, place in pairs:
        try:
            good &= compare(family, place)
        except (OSError, TypeError) as wrong:
            print(f"{family:10} {place:44} not compared: {wrong}")
            good &= not models
    sys.exit(not good)


if __name__ == "__main__":
    main()
