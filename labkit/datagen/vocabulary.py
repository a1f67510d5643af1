"""How people speak of columns with common names, in any kind of database: data for `lexicon`, in no particular order.

A heading is the last word or words of a column's name; then a line a form, its alternatives between slashes. `named`:
names in place of the column's own; `nouns`: further ones; `ask`: questions for it of {x}; `verbs` take its value;
`high`, `low`: adjectives for much and little with their comparative and superlative; `best`, `worst`: superlatives
alone; `participle` of a year or date, `ranked` of a rank; `equal_...`: the value {v} as head noun, adjective, behind
the noun, as a verb phrase of the plural. COUNTED: what one does with so many things.
SYNONYMS: what else a row is called.
"""

COLUMNS = """
== height
ask: how tall is {x} / how tall is {x} / what height is {x}
verbs: stand
high: tall, taller, tallest
low: short, shorter, shortest
low: small, smaller, smallest
== weight
ask: how heavy is {x} / how much does {x} weigh / what does {x} weigh
verbs: weigh
high: heavy, heavier, heaviest
low: light, lighter, lightest
== length
ask: how long is {x}
high: long, longer, longest
low: short, shorter, shortest
== duration
ask: how long (is {x}|does {x} take)
high: long, longer, longest
low: short, shorter, shortest
== milliseconds
named: length / duration
nouns: running time
ask: how long is {x}
high: long, longer, longest
low: short, shorter, shortest
== seconds
named: duration / length
ask: how long (is|was) {x}
high: long, longer, longest
low: short, shorter, shortest
== speed
ask: how fast is {x}
high: fast, faster, fastest
low: slow, slower, slowest
== age
ask: how old is {x}
high: old, older, oldest
low: young, younger, youngest
== birth
nouns: date of birth / birthday / birth date
ask: when was {x} born / when is {x}'s birthday / on (what|which) (day|date) was {x} born
high: young, younger, youngest
low: old, older, oldest
participle: born
== birth year
nouns: year of birth
ask: (when|in what year) was {x} born
high: young, younger, youngest
low: old, older, oldest
participle: born
== salary
nouns: pay
ask: (how much|what) does {x} (earn|make) / (what|how much) is {x} paid
ask: (what|how much) does {x} (get|earn) a year / how much money does {x} (make|earn)
verbs: earn / make
best: best-paid / highest-paid / top-earning / best paid
worst: worst-paid / lowest-paid
== wage
nouns: pay
ask: (how much|what) does {x} (earn|make)
verbs: earn / make
best: best-paid
worst: worst-paid
== price
nouns: cost
ask: how much (is {x}|does {x} cost) / what does {x} cost
verbs: cost
high: expensive, more expensive, most expensive
low: cheap, cheaper, cheapest
== cost
nouns: price
ask: how much does {x} cost / what does {x} cost
verbs: cost
high: expensive, more expensive, most expensive
low: cheap, cheaper, cheapest
== fee
nouns: charge
ask: how much (was|is) {x} / what (did|does) {x} cost / what was charged for {x}
verbs: cost
high: expensive, more expensive, most expensive
low: cheap, cheaper, cheapest
== amount
ask: how much (was|is) {x}
high: large, larger, largest
high: big, bigger, biggest
low: small, smaller, smallest
== capacity
nouns: seating capacity
ask: how many (people|seats|spectators) does {x} (hold|have)
ask: how many (people|spectators|fans) (fit into|can sit in) {x} / how big is {x}
ask: how many can {x} (seat|hold)
verbs: hold / seat
high: large, larger, largest
high: big, bigger, biggest
low: small, smaller, smallest
== population
ask: how many people live in {x}
high: large, larger, largest
high: big, bigger, biggest
low: small, smaller, smallest
== area
ask: how (big|large) is {x}
high: large, larger, largest
high: big, bigger, biggest
low: small, smaller, smallest
== size
ask: how (big|large) is {x}
high: large, larger, largest
high: big, bigger, biggest
low: small, smaller, smallest
== attendance
nouns: crowd / number of spectators
ask: how many (people|fans) (saw|watched|attended|came to) {x} / how big was the crowd at {x}
verbs: drew a crowd of
== city
ask: where is {x} [based] / (which|what) city is {x} (in|from|based in) / in (which|what) city is {x}
ask: where can I find {x}
equal_post: in {v} / in {v} / from {v} / based in {v}
equal_verb: are (based in|from|in) {v}
== town
ask: where does {x} live / (which|what) town (is {x} from|does {x} live in)
equal_post: (from|in) {v} / living in {v}
equal_verb: live in {v} / are from {v}
== country
ask: where is {x} from / (which|what) country is {x} from
equal_post: from {v} / in {v}
equal_verb: are from {v}
== state
equal_post: in {v} / from {v}
equal_verb: are in {v}
== region
equal_post: in {v} / from {v}
equal_verb: are in {v}
== location
ask: where is {x}
equal_post: in {v}
equal_verb: are in {v}
== college
nouns: school
ask: where did {x} go to (college|school) / (which|what) college did {x} (attend|go to|come from|play at)
ask: where did {x} play college ball / (which|what) college is {x} from
equal_post: from {v} / out of {v} / who (went to|attended) {v}
equal_verb: (attended|went to) {v} / (played at|came from|came out of|studied at) {v} / have {v} as their college
== school
ask: (which|what) school did {x} (attend|go to)
equal_post: from {v}
equal_verb: (attended|went to) {v}
== university
ask: (which|what) university did {x} (attend|go to)
equal_post: from {v}
equal_verb: (attended|went to) {v}
== conference
ask: (which|what) conference (is {x} in|does {x} play in)
equal_post: in the {v} / in the {v}[ern] conference / from the {v} / of the {v}
equal_verb: (play|are) in the {v} [conference]
== division
equal_post: in the {v} [division]
equal_verb: are in the {v} division
== department
equal_post: in [the] {v} [department]
equal_verb: (work|are) in [the] {v}
== league
equal_post: in the {v}
equal_verb: play in the {v}
== position
nouns: role
ask: (which|what) position does {x} (play|have) / (which|what) position is {x}
ask: where does {x} play on the (floor|court|field)
== breed
ask: what breed is {x}
== species
nouns: kind / kind of animal
ask: what (species|kind of animal) is {x}
== genre
equal_adjective: {v}
== status
equal_adjective: {v}
equal_post: that are {v} / with status {v}
equal_verb: are {v}
== reason
ask: (what was the reason for|why was) {x}
equal_adjective: {v}
equal_post: for {v} / because of {v}
equal_verb: were for {v}
== coach
nouns: head coach
ask: who coaches {x} / who is [the] [head] coach of {x} / who is in charge of {x} / who (runs|leads) {x}
ask: whom does {x} have as coach / who's coaching {x}
equal_post: coached by {v} / under {v} / of coach {v}
equal_verb: are coached by {v} / have {v} as [their] coach / play under {v}
== manager
ask: who manages {x}
equal_post: managed by {v}
equal_verb: are managed by {v}
== director
ask: who directed {x}
equal_post: directed by {v}
equal_verb: were directed by {v}
== author
ask: who wrote {x}
equal_post: by {v} / written by {v}
equal_verb: were written by {v}
== vet
nouns: veterinarian
ask: (who|which vet) (saw|treated) {x}
equal_post: with {v} / by {v} / to {v}
equal_verb: were (with|handled by) {v}
== doctor
ask: (who|which doctor) treated {x}
equal_post: with {v}
equal_verb: were with {v}
== phone
nouns: phone number / number / telephone number
ask: how can (I|we) (reach|call|phone) {x} / what number can I call {x} on
== email
nouns: email address
ask: how can (I|we) email {x}
== jersey
nouns: jersey number / shirt number / number
ask: (what|which) number does {x} wear / (which|what) jersey [number] does {x} (wear|have)
ask: (what|which) number is on {x}'s (back|shirt|jersey)
verbs: wear
== rating
ask: how is {x} rated
best: best-rated / top-rated
worst: worst-rated
== founded
named: founding year / year of foundation / year founded
ask: (when|in what year|what year) (was|were) {x} founded / (since when|since what year) does {x} exist
ask: when did {x} start out
high: young, younger, youngest
high: new, newer, newest
low: old, older, oldest
participle: founded
== opened
named: opening year / year of opening / year opened
ask: (when|in what year|what year) (did {x} open|was {x} opened) / since when is {x} open
high: new, newer, newest
low: old, older, oldest
participle: opened
== built
named: year of construction
ask: when was {x} built
high: new, newer, newest
low: old, older, oldest
participle: built
== signed
named: signing date / date of signing / date signed
ask: when was {x} signed
participle: signed
== hired
named: hiring date / hire date
ask: when was {x} hired
participle: hired
== played on
named: date / day / date played
ask: (when|on which (date|day)) was {x} [played]
participle: played
== since
named: joining date / date of joining
ask: since when is {x} with us / when did {x} join
participle: with us since
== draft year
ask: (when|in what year|what year) was {x} drafted / in (which|what) draft was {x} (taken|picked)
ask: (which|what) draft class is {x} from
participle: drafted
== draft pick
nouns: pick / draft position
ask: (what|which) pick was {x} / where was {x} picked [in the draft]
ask: (at what position|how high) was {x} (drafted|picked)
ranked: (picked|drafted|taken|selected)
== ends
named: end year / last year / final year / year of expiry
ask: when does {x} (end|run out|expire) / until when does {x} run / in (what|which) year does {x} (end|run out|expire)
participle: ending
equal_verb: (end|run out|expire) in {v}
== expires
named: expiry / expiry date
ask: when does {x} expire
participle: expiring
== dose
nouns: dosage
high: high, higher, highest
high: strong, stronger, strongest
low: low, lower, lowest
== days
nouns: number of days / length in days / duration
ask: how (many days|long) does {x} (last|take)
verbs: last
high: long, longer, longest
low: short, shorter, shortest
== quantity
ask: how many (are|were) in {x}
== drug
equal_post: with {v} / of {v}
equal_verb: (used|were for) {v}
== product
equal_post: of {v} / for {v}
== grade
ask: what grade did {x} get
== budget
ask: how big is the budget of {x}
== stock
nouns: stock level / number in stock
ask: how many of {x} (are|do we have) in stock
== revenue
ask: how much did {x} (earn|bring in)
== discount
ask: how big is the discount on {x}
== gender
nouns: sex
equal_adjective: {v}
== nationality
equal_adjective: {v}
ask: where is {x} from
== language
equal_post: in {v}
equal_verb: are in {v}
ask: what language is {x} in
== color
nouns: colour
equal_adjective: {v}
ask: what color is {x}
== brand
equal_post: by {v} / made by {v}
ask: who makes {x}
== publisher
equal_post: published by {v} / from {v}
equal_verb: were published by {v}
ask: who published {x}
== artist
equal_post: by {v}
equal_verb: are by {v}
ask: who is {x} by
== teacher
equal_post: taught by {v} / with {v}
equal_verb: are taught by {v}
ask: who teaches {x}
== owner
equal_post: owned by {v} / of {v}
equal_verb: are owned by {v} / belong to {v}
ask: who owns {x}
== supplier
equal_post: from {v} / supplied by {v}
equal_verb: come from {v}
ask: who supplies {x}
== address
ask: where (is {x}|does {x} live)
== released
named: release date / date of release
ask: when was {x} released / when did {x} come out
participle: released
== release year
ask: (when|in what year) was {x} released / when did {x} come out
participle: released
== hire date
named: hire date / date of hire
ask: when was {x} hired / since when has {x} been with us
participle: hired
== order date
named: order date / date of the order
ask: when was {x} ordered / when was {x} placed
participle: ordered
== ordered on
named: order date / date of the order
ask: when was {x} ordered / when was {x} placed
participle: ordered
== due date
ask: when is {x} due
participle: due
== delivered on
named: delivery date
ask: when was {x} delivered
participle: delivered
"""

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
