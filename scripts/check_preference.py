#!/usr/bin/env python3
"""Checks that `ratdata sft` gives preference pairs the ids that the package trl gives them.

usage: check_preference.py --program target/debug/ratdata [--venv DIR]

Pairs of texts and of conversations, with a prompt of their own and without one, are encoded by both, with two tokenizers and
the chat templates of several families. trl's part is what its DPOTrainer does with a row: `extract_prompt` where no column
has the prompt, then the ids of the prompt, and of the prompt with each answer, parted where they begin to differ. The ids of
prompt and answers must be the same. What is trained on differs, as the check expects: trl trains on all that follows the
prompt, and ratdata neither on the white space or the EOS that a template writes behind the end of an answer (as Phi-3's does),
nor on the user's turns within an answer.

Without `--venv` a venv is made in the program's folder. Where that cannot be done, one line says so, and the exit status is 0.
"""

import argparse
import array
import json
import pathlib
import subprocess
import sys
import tempfile

from venv_of_check import Skipped, venv_python

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKENIZERS = {"sample": "demo/tokenizer/tokenizer.json", "tiny": ROOT / "tokenize/examples/tiny/tokenizer.json"}
FAMILIES = ["chatml", "gemma", "llama-3", "phi-3", "qwen2.5", "qwen3"]
# Without its dependencies, which are gigabytes: only the functions that prepare data are run.
PACKAGES = ["transformers>=4.56", "datasets", "jinja2", "pandas"]
TRL = ["--no-deps", "trl>=1"]

TEXTS = [
    {"prompt": "What is one and one?\n", "chosen": "It is two.", "rejected": "Three, perhaps"},
    {"prompt": "The city of", "chosen": " Oslo is in the north", "rejected": " nowhere"},
]
ALIKE = [
    {"chosen": "Human: why?\n\nAssistant: It rains today", "rejected": "Human: why?\n\nAssistant: Who knows"},
]


def say(role, content):
    return {"role": role, "content": content}


ASKED = [say("user", "hi"), say("assistant", "hello"), say("user", "and you?")]
CHOSEN, REJECTED = [say("assistant", "well, thank you")], [say("assistant", "no")]
CONVERSATIONS = [
    {"prompt": ASKED, "chosen": CHOSEN, "rejected": REJECTED},
    {"chosen": ASKED + CHOSEN, "rejected": ASKED + REJECTED},
    {"prompt": ASKED[:1], "chosen": CHOSEN + ASKED[2:] + CHOSEN, "rejected": REJECTED},
]

# Run by the venv's Python: rows in, ids out.
THEIRS = """
import json, sys
from transformers import PreTrainedTokenizerFast
from trl.data_utils import _tokenize, common_prefix_length, extract_prompt, is_conversational
asked = json.load(sys.stdin)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_file=asked["tokenizer"], bos_token=asked["bos"], eos_token=asked["eos"], chat_template=asked["template"])
made = []
for row in asked["rows"]:
    row = row if "prompt" in row else {**row, **extract_prompt(row)}
    add = {}
    if is_conversational(row):
        add = {"add_generation_prompt": True}
    else:
        row = {**row, "chosen": row["chosen"] + asked["eos"], "rejected": row["rejected"] + asked["eos"]}
    prompt = _tokenize(tokenizer, row["prompt"], **add)["input_ids"]
    both = [_tokenize(tokenizer, row["prompt"] + row[side])["input_ids"] for side in ("chosen", "rejected")]
    length = min(common_prefix_length(prompt, ids) for ids in both)
    made.append([prompt[:length], both[0][length:], both[1][length:]])
json.dump(made, sys.stdout)
"""


