#!/usr/bin/env python3
"""Checks the files of `ratdata card` with the programs that read them: mlcroissant, and YAML as the hub reads it.

usage: check_card.py CARD_FOLDER

It needs `pip install mlcroissant pyyaml`. The metadata must load without an error, its records must be readable, and the
card must begin with the YAML that the hub knows.
"""

import pathlib
import sys

import mlcroissant
import yaml

KEYS = {"pretty_name", "license", "language", "size_categories", "task_categories", "tags"}


def main():
    folder = pathlib.Path(sys.argv[1])
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    for warning in sorted(issues.warnings):
        print(f"warning: {warning}")
    if issues.errors:
        sys.exit(f"check_card: {sorted(issues.errors)}")
    records = list(dataset.records(record_set="splits"))
    files = dataset.metadata.distribution
    print(f"croissant.json: {len(files)} files, {len(records)} splits: {records}")
    if not records or any(len(file.sha256) != 64 for file in files):
        sys.exit("check_card: no splits, or a file without its SHA-256")

    front = (folder / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    card = yaml.safe_load(front)
    unknown = set(card) - KEYS
    if unknown:
        sys.exit(f"check_card: README.md has the keys {sorted(unknown)}, which the hub does not know")
    print(f"README.md: {card}")


if __name__ == "__main__":
    main()
