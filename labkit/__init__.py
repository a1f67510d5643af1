"""labkit: the kit of the course. Its verbs, each imported on first use so that ``import labkit`` is light and quiet.

>>> import labkit
>>> labkit.execute("datasets/league/league.sqlite", "SELECT count(*) FROM teams").rows  # doctest: +SKIP
((24,),)
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME_OF = {
    "LabkitError": "errors",
    "execute": "execution",
    "execute_many": "execution",
    "Limits": "execution",
    "ExecutionResult": "execution",
    "read_schema": "schema",
    "excluding": "exclusion",
    "Question": "dataset",
    "QuestionSet": "dataset",
    "load_questions": "dataset",
    "save_questions": "dataset",
    "score": "scoring",
    "score_many": "scoring",
    "evaluate": "evaluation",
    "compare": "evaluation",
    "ladder": "ladders",
    "diagnose": "diagnosis",
    "diagnose_run": "diagnosis",
    "lint": "linting",
    "RunStore": "runs",
    "ask": "agent",
    "Agent": "agent",
    "SqlGenerator": "agent",
    "ReplyGenerator": "agent",
    "RerankedGenerator": "reranking",
    "load_model": "models",
    "tune": "tuning",
    "Recipe": "tuning",
    "forget": "tuning.remember",
    "join": "tuning.joining",
    "remember": "tuning.remember",
    "tune_channel": "tuning.channel",
    "tune_encoder": "tuning.contrastive",
    "merge": "tuning.merge",
    "to_gguf": "tuning.export",
    "fetch_model": "models",
    "next_token_distribution": "decoding",
    "Endpoint": "endpoint",
    "doctor": "hardware",
    "generate": "datagen",
    "from_queries": "datagen",
    "random_facts": "datagen.facts",
    "progress": "course.standing",
    "setup": "course.places",
}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name not in _HOME_OF:
        raise AttributeError(f"labkit has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"labkit.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
