"""Real text for pretraining `mini`, from files the user has: SQuAD's training contexts and IMDB's training reviews.

    python experiments/mini/real_text.py squad=train-v1.1.json.gz imdb=train.csv.gz out=real.txt

Documents are parted by blank lines. Every other SQuAD paragraph stands with one of its questions before it and
the answer marked, in the form of the generated documents. Evaluation files are not to be given here.
"""

import csv
import gzip
import sys
from pathlib import Path

from gpt2lab.data.synthetic.squad import marked
from gpt2lab.task.squad_rows import DROPPED, read_squad


def main(arguments: list[str]) -> None:
    """Write the documents of the files named."""
    values = dict(a.split("=", 1) for a in arguments)
    count = 0
    with Path(values["out"]).open("w", encoding="utf-8") as out:
        previous = None
        for row in read_squad(values["squad"]):
            if row["problem"] in DROPPED or row["context"] == previous:
                continue
            previous, context = row["context"], " ".join(row["context"].split())
            if count % 2:
                question, begin = row["question"].strip(), row["answers"]["answer_start"][0]
                context = f"{question}\n{' '.join(marked(row['context'], begin).split())}"
            out.write(context + "\n\n")
            count += 1
        with gzip.open(values["imdb"], "rt", encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                out.write(" ".join(record["text"].replace("<br />", " ").split()) + "\n\n")
                count += 1
    print(f"{values['out']}: {count:,} documents")


if __name__ == "__main__":
    main(sys.argv[1:])
