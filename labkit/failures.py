"""The classes of failure: their names, what each means, what to try; and which class a difference of two pieces of
SQL is.

Invalid queries are classed by SQLite's own message (`invalid_class`), malformed ones by the pieces that differ
(`difference_class`). Which of several differences is to blame is not decided here but by execution, in `diagnosis`.
"""

import re

from sqlglot import exp

from labkit.canonical import conjuncts, is_join_condition, sql_of
from labkit.schema import PLACEHOLDERS

HINTS = {
    "invalid_column": "It invented a column. Put the schema into the prompt, or train on questions with the real one.",
    "invalid_table": "It invented a table. Put the schema into the prompt, or train on questions about this table.",
    "invalid_function": "SQLite has no such function, or not there. Teach the SQLite way in a few examples.",
    "invalid_syntax": "SQLite cannot parse it. More examples in SQLite's dialect, or a retry that shows it the error.",
    "invalid_format": "The reply is not one SELECT. Ask for SQL alone, check how it is cut out, tune the format.",
    "runaway": "It was stopped by a limit. Look for a join without its condition, or for recursion without an end.",
    "malformed_join": "Wrong tables, or joined wrongly. Teach the foreign keys: examples that cross these tables.",
    "malformed_aggregate": "It summarises by another function. Teach the words: how many, total, average, most.",
    "malformed_group": "It groups by something else. Teach 'per', 'each', 'by': what one row of the answer stands for.",
    "malformed_filter": "The condition is another one. Teach at least, over, and/or/not, and which column is meant.",
    "malformed_value": "Right column, wrong literal. Teach the stored values and their format, or look them up.",
    "malformed_null": "Missing values are treated differently. Teach what stands for 'missing' in this column.",
    "malformed_type": "Unit, type or precision is off. Teach the stored format and what turns it into a number.",
    "malformed_distinct": "Repeated rows are kept or dropped wrongly. Teach when a question asks for different things.",
    "malformed_order": "The rows are sorted differently. Teach highest, oldest, latest, and their directions.",
    "malformed_limit": "Another number of rows is cut off. Teach 'the', 'top five', 'second', and what a tie does.",
    "malformed_projection": "It shows other columns. Teach to answer with what was asked for, no more and no less.",
    "suspect_gold": "Look at the reference first: it may be the one that is wrong. Run the linter on the question set.",
    "other_text": "The answer is right, only the text is another. Count it with execution or semantic match.",
}
# Where several clauses must change together, the first of these names the failure: the rest often follows from it.
PRIORITY = [
    "malformed_join",
    "malformed_aggregate",
    "malformed_group",
    "malformed_filter",
    "malformed_value",
    "malformed_null",
    "malformed_type",
    "malformed_distinct",
    "malformed_order",
    "malformed_limit",
    "malformed_projection",
]


def first_class(classes) -> str:
    """The class among several that comes first in `PRIORITY`, "" for none."""
    return min(classes, key=PRIORITY.index, default="")


# --- invalid ----------------------------------------------------------------------------------------------------------

_MESSAGES = {
    "invalid_column": r"no such column|ambiguous column|cannot join using column",
    "invalid_table": r"no such table",
    "invalid_function": r"no such function|wrong number of arguments|misuse of (aggregate|window)|window function"
    r"|use function|DISTINCT is not supported|DISTINCT aggregates|FILTER clause|no such collation",
}


def invalid_class(prediction: str, message: str) -> str:
    """The class of a prediction that does not run.

    A text that does not begin as a query, or holds a second statement, is `invalid_format`. Otherwise SQLite's message
    decides, also for what another dialect would accept: `YEAR(d)` is "no such function", `EXTRACT(YEAR FROM d)` and
    `x::int` are syntax errors.
    """
    if not looks_like_query(prediction):
        return "invalid_format"
    for name, pattern in _MESSAGES.items():
        if re.search(pattern, message, re.IGNORECASE):
            return name
    return (
        "invalid_format" if re.search(r"not authori[sz]ed|not allowed|forbidden|refused", message) else "invalid_syntax"
    )


def looks_like_query(text: str) -> bool:
    """Whether a text is at least meant as one query: begins with SELECT, WITH or VALUES, nothing after a semicolon."""
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    begins = re.match(r"[\s(]*(select|with|values)\b", bare, re.IGNORECASE)
    return bool(begins) and not re.search(r";\s*[^\s;]", bare) and "\0" not in text


