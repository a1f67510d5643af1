"""Wrong answers to the exercises of Lab 4: each must be rejected."""

import re
from dataclasses import replace

from labkit.course import lab04
from labkit.sqltext import normalise_question, normalise_sql

NAMES = {"re": re, "normalise_question": normalise_question, "normalise_sql": normalise_sql}
kind_of, texts_of, keep, near = lab04._stored_kind, lab04._wordings, lab04._keep, lab04._near_duplicate


def _known(values, missing=(None, "", "--")):
    return [value for value in values if value not in missing]


def _matching(values, how):
    """Kinds by patterns that are looked for in another way than over the whole value."""
    patterns = {
        "money": r"\$\d",
        "length": r"\d+' \d+\"",
        "weight": r"\d+ lb",
        "date": r"\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d",
    }
    known = _known(values)
    return next((kind for kind, p in patterns.items() if known and all(how(p, v) for v in known)), "text")


STORED_KIND = {
    "always text": lambda values: "text",
    "always money": lambda values: "money",
    "the first value": lambda values: kind_of(_known(values)[:1]),
    "the last value": lambda values: kind_of(_known(values)[-1:]),
    "any value": lambda values: next((k for v in values if (k := kind_of([v])) != "text"), "text"),
    "missing values count": lambda values: kind_of(["x" if v in (None, "", "--") else v for v in values]),
    "dashes count": lambda values: kind_of(["x" if v == "--" else v for v in values]),
    "empty texts count": lambda values: kind_of(["x" if v == "" else v for v in values]),
    "NULL counts": lambda values: kind_of(["x" if v is None else v for v in values]),
    "all of nothing": lambda values: kind_of(values) if _known(values) else "money",
    "nothing is empty": lambda values: kind_of(values) if _known(values) else "empty",
    "the beginning": lambda values: _matching(values, re.match),
    "anywhere": lambda values: _matching(values, re.search),
    "no cents": lambda values: "text" if any("." in str(v) for v in values) else kind_of(values),
    "no ISO dates": lambda values: "text" if any(re.match(r"\d{4}-", str(v)) for v in values) else kind_of(values),
    "ISO dates only": lambda values: "text" if any("/" in str(v) for v in values) else kind_of(values),
    "one comma": lambda values: "text" if any(str(v).count(",") > 1 for v in values) else kind_of(values),
    "weights are lengths": lambda values: kind_of(values).replace("weight", "length"),
    "years are dates": lambda values: "date" if values == ["2031", "1999"] else kind_of(values),
    "a list": lambda values: [kind_of(values)],
    "none": lambda values: None,
}
WORDINGS = {
    "as it is": lambda template: [template],
    "the first only": lambda template: texts_of(template)[:1],
    "the last only": lambda template: texts_of(template)[-1:],
    "one fewer": lambda template: texts_of(template)[:-1] or [template],
    "twice": lambda template: texts_of(template) * 2,
    "twice where a bracket is": lambda template: texts_of(template) + texts_of(template)[: template.count("[very] [v")],
    "brackets dropped": lambda template: [re.sub(r"[()\[\]]", "", template)],
    "options always": lambda template: texts_of(template.replace("[", "").replace("]", "")),
    "options never": lambda template: texts_of(re.sub(r"\[.*?\]", "", template)),
    "choices stay": lambda template: texts_of(template.replace("(", "").replace(")", "")),
    "blanks stay": lambda template: [f" {text}" for text in texts_of(template)],
    "blanks go": lambda template: [text.replace(" ", "") for text in texts_of(template)],
    "small letters": lambda template: [text.lower() for text in texts_of(template)],
    "one text": lambda template: " / ".join(texts_of(template)),
    "a count": lambda template: len(texts_of(template)),
    "words": lambda template: [text.split() for text in texts_of(template)],
    "none": lambda template: None,
}
KEEP = {
    "everything": lambda r: True,
    "nothing": lambda r: False,
    "what ran": lambda r: not r.error,
    "what has rows": lambda r: bool(r.rows),
    "errors": lambda r: keep(replace(r, error=None)),
    "cut rows": lambda r: keep(replace(r, truncated=False)),
    "a bare 0": lambda r: True if r.rows in (((0,),), ((0.0,),)) else keep(r),
    "falsy values": lambda r: keep(r) and any(v for row in r.rows for v in row),
    "no falsy value": lambda r: keep(r) and all(v for row in r.rows for v in row),
    "any NULL": lambda r: keep(r) and all(v is not None for row in r.rows for v in row),
    "first row": lambda r: keep(replace(r, rows=r.rows[:1])) and keep(r),
    "first column": lambda r: keep(r) and any(row[0] is not None for row in r.rows),
    "one row": lambda r: keep(r) and len(r.rows) == 1,
    "19 rows": lambda r: keep(r) and len(r.rows) < 20,
    "21 rows": lambda r: keep(replace(r, rows=r.rows[:20])) if len(r.rows) == 21 else keep(r),
    "no 1": lambda r: keep(r) and r.rows != ((1,),),
    "NULL stays": lambda r: True if r.rows and all(v is None for row in r.rows for v in row) else keep(r),
    "the other way": lambda r: not keep(r),
    "none": lambda r: None,
}


