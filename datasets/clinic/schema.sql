-- The clinic database: Willow Lane, a fictional veterinary clinic in a euro country, years 2030 and 2031.

CREATE TABLE owners (
  owner_id TEXT PRIMARY KEY, -- OW-101
  name TEXT NOT NULL,
  town TEXT NOT NULL,
  phone TEXT NOT NULL, -- or the word unknown
  client_since TEXT NOT NULL -- month and year, as Mar 2026
);

CREATE TABLE pets (
  pet_id TEXT PRIMARY KEY, -- PET-001
  name TEXT NOT NULL,
  species TEXT NOT NULL, -- dog, cat, rabbit, parrot or tortoise
  breed TEXT, -- NULL when mixed or not recorded
  owner_id TEXT NOT NULL REFERENCES owners(owner_id),
  birth_year INTEGER, -- a year, or the word unknown
  weight TEXT NOT NULL, -- kilograms with unit, or the word unknown
  chip TEXT -- microchip number, NULL when not chipped
);

CREATE TABLE visits (
  visit_id TEXT PRIMARY KEY, -- V/0001
  pet_id TEXT NOT NULL REFERENCES pets(pet_id),
  vet TEXT NOT NULL, -- surname with title
  visit_date TEXT NOT NULL, -- DD.MM.YYYY
  reason TEXT NOT NULL,
  fee TEXT NOT NULL, -- euros with decimal comma, - when not charged yet
  paid TEXT NOT NULL -- Y, N, or - when not charged yet
);

CREATE TABLE treatments (
  treatment_id TEXT PRIMARY KEY, -- TR-0001
  visit_id TEXT NOT NULL REFERENCES visits(visit_id),
  drug TEXT NOT NULL,
  dose TEXT NOT NULL, -- milligrams with unit, - when it has no dose
  days INTEGER, -- length of the course, NULL when given once
  price TEXT NOT NULL -- euros with decimal comma
);
