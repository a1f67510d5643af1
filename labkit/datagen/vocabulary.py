"""What rows and numbers of things are called, in any kind of database: data for `lexicon` and `speaker`. Columns are in
`columns.txt`.
"""

# What one does with so many things.
COUNTED = """
points, goals, runs: scored / put up
assists: handed out / gave / dished out / had
rebounds: grabbed / pulled down / collected / had
titles, championships, trophies, medals, cups: won
wins, steals, hits: had / got
votes: got
orders: placed
books: wrote
saves, errors, sales, visits: made
"""

# What else a row may be called, for nouns of common tables.
SYNONYMS = """
player: man / athlete
team: club
arena: venue / hall / building
game: match
contract: deal
employee: staff member
customer: client / buyer
product: item / article
order: purchase
book: title
student: pupil
pet: animal
visit: appointment
"""

# Who has many of something.
DOERS = """
points: scorer
goals: scorer
rebounds: rebounder
assists: passer / playmaker
sales: seller
books: author
"""

# What is sold: numbers that are prices, tables whose rows are sales, numbers of things sold, and what they add up to.
PRICED = frozenset(("total", "amount", "subtotal", "price", "revenue", "paid", "cost"))
TRADES = frozenset(
    ("invoice", "order", "sale", "payment", "purchase", "transaction", "booking", "receipt", "bill", "ticket", "rental")
)
QUANTITIES = frozenset(("quantity", "qty", "units", "pieces"))
TAKINGS = ("revenue", "sales", "turnover", "total revenue", "total sales")
SPENT = ["total spend", "total spending", "money spent"]  # the same of those who pay

# Who gets things by a trade, and what that is called: verbs of the present and of the past.
BUYERS = frozenset(("customer", "client", "buyer", "shopper", "member", "guest", "user", "subscriber", "patron"))
BUY, BOUGHT = "(buy|purchase|buy)", "(bought|purchased|bought)"
DEALS = {
    "rental": ("rent", "rented"),
    "booking": ("book", "booked"),
    "order": ("(order|buy)", "(ordered|bought)"),
    "invoice": (BUY, BOUGHT),
    "sale": (BUY, BOUGHT),
    "purchase": (BUY, BOUGHT),
    "transaction": (BUY, BOUGHT),
    "receipt": (BUY, BOUGHT),
}

# Who makes things: those are 'by' them. And what sorts things: those are of it.
MAKERS = frozenset(("artist", "author", "writer", "composer", "singer", "band", "director", "painter", "poet", "brand"))
SORTS = frozenset(("genre", "category", "type", "kind", "style", "species", "format", "subject", "topic", "class"))

# What is done with the rows of a table on their date.
DONE = {
    "invoice": "issued", "bill": "issued", "receipt": "issued", "ticket": "issued", "order": "placed",
    "payment": "made", "purchase": "made", "sale": "made", "booking": "made", "transaction": "made",
    "game": "played", "match": "played",
}  # fmt: skip
