#!/usr/bin/env python3
"""Render the chat templates of our tests with Jinja2, as Hugging Face sets it up.

    pip install jinja2
    scripts/render_chats.py > tokenize/tests/chat/expected.json

For each template and conversation: the text, and the characters within `generation` blocks; or what
the template raised.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """The block `{% generation %}`, which tells where in the text it was written."""

    tags = {"generation"}

    def __init__(self, environment):
        super().__init__(environment)
        environment.stretches = []

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller):
        # A mark that no text holds; what stands between two of them is learnt.
        return "\U0010fffc" + caller() + "\U0010fffd"


class Refused(Exception):
    pass


def raise_exception(text):
    raise Refused(text)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = datetime.date(2024, 7, 26).strftime
    return made


def rendered(template, talk):
    try:
        text = template.render(
            messages=talk["messages"],
            tools=talk.get("tools"),
            documents=None,
            add_generation_prompt=False,
            bos_token="<s>",
            eos_token="</s>",
        )
    except Refused as refused:
        return {"refused": str(refused)}
    except jinja2.TemplateError as wrong:
        return {"error": str(wrong)}
    parts = text.split("\U0010fffc")
    learnt = [part.split("\U0010fffd")[0] for part in parts[1:]]
    plain = text.replace("\U0010fffc", "").replace("\U0010fffd", "")
    return {"text": plain, "learnt": learnt} if learnt else {"text": plain}


def main():
    folder = pathlib.Path(__file__).parent.parent / "tokenize/tests/chat"
    talks = json.loads((folder / "conversations.json").read_text())
    expected = {}
    for path in sorted(folder.glob("*.jinja")):
        template = environment().from_string(path.read_text())
        expected[path.stem] = {name: rendered(template, talk) for name, talk in talks.items()}
    json.dump(expected, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