class Side:
    """The rows of one side of the pairs, read without a package."""

    def __init__(self, folder, split):
        manifest = json.loads((folder / "manifest.json").read_text())
        [shard] = manifest["splits"][split]["shards"]
        read = lambda name: (folder / shard[name]["path"]).read_bytes()
        ids = array.array({"u16": "H", "u32": "I"}[manifest["dtype"]], read("bin"))
        ends, mask = array.array("Q", read("idx")), read("mask")
        trained = [bool(mask[at // 8] >> at % 8 & 1) for at in range(len(ids))]
        starts = [0, *ends][:-1]
        self.rows = [(list(ids[a:b]), trained[a:b]) for a, b in zip(starts, ends)]


def ours(program, folder, rows, tokenizer, family):
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [program, "sft", "--task", "preference", "--input", "rows.jsonl", "--out", "out", "--force", "--quiet"]
    command += ["--tokenizer", tokenizer, "--max-length", "4096"]
    command += ["--chat-template", family] if family else []
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    sides = [Side(folder / "out", f"train-{side}").rows for side in ("chosen", "rejected")]
    return list(zip(*sides)), json.loads((folder / "out" / "manifest.json").read_text())["tokenizer"]


def check(python, program, folder, rows, name, family):
    tokenizer = folder / TOKENIZERS[name]
    pairs, record = ours(program, folder, rows, str(tokenizer), family)
    file = json.loads(tokenizer.read_text())
    # BOS comes from templates; `sft` puts none before texts, as its tasks do not.
    file["post_processor"] = None
    plain = folder / f"{name}.json"
    plain.write_text(json.dumps(file))
    pieces = {id: piece for piece, id in file["model"]["vocab"].items()}
    pieces.update({token["id"]: token["content"] for token in file["added_tokens"]})
    template = (ROOT / f"configs/chat/{family}.jinja").read_text() if family else None
    asked = {"tokenizer": str(plain), "template": template, "rows": rows}
    asked.update(eos=pieces[record["eos"]], bos=pieces.get(record["bos"]))
    done = subprocess.run([python, "-c", THEIRS], input=json.dumps(asked), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    good = True
    for row, pair, (prompt, *answers) in zip(rows, pairs, json.loads(done.stdout)):
        for (ids, trained), answer in zip(pair, answers):
            same = ids == prompt + answer
            asked = trained.index(True)
            # Of several turns, those of the user are not trained on.
            single = not isinstance(row["chosen"], list) or sum(one["role"] == "assistant" for one in row["chosen"]) == 1
            behind = ids[len(ids) - trained[::-1].index(True) :]
            blank = all(id == record["eos"] or pieces[id].strip("▁Ċ\nĠ ") == "" or pieces[id] == "<0x0A>" for id in behind)
            masked = asked == len(prompt) and blank and (not single or all(trained[asked : len(ids) - len(behind)]))
            if not (same and masked) and good:
                good = False
                print(f"{name} {family or 'texts'}: differs: {row}\n  ratdata: {ids}\n           trained from {asked}")
                print(f"  trl:     {prompt} + {answer}")
    print(f"{name:8} {family or 'texts':8} {len(rows)} pairs: {'same' if good else 'DIFFERENT'}")
    return good


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--program", type=pathlib.Path, required=True)
    options.add_argument("--venv", type=pathlib.Path)
    args = options.parse_args()
    program = args.program.resolve()
    try:
        python = venv_python(args, "venv-preference", "transformers, datasets, jinja2", PACKAGES)
        has_trl = subprocess.run([python, "-c", "import trl.data_utils"], capture_output=True).returncode == 0
        if not has_trl:
            install = [python, "-m", "pip", "install", "--quiet", *TRL]
            done = subprocess.run(install, capture_output=True, text=True, timeout=300)
            probe = subprocess.run([python, "-c", "import trl.data_utils"], capture_output=True, text=True)
            if done.returncode or probe.returncode:
                raise Skipped(f"trl cannot be imported: {(done.stderr + probe.stderr).strip().splitlines()[-1]}")
    except (Skipped, OSError, subprocess.SubprocessError) as wrong:
        print(f"preference pairs not compared with trl: {wrong}")
        return
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, "sample", "--out", "demo", "--quiet"], cwd=folder, check=True)
        for tokenizer in TOKENIZERS:
            good &= check(python, program, folder, TEXTS, tokenizer, None)
            good &= check(python, program, folder, ALIKE, tokenizer, None)
            for family in FAMILIES:
                good &= check(python, program, folder, CONVERSATIONS, tokenizer, family)
    sys.exit(not good)


if __name__ == "__main__":
    main()
