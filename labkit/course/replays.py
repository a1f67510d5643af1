"""A recorded ladder: what a learner takes who chooses to skip the wait of Lab 3 (`REPLAY = True`).

`make artifacts ARTIFACTS_ARGS=lab03` keeps what each rung answered on the real model, and the tokens of its prompts.
Only the writing is skipped: the answers are scored here and now, as runs of the learner's store that say "replayed".
Seconds and memory were another machine's and are not told. Other weights than those that answered are refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit.course.places import Recording, datasets, read_recording
from labkit.dataset import QuestionSet
from labkit.errors import LabkitError
from labkit.evaluation import evaluate
from labkit.ladders import Ladder, Rung
from labkit.runs import RunStore

_ANSWER = "Set REPLAY = False: the lab then asks your model here."


def replayed_ladder(
    model, questions: QuestionSet, rungs: Sequence[str], store: RunStore | None = None, folder: Path | None = None
) -> Ladder:
    """The ladder of `rungs` (names) on `questions`, from the recordings in `folder` (default: the league's), a file a
    rung. `model` is the learner's: LabkitError when other weights answered, or a rung or a question was not recorded.
    """
    folder = folder or datasets() / "league" / "runs" / "ladder"
    recordings = {name: _recording(folder / f"{name}.jsonl", name, model, questions) for name in rungs}
    climbed = []
    for name, recording in recordings.items():
        replayed = replace(recording, prompt=f"{name}, replayed")
        run = evaluate(replayed, questions, store=store, progress=False)
        climbed.append(Rung(name, run, recording.prompt_tokens, None, None))
    first = recordings[rungs[0]]
    label = f"REPLAYED, not answered here: {first.model} (weights {first.sha256[:12]}), recorded {first.date},"
    return Ladder(questions.name, "execution", label, tuple(climbed))


def _recording(path: Path, rung: str, model, questions: QuestionSet) -> Recording:
    """The recording of one rung, fit for `model` and for all of `questions`."""
    if not path.is_file():
        raise LabkitError(f"The kit carries no recorded answers for the rung {rung!r}. {_ANSWER}")
    recording = read_recording(path)
    if recording.sha256 != model.sha256:
        raise LabkitError(
            f"The recorded ladder was made on {recording.model} with the hash {recording.sha256[:12]}; your model is "
            f"{model.name} with {model.sha256[:12]}. {_ANSWER}"
        )
    lacking = [question.id for question in questions if question.id not in recording.predictions]
    if lacking:
        raise LabkitError(
            f"The recorded ladder has no answer to {len(lacking)} of {len(questions)} questions, such as "
            f"{lacking[0]}. {_ANSWER}"
        )
    return recording
