"""The tokenizer: GPT-2's byte-level BPE, read from either form, trained the same way every time."""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
from pathlib import Path

import pytest

from gpt2lab.errors import UserError
from gpt2lab.model.tokenizer import END, fingerprint, load_tokenizer, train_bpe

WORDS = ["the", "river", "Danube", "flows", "past", "seven", "old", "towns", "naïve", "1864", "don't"]


def texts() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=30)) + "." for _ in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bpe") / "made"
    train_bpe(iter(texts()), 300, out)
    return out


@pytest.fixture
def two_files(folder: Path, tmp_path: Path) -> Path:
    """The same vocabulary in GPT-2's older form: vocab.json and merges.txt."""
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    return tmp_path


def test_trained_vocabulary_has_the_size_asked_for_and_every_byte(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    assert len(tokenizer) == 300
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids(END) == 0
    strange = "Ω≈ç\t\x07 🙂\n  two  spaces, ending <|endoftext|"
    assert tokenizer.decode(tokenizer(strange)["input_ids"]) == strange


def test_the_first_merge_is_the_most_frequent_pair(folder: Path) -> None:
    """Against a plain count of adjacent bytes inside GPT-2's words (a word keeps the space before it)."""
    pairs: dict[str, int] = {}
    for text in texts():
        for word in re.findall(r"'t| ?[^\W\d]+| ?\d+|\.", text):
            # byte-level names: of a space, and of the two bytes of ï
            symbols = word.replace(" ", "Ġ").replace("ï", "Ã¯")
            for left, right in itertools.pairwise(symbols):
                pairs[f"{left} {right}"] = pairs.get(f"{left} {right}", 0) + 1
    first = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"][0]
    assert pairs[first if isinstance(first, str) else " ".join(first)] == max(pairs.values())


def test_training_depends_on_the_texts_and_not_on_their_order(folder: Path, tmp_path: Path) -> None:
    shuffled = texts()
    random.Random(1).shuffle(shuffled)
    train_bpe(iter(shuffled), 300, tmp_path / "shuffled")
    train_bpe(iter(texts()[:20]), 300, tmp_path / "fewer")
    assert fingerprint(tmp_path / "shuffled") == fingerprint(folder)
    assert fingerprint(tmp_path / "fewer") != fingerprint(folder)


def test_both_forms_of_a_tokenizer_agree(folder: Path, two_files: Path) -> None:
    one, two = load_tokenizer(folder), load_tokenizer(two_files)
    text = f"The Danube flows past  seven naïve towns.{END} don't"
    encoded = one(text, return_offsets_mapping=True)
    assert encoded == two(text, return_offsets_mapping=True)
    assert encoded["input_ids"].count(one.eos_token_id) == 1
    assert len(two) == 300 and two.pad_token_id == two.eos_token_id


def test_offsets_tile_the_text_each_word_with_its_leading_space(folder: Path, two_files: Path) -> None:
    text = "The Danube flows past  seven old towns."
    for tokenizer in (load_tokenizer(folder), load_tokenizer(two_files)):
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        assert "".join(text[start:end] for start, end in offsets) == text


def test_same_as_transformers_own_gpt2_tokenizer(two_files: Path) -> None:
    from transformers import GPT2Tokenizer

    reference = GPT2Tokenizer.from_pretrained(two_files)
    for text in [*texts()[:5], "  leading and trailing  ", "tabs\tand\n\nnewlines", "don't we'll 1864,5"]:
        assert load_tokenizer(two_files)(text)["input_ids"] == reference(text)["input_ids"]


def test_truncation_saved_in_the_file_does_not_cut_texts(folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = texts()[0]
    assert load_tokenizer(tmp_path).backend_tokenizer.encode(text).ids == load_tokenizer(folder)(text)["input_ids"]


def test_fingerprint_follows_content_and_not_place(folder: Path, two_files: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert fingerprint(copy) == fingerprint(folder) != fingerprint(two_files)
    (copy / "README.md").write_text("not read")
    assert fingerprint(copy) == fingerprint(folder)


def test_a_renamed_end_token_is_taken_from_the_tokenizers_config(folder: Path, tmp_path: Path) -> None:
    text = (folder / "tokenizer.json").read_text(encoding="utf-8").replace(END, "</s>")
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="no end-of-text token"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "</s>"}}')
    assert load_tokenizer(tmp_path).eos_token == "</s>"


def test_a_folder_that_is_not_there_is_named_with_its_nearest_neighbour(folder: Path) -> None:
    with pytest.raises(UserError, match=r"mde does not exist \(did you mean .*made\?\)"):
        load_tokenizer(folder.parent / "mde")
    with pytest.raises(UserError, match="is a file, not a folder"):
        load_tokenizer(folder / "tokenizer.json")


def test_a_folder_without_a_whole_tokenizer_is_an_error(two_files: Path) -> None:
    (two_files / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"neither tokenizer.json nor vocab.json with merges.txt"):
        load_tokenizer(two_files)
    with pytest.raises(UserError, match="neither"):
        fingerprint(two_files)


def test_a_garbled_file_is_an_error_of_one_line(two_files: Path) -> None:
    (two_files / "vocab.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"vocab.json and merges.txt cannot be read") as caught:
        load_tokenizer(two_files)
    assert "\n" not in str(caught.value)


def test_a_vocabulary_smaller_than_the_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 257"):
        train_bpe(iter(["a"]), 256, tmp_path)