# What another database would call by these names, and how SQLite writes it.
FOREIGN = {
    r"::|\b(TO_NUMBER|PARSE_INT|SAFE_CAST|TRY_CAST|CONVERT)\s*\(": "SQLite casts with CAST(x AS INTEGER) or REAL",
    r"\bTOP\s+\d|\bFETCH\s+(FIRST|NEXT)\b|\bROWNUM\b": "SQLite puts LIMIT n at the end",
    r"\bILIKE\b|\bSIMILAR\s+TO\b": "LIKE in SQLite takes upper and lower case as the same",
    r"\b(EXTRACT|DATE_PART|DATEPART|YEAR|MONTH|DAY|DATE_FORMAT|TO_CHAR|TO_DATE|STR_TO_DATE|DATE_TRUNC)\s*\(": (
        "for dates stored as YYYY-MM-DD SQLite has strftime('%Y', x), for others substr"
    ),
    r"\b(DATEDIFF|DATE_ADD|DATEADD|DATE_SUB|AGE)\s*\(|\bINTERVAL\b": "SQLite has julianday(x) and date(x, '+1 day')",
    r"\b(NOW|GETDATE|CURDATE)\s*\(": "SQLite has date('now'), but a question should name its day",
    r"\b(ISNULL|NVL)\s*\(": "SQLite has ifnull(x, y) and coalesce(x, y)",
    r"\b(LEN|CHAR_LENGTH)\s*\(": "SQLite has length(x)",
    r"\b(LEFT|RIGHT|MID|SPLIT_PART|SUBSTRING_INDEX)\s*\(|\bSUBSTRING\s*\([^)]*\bFROM\b": (
        "SQLite has substr(x, start, length) and instr(x, y)"
    ),
    r"\b(STDDEV\w*|VARIANCE|VAR_POP|VAR_SAMP)\s*\(": "avg(x * x) - avg(x) * avg(x) is the variance",
    r"\b(LPAD|RPAD)\s*\(": "SQLite has printf('%05d', x)",
    r"\b(LISTAGG|ARRAY_AGG)\s*\(": "SQLite has group_concat(x, ', ')",
    r"\bREGEXP\w*\b|\bRLIKE\b": "SQLite has LIKE and GLOB",
    r"\b(QUALIFY|PIVOT|LATERAL|ROLLUP)\b": "SQLite has no such clause; a subquery can do it",
}


def foreign_hint(prediction: str) -> str:
    """How SQLite writes what the prediction writes in another dialect, "" when nothing of the kind is found."""
    found = [advice for pattern, advice in FOREIGN.items() if re.search(pattern, prediction, re.IGNORECASE)]
    return f"This is another database's dialect: {found[0]}." if found else ""


# --- malformed --------------------------------------------------------------------------------------------------------

_UNITS = (12, 2.54, 30.48, 39.37, 3.2808, 2.20462, 16, 60, 24, 3600, 1440, 7, 365, 365.25, 100, 1000, 1e6, 1.609344)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Glob, exp.In, exp.Is)
_TEXT_CASE = (exp.Lower, exp.Upper, exp.Trim, exp.Collate)


def difference_class(prediction: exp.Expression | None, gold: exp.Expression | None, default: str) -> str:
    """What kind of mistake makes `prediction` out of `gold`, two pieces of SQL that stand in the same place.

    `default` is the class of the clause, for when the pieces have little in common or one of them (None) is missing.
    """
    if prediction is None or gold is None:
        return _one_sided_class(prediction or gold, default)
    if aggregates(prediction) != aggregates(gold):
        return _aggregate_class(aggregates(prediction), aggregates(gold))
    if _masked(prediction) == _masked(gold):
        return _literal_class(_literals(prediction), _literals(gold))
    if is_missing_check(prediction) or is_missing_check(gold) or _count(_NULL_TOOLS, prediction, gold):
        return "malformed_null"
    if _columns(prediction) != _columns(gold):
        return default
    if _operators(prediction) != _operators(gold):
        return default if default != "malformed_projection" else "malformed_filter"
    if _count((exp.Add,), prediction, gold) and _count((exp.Sub,), prediction, gold):
        return default  # a sum for a difference is no matter of units
    return "malformed_value" if _count(_TEXT_CASE, prediction, gold) else "malformed_type"


def is_missing_check(part: exp.Expression) -> bool:
    """Whether a condition asks if a value is missing: compares with NULL or with placeholders alone ('--', 'NA')."""
    inner = part.this if isinstance(part, exp.Not) else part
    if not isinstance(inner, (exp.Is, exp.EQ, exp.NEQ, exp.In)):
        return False
    values = inner.expressions if isinstance(inner, exp.In) else [inner.expression]
    return bool(values) and all(isinstance(v, exp.Null) or _is_placeholder(v) for v in values)


