"""The linter's rules on one gold query: each a function that yields what it found, as a sentence with what to do.

Most rules do not argue from the text but ask the database: a cut tie is one where the row behind the LIMIT is tied,
text sorted as text is a fault where its order differs from that of the numbers in it. A rule that cannot be checked
(a correlated subquery does not run alone) stays silent. Sets and files are `linting`'s part.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from labkit import probes
from labkit.canonical import silent_literals, sql_of
from labkit.execution import execute
from labkit.probes import ORDERED, Gold, brief
from labkit.quantities import is_clean_number, is_placeholder, sorts_wrongly
from labkit.reference import depends_on_clock_or_chance, references
from labkit.sqltext import parse

# --- the result -------------------------------------------------------------------------------------------------------


def does_not_run(gold: Gold) -> Iterator[str]:
    fault = gold.reference.fault
    if fault is not None and fault.reason in ("gold_error", "gold_limit", "gold_truncated"):
        yield f"{fault.detail} Correct the query."
    for sql in gold.question.alternatives:
        result = execute(gold.schema.database, sql)
        if not result.ok or result.truncated:
            yield f"The alternative {sql!r} does not run: {result.error or 'too many rows'}. Correct or drop it."


def unlike_stored_rows(gold: Gold) -> Iterator[str]:
    if gold.reference.fault is not None and gold.reference.fault.reason == "gold_rows":
        yield "The query's rows are not those stored in the field rows. Correct one of the two."


def empty_result(gold: Gold) -> Iterator[str]:
    if probes.ran(gold) and not gold.reference.result.rows and gold.question.rows != ():
        yield "The result is empty, which any impossible condition gives as well. Ask for something that is there."


def null_result(gold: Gold) -> Iterator[str]:
    rows = gold.reference.result.rows
    if probes.ran(gold) and rows and all(value is None for row in rows for value in row):
        yield "The result is NULL alone. Ask for something that is there."


def duplicate_rows(gold: Gold) -> Iterator[str]:
    rows = Counter(gold.reference.result.rows) if probes.ran(gold) else Counter()
    if rows and max(rows.values()) > 1:
        row, n = rows.most_common(1)[0]
        yield f"The row {row!r} comes {n} times. Add DISTINCT, or a column that tells the rows apart."


def scan_order(gold: Gold) -> Iterator[str]:
    if gold.reference.fault is not None and gold.reference.fault.reason == "scan_order":
        yield f"{gold.reference.fault.detail} Say in the query what decides."


def clock_or_chance(gold: Gold) -> Iterator[str]:
    if depends_on_clock_or_chance(gold.question.sql):
        yield "The query asks for the time, the date or chance: its answer changes. Write the day itself."


# --- LIMIT ------------------------------------------------------------------------------------------------------------


def ties_cut(gold: Gold) -> Iterator[str]:
    for sql, select in probes.limited(gold):
        fault = references(gold.schema.database, [replace(gold.question, sql=sql, rows=None, order=None)])[0].fault
        if select.args.get("order") and fault is not None and fault.reason == "tie_at_limit":
            yield "LIMIT cuts through rows that tie on ORDER BY. Add a sort key, or keep all that share the last place."


def limit_without_order(gold: Gold) -> Iterator[str]:
    for sql, select in probes.limited(gold):
        limit = parse(sql)
        if select.args.get("order") or limit is None or isinstance(select.parent, exp.Exists):
            continue
        limit = limit.copy()
        limit.set("limit", None), limit.set("offset", None)
        cut, whole = (execute(gold.schema.database, text) for text in (sql, sql_of(limit)))
        if cut.ok and whole.ok and len(set(whole.rows)) > len(set(cut.rows)):
            yield "LIMIT without ORDER BY keeps arbitrary rows. Say which ones with ORDER BY."


# --- numbers and texts ------------------------------------------------------------------------------------------------


def text_order(gold: Gold) -> Iterator[str]:
    """Numbers or dates held as text are sorted or compared as text."""
    for select, operand in probes.sorted_operands(gold):
        pair = None if probes.turns_into_text(operand) else sorts_wrongly(probes.operand_values(gold, select, operand))
        if pair:
            said = f"is compared as text: {pair[0]!r} comes before {pair[1]!r}"
            yield f"{brief(operand)} {said}. Turn it into a number or date."


def number_as_text(gold: Gold) -> Iterator[str]:
    """The reverse: what is a number is sorted as text, or a text is compared with a number."""
    for select, operand in probes.sorted_operands(gold):
        pair = sorts_wrongly(probes.operand_values(gold, select, operand)) if probes.turns_into_text(operand) else None
        if pair:
            said = f"makes text of numbers: {pair[0]!r} sorts before {pair[1]!r}"
            yield f"{brief(operand)} {said}. Sort the number itself."
    for select in gold.selects:
        for node in probes.compared(select, *ORDERED, exp.EQ, exp.NEQ):
            if probes.never_meets(gold, select, node):
                said = "compares a text with a number; SQLite converts neither, any text is greater"
                yield f"{brief(node)} {said}. Cast one of them."


def lossy_number(gold: Gold) -> Iterator[str]:
    """A cast, a sum or arithmetic over texts of which SQLite reads the first digits only: '$1,000' gives 0."""
    for select, inner, values in probes.numeric_readings(gold):
        bad = [v for v in values if not is_clean_number(v) and not is_placeholder(v)]
        if bad and not probes.read_in_parts(select, inner):
            yield f"{brief(inner)} holds {bad[0]!r}; as a number only its start is left. Clean the text first."


def integer_division(gold: Gold) -> Iterator[str]:
    for select in gold.selects:
        for node in probes.own_nodes(select, exp.Div):
            if probes.meant_whole(node, select):
                continue
            left, right = probes.without_brackets(node.this), probes.without_brackets(node.expression)
            kinds = [exp.Anonymous(this="typeof", expressions=[side.copy()]) for side in (left, right)]
            rest = exp.Mod(this=exp.Paren(this=left.copy()), expression=exp.Paren(this=right.copy()))
            inside = node.find_ancestor(exp.AggFunc, exp.Select) is not select
            rows = (
                gold.rows(select, [*kinds, rest], "" if inside or not probes.summarised(select) else "group having")
                or ()
            )
            if any(row[:2] == ("integer", "integer") and row[2] for row in rows):
                yield f"{brief(node)} divides whole numbers and drops the rest. Multiply by 1.0 first."
                return


# --- missing values ---------------------------------------------------------------------------------------------------


def missing_counted(gold: Gold) -> Iterator[str]:
    """A placeholder or NULL that is counted, summarised, grouped, sorted to the top, or that passes a comparison."""
    for _, inner, values in [*probes.numeric_readings(gold), *probes.counted(gold), *probes.passing(gold)]:
        bad = next((v for v in values if is_placeholder(v) and v not in gold.texts), None)
        if bad is not None:
            yield f"{brief(inner)} is {bad!r} in some of these rows, a missing value. Leave those rows out."
    for select, inner, values in probes.grouped_or_top(gold):
        bad = [
            v
            for v in values
            if (v is None and not probes.knows_null(select)) or (is_placeholder(v) and v not in gold.texts)
        ]
        if bad:
            shown = "NULL" if bad[0] is None else repr(bad[0])
            yield f"{brief(inner)} is {shown} in a row of the result: a missing value. Leave those rows out."


def null_in_not_in(gold: Gold) -> Iterator[str]:
    for select in gold.selects:
        for node in probes.own_nodes(select, exp.In):
            query = node.args.get("query")
            if isinstance(node.parent, exp.Not) and query is not None:
                result = execute(gold.schema.database, sql_of(query.unnest()))
                if result.ok and any(row[0] is None for row in result.rows):
                    yield "NOT IN over a list with a NULL is never true. Leave the NULLs of the subquery out."


# --- grouping and joining ---------------------------------------------------------------------------------------------


def bare_column(gold: Gold) -> Iterator[str]:
    """A column beside aggregates that the group does not determine: SQLite shows that of an arbitrary row."""
    for select in gold.selects:
        keys = select.args["group"].expressions if select.args.get("group") else []
        if not keys and not probes.summarised(select):
            continue
        for column in probes.bare_columns(select, keys):
            count = exp.Count(this=exp.Distinct(expressions=[column.copy()]))
            having = exp.Having(this=exp.GT(this=count, expression=exp.Literal.number(1)))
            if gold.rows(select, [exp.Count(this=exp.Star())], "group", having=having):
                yield f"{brief(column)} varies within a group; one of its values is shown. Group by it or summarise it."
                return


def fan_out(gold: Gold) -> Iterator[str]:
    """A sum or count over rows that a join repeats."""
    for select in gold.selects:
        tables = gold.tables(select)
        if len(tables) < 2 or not probes.summarised(select):
            continue
        for node in probes.own_nodes(select, exp.Sum, exp.Avg, exp.Count):
            if isinstance(node.this, exp.Distinct):
                continue
            named = sorted({column.table for column in node.find_all(exp.Column)} or tables)
            pairs = not node.find(exp.Column) and len(set(tables.values())) < len(tables)
            if not pairs and set(named) <= set(tables) and all(probes.multiplied(gold, select, a) for a in named):
                whose = " and ".join(tables[alias] for alias in named)
                yield f"The join repeats rows of {whose}, so {brief(node)} counts them twice. Summarise before joining."
                return


def quoted_text(gold: Gold) -> Iterator[str]:
    tree = parse(gold.question.sql)
    for column in silent_literals(tree, gold.schema) if tree is not None else ():
        yield f'"{column.name}" is no column, so SQLite takes it for a text. Use single quotes, or the real name.'


RULES = (
    *(does_not_run, unlike_stored_rows, empty_result, null_result, duplicate_rows, scan_order, clock_or_chance),
    *(ties_cut, limit_without_order, text_order, number_as_text, lossy_number, integer_division),
    *(missing_counted, null_in_not_in, bare_column, fan_out, quoted_text),
)