def _words(text):
    return set(re.findall(r"[\w']+", text.lower()))


def _share(bound, over=lambda a, b: len(a | b), words=_words):
    """Near duplicates by another bound, another denominator or other words; numbers as they should be."""

    def judged(a, b):
        first, second = words(a), words(b)
        if any(sign.isdigit() for word in first ^ second for sign in word):
            return False
        return len(first & second) / over(first, second) >= bound

    return judged


NEAR_DUPLICATE = {
    "the same text": lambda a, b: a == b,
    "the same words": lambda a, b: _words(a) == _words(b),
    "always": lambda a, b: True,
    "never": lambda a, b: False,
    "half": _share(0.5),
    "0.7": _share(0.7),
    "0.8": _share(0.8),
    "more than 0.75": _share(0.751),
    "0.78": _share(0.78),
    "of the shorter": _share(0.75, lambda a, b: min(len(a), len(b))),
    "of the longer": _share(0.75, lambda a, b: max(len(a), len(b))),
    "Dice": _share(0.75, lambda a, b: (len(a) + len(b)) / 2),
    "capitals count": _share(0.75, words=lambda text: set(re.findall(r"[\w']+", text))),
    "signs count": _share(0.75, words=lambda text: set(text.lower().split())),
    "letters": _share(0.75, words=lambda text: set(text.lower())),
    "numbers do not count": lambda a, b: len(_words(a) & _words(b)) / len(_words(a) | _words(b)) >= 0.75,
    "no numbers at all": lambda a, b: near(a, b) and not re.search(r"\d", a + b),
    "years only": lambda a, b: (
        len(_words(a) & _words(b)) / len(_words(a) | _words(b)) >= 0.75
        and re.findall(r"\d{4}", a) == re.findall(r"\d{4}", b)
    ),
    "the share": lambda a, b: len(_words(a) & _words(b)) / len(_words(a) | _words(b)),
    "none": lambda a, b: None,
}


def _by(question=normalise_question, query=normalise_sql, both=False):
    """Leaks by other spellings of question and query (None: it is not looked at)."""

    def found(pairs, evaluation):
        same = []
        for pair in pairs:
            tests = [any(question(pair.question) == question(q.question) for q in evaluation)] if question else []
            tests += [any(query(pair.sql) == query(q.sql) for q in evaluation)] if query else []
            if (all if both else any)(tests):
                same.append(pair.id)
        return same

    return found


LEAKS = {
    "questions only": _by(query=None),
    "queries only": _by(question=None),
    "both at once": _by(both=True),
    "questions as they are": _by(question=str),
    "queries as they are": _by(query=str),
    "small letters": _by(question=str.lower),
    "queries in small letters": _by(query=str.lower),
    "no literals": _by(query=lambda sql: re.sub(r"'.*?'", "?", normalise_sql(sql))),
    "the table": _by(query=lambda sql: "teams" in sql),
    "first words": _by(question=lambda text: text.split()[:3]),
    "none leak": lambda pairs, evaluation: [],
    "all leak": lambda pairs, evaluation: [pair.id for pair in pairs],
    "the others": lambda pairs, evaluation: [p.id for p in pairs if p.id not in lab04._leaks(pairs, evaluation)],
    "backwards": lambda pairs, evaluation: lab04._leaks(pairs, evaluation)[::-1],
    "sorted": lambda pairs, evaluation: sorted(lab04._leaks(pairs, evaluation)),
    "pairs, not ids": lambda pairs, evaluation: [p for p in pairs if p.id in lab04._leaks(pairs, evaluation)],
    "a count": lambda pairs, evaluation: len(lab04._leaks(pairs, evaluation)),
    "the first question": lambda pairs, evaluation: lab04._leaks(pairs, evaluation[:1]),
    "ids of the evaluation": lambda pairs, evaluation: [q.id for q in evaluation if lab04._leaks(pairs, [q])],
    "none": lambda pairs, evaluation: None,
}

WRONG = {
    "lab04.stored_kind": STORED_KIND,
    "lab04.wordings": WORDINGS,
    "lab04.keep": KEEP,
    "lab04.near_duplicate": NEAR_DUPLICATE,
    "lab04.leaks": LEAKS,
}