def aggregates(piece: exp.Expression) -> list[tuple[str, bool, bool]]:
    """Aggregate functions of a piece outside of subqueries: name, whether DISTINCT, whether of `*`. MAX(a, b) is
    none.
    """
    found = []
    for node in _own(piece):
        name = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
        scalar = isinstance(node, (exp.Max, exp.Min)) and node.expressions
        if (
            (isinstance(node, exp.AggFunc) or name == "total")
            and not scalar
            and not isinstance(node.parent, exp.Window)
        ):
            found.append((name, isinstance(node.this, exp.Distinct), isinstance(node.this, exp.Star)))
    return sorted(found)


_NULL_TOOLS = (exp.Coalesce, exp.Nullif, exp.Null)


def _one_sided_class(piece: exp.Expression, default: str) -> str:
    if is_missing_check(piece):
        return "malformed_null"
    return "malformed_join" if is_join_condition(piece) else default


def _aggregate_class(prediction: list, gold: list) -> str:
    if [name for name, _, _ in prediction] != [name for name, _, _ in gold]:
        return "malformed_aggregate"
    same_distinct = [d for _, d, _ in prediction] == [d for _, d, _ in gold]
    return "malformed_null" if same_distinct else "malformed_distinct"


def _literal_class(prediction: list[exp.Expression], gold: list[exp.Expression]) -> str:
    """Same shape, other literals: a unit or type where one is the other converted, else the value."""
    for a, b in zip(prediction, gold, strict=False):
        if a == b or len(prediction) != len(gold):
            continue
        if _is_placeholder(a) or _is_placeholder(b):
            return "malformed_null"
        x, y = _number(a), _number(b)
        compared = a.find_ancestor(*COMPARISONS) is not None
        if x is not None and y is not None and (x == y or not compared or _is_unit(x, y)):
            return "malformed_type"
    return "malformed_value"


def _is_unit(x: float, y: float) -> bool:
    small, large = sorted((abs(x), abs(y)))
    return small > 0 and any(abs(large / small / unit - 1) < 0.015 for unit in _UNITS if unit > 2)


def _is_placeholder(value: exp.Expression) -> bool:
    return isinstance(value, exp.Literal) and value.is_string and value.name.strip().casefold() in PLACEHOLDERS


def _number(literal: exp.Expression) -> float | None:
    try:
        return float(literal.name)
    except ValueError:
        return None


def _masked(piece: exp.Expression) -> str:
    copy = exp.Paren(this=piece.copy())
    for node in list(copy.find_all(exp.In)):
        if node.expressions and all(isinstance(v, exp.Literal) for v in node.expressions):
            node.replace(exp.EQ(this=node.this.copy(), expression=exp.Literal.number(0)))
    for literal in list(copy.find_all(exp.Literal)):
        literal.replace(exp.Placeholder())
    return sql_of(copy)


def _literals(piece: exp.Expression) -> list[exp.Expression]:
    return list(piece.find_all(exp.Literal))


def _columns(piece: exp.Expression) -> set[tuple[str, str]]:
    return {(column.table, column.name) for column in piece.find_all(exp.Column)}


def _operators(piece: exp.Expression) -> list[str]:
    return sorted(node.key for node in piece.find_all(*COMPARISONS, exp.Or, exp.Not))


def _count(types: tuple, *pieces: exp.Expression) -> bool:
    """Whether the pieces hold different numbers of nodes of these types."""
    return len({len(list(piece.find_all(*types))) for piece in pieces}) > 1


def _own(piece: exp.Expression):
    """The nodes of a piece without those of its subqueries."""
    return piece.walk(prune=lambda node: isinstance(node, exp.Select) and node is not piece)


def conditions_class(prediction: exp.Expression | None, gold: exp.Expression | None) -> str:
    """The class of a whole condition (WHERE, HAVING, ON) that differs in several parts."""
    return first_class(e for e in (difference_class(p, g, "malformed_filter") for p, g in aligned(prediction, gold)))


def aligned(prediction: exp.Expression | None, gold: exp.Expression | None) -> list[tuple]:
    """Parts of two conditions that differ, in pairs over the same columns; None where one has no partner."""
    left, right = conjuncts(prediction), conjuncts(gold)
    for part in list(left):
        if part in right:
            left.remove(part), right.remove(part)
    pairs = []
    for part in list(left):
        same = [other for other in right if _columns(other) == _columns(part)]
        best = [other for other in same if _operators(other) == _operators(part)] or same
        if best:
            pairs.append((part, best[0]))
            left.remove(part), right.remove(best[0])
    return pairs + [(part, None) for part in left] + [(None, part) for part in right]
