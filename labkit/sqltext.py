"""SQL as text: the same query under other spellings, without its literals, or token by token.

Two questions of the course need it: is this query the very text of that one (exact match), and was it seen in training
(overlap, skeletons). Nothing here knows a schema or runs a query; two texts that differ here may still mean the same.
"""

import re
import unicodedata
from functools import lru_cache

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

_MASK = "?"
SQLITE = Dialect.get_or_raise("sqlite")


@lru_cache(4096)
def tokens(sql: str) -> tuple[Token, ...]:
    """The query's tokens, () when it cannot be cut into any."""
    try:
        return tuple(SQLITE.tokenize(sql))
    except (SqlglotError, ValueError):
        return ()


@lru_cache(4096)
def outermost(sql: str) -> frozenset[TokenType]:
    """Kinds of the tokens outside all brackets: the clauses of the outermost query, whatever its subqueries have."""
    depth, kinds = 0, set()
    for token in tokens(sql):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0:
            kinds.add(token.token_type)
    return frozenset(kinds)


@lru_cache(4096)
def parse(sql: str) -> exp.Expression | None:
    """The query's syntax tree, None when sqlglot cannot read it as one query. Shared: copy it before changing it."""
    try:
        trees = [tree for tree in SQLITE.parser().parse(list(tokens(sql)), sql) if tree is not None]
    except (SqlglotError, RecursionError, ValueError):
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return None
    for node in trees[0].walk():  # comments, and where in the text a name stands: every copy of a tree would copy them
        node.comments = node._meta = None
    return trees[0]


@lru_cache(4096)
def normalise_text(sql: str) -> str:
    """The query's tokens: spaces, comments, case of words and a last semicolon don't count, the rest does.

    This is what exact match compares. A quoted name keeps its case and its kind of quotes, for SQLite may take "Ann" as
    a text. A text that cannot be cut into tokens is compared with its spaces normalised.
    """
    return " ".join(_tokens(sql, mask=False))


def normalise_sql(sql: str) -> str:
    """The query as sqlglot writes it, literals kept: other spellings, quotes and aliases are the same.

    This is what overlap compares, where equating too much is the safe side. Falls back to `normalise_text`.
    """
    return _canonical(sql, mask=False)


def skeleton(sql: str) -> str:
    """`normalise_sql` with every literal masked as `?`, a list of literals as one."""
    return _canonical(sql, mask=True)


@lru_cache(4096)
def normalise_question(text: str) -> str:
    """The words of a question: case, accents, punctuation, invisible characters and spaces don't count."""
    text = unicodedata.normalize("NFKD", text).casefold()
    kept = [c for c in text if not unicodedata.combining(c) and unicodedata.category(c) != "Cf"]
    return " ".join(re.findall(r"\w+|[<>=+$%]", "".join(kept))) or text.strip()


def _tokens(sql: str, mask: bool) -> list[str]:
    words = []
    for token in tokens(sql):
        if mask and token.token_type in _LITERALS:
            words.append(_MASK)
        elif token.token_type in _LITERALS or token.token_type == TokenType.IDENTIFIER:
            words.append(sql[token.start : token.end + 1])
        elif token.token_type in _SAME_SIGN:
            words.append(_SAME_SIGN[token.token_type])
        else:
            words.append(token.text.lower())
    while words and words[-1] == ";":
        words.pop()
    return words or sql.split()


_LITERALS = {TokenType.STRING, TokenType.NUMBER, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.BYTE_STRING}
_SAME_SIGN = {TokenType.EQ: "=", TokenType.NEQ: "<>"}


@lru_cache(8192)
def _canonical(sql: str, mask: bool) -> str:
    tree = parse(sql)
    if tree is None:
        return " ".join(_tokens(sql, mask))
    tree = tree.copy()
    try:
        for name in tree.find_all(exp.Identifier):
            name.set("this", name.name.lower())
            name.set("quoted", False)
        _rename_aliases(tree)
        if mask:
            _mask_literals(tree)
        return tree.sql(dialect=SQLITE, comments=False, normalize_functions="upper")
    except (SqlglotError, RecursionError, ValueError):
        return " ".join(_tokens(sql, mask))


def _rename_aliases(tree: exp.Expression) -> None:
    """Names that the writer chose are replaced: tables t1, t2 ... in the order they appear, columns c1, c2 ...

    A query of one table needs no table names; a column that is only named for display loses that name.
    """
    if isinstance(tree, exp.Select):
        _inline_output_names(tree)
    sources = list(tree.find_all(exp.Table, exp.Subquery, exp.CTE))
    alone = len(sources) == 1
    tables: dict[str, str] = {}
    for source in sources:
        if source.alias_or_name:
            tables.setdefault(source.alias_or_name, f"t{len(tables) + 1}")
    columns: dict[str, str] = {}
    for alias in tree.find_all(exp.Alias):
        columns.setdefault(alias.alias, f"c{len(columns) + 1}")
        alias.set("alias", exp.to_identifier(columns[alias.alias]))
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for source in sources:
        _rename_source(source, tables, ctes, alone)
    for column in tree.find_all(exp.Column):
        if alone or column.table not in tables:
            column.set("table", None if alone else column.args.get("table"))
        else:
            column.set("table", exp.to_identifier(tables[column.table]))
        if column.name in columns and isinstance(column.this, exp.Identifier) and (alone or not column.table):
            column.set("this", exp.to_identifier(columns[column.name]))


def _rename_source(source: exp.Expression, tables: dict[str, str], ctes: set[str], alone: bool) -> None:
    name = source.alias_or_name
    if isinstance(source, exp.Table) and source.name in ctes:
        source.set("this", exp.to_identifier(tables[source.name]))
    if alone:
        source.set("alias", None)
    elif name:
        alias = source.args.get("alias") or exp.TableAlias()
        alias.set("this", exp.to_identifier(tables[name]))
        source.set("alias", alias)


def _inline_output_names(select: exp.Select) -> None:
    """`SELECT count(*) AS n ... ORDER BY n` becomes `SELECT COUNT(*) ... ORDER BY COUNT(*)`; so does `ORDER BY 1`."""
    values = [item.unalias() for item in select.expressions]
    named = {item.alias: item.this for item in select.expressions if isinstance(item, exp.Alias)}
    for part in filter(None, (select.args.get(key) for key in ("order", "having", "group"))):
        for column in list(part.find_all(exp.Column)):
            if not column.table and column.name in named:
                column.replace(named[column.name].copy())
        for item in part.expressions:
            place = item.this if isinstance(item, exp.Ordered) else item
            if isinstance(place, exp.Literal) and place.is_int and 0 < int(place.name) <= len(values):
                place.replace(values[int(place.name) - 1].copy())
    select.set("expressions", values)


def _mask_literals(tree: exp.Expression) -> None:
    for literal in list(tree.find_all(exp.Literal, exp.HexString)):
        positions = isinstance(literal.parent, (exp.Ordered, exp.Group))
        if not positions:
            target = literal.parent if isinstance(literal.parent, exp.Neg) else literal
            target.replace(exp.Var(this=_MASK))
    for inside in tree.find_all(exp.In):
        if inside.expressions and all(isinstance(e, exp.Var) for e in inside.expressions):
            inside.set("expressions", [exp.Var(this=_MASK)])
