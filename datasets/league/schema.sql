-- The league database: 24 teams, three seasons (2029 to 2031). A season is named after its calendar year, January to June.
-- A comment inside a statement stays in the database file, as a hurried colleague would have left it.

CREATE TABLE arenas (
  arena_id TEXT PRIMARY KEY, -- A-01
  name TEXT NOT NULL,
  city TEXT NOT NULL,
  capacity INTEGER NOT NULL, -- seats
  opened INTEGER -- year, NULL when not known
);

CREATE TABLE teams (
  team_id TEXT PRIMARY KEY, -- T-01
  city TEXT NOT NULL,
  nickname TEXT NOT NULL UNIQUE,
  conference TEXT NOT NULL, -- North or South
  arena_id TEXT NOT NULL REFERENCES arenas(arena_id),
  coach TEXT NOT NULL, -- a name, -- when the seat is empty
  founded INTEGER NOT NULL, -- year
  titles INTEGER NOT NULL -- championships won
);

CREATE TABLE players (
  player_id TEXT PRIMARY KEY, -- P0001
  name TEXT NOT NULL UNIQUE,
  team_id TEXT REFERENCES teams(team_id), -- team today, NULL for a free agent
  position TEXT NOT NULL, -- PG, SG, SF, PF or C
  height TEXT NOT NULL, -- feet and inches, -- when missing
  weight TEXT NOT NULL, -- pounds with unit, NA when missing
  birth_date TEXT NOT NULL, -- YYYY-MM-DD
  college TEXT, -- NULL when he attended none
  draft_year INTEGER, -- NULL when undrafted
  draft_pick INTEGER, -- overall pick, or the word undrafted
  jersey INTEGER -- number, or NA
);

CREATE TABLE contracts (
  contract_id TEXT PRIMARY KEY, -- C-0001
  player_id TEXT NOT NULL REFERENCES players(player_id),
  salary TEXT NOT NULL, -- dollars a year with sign and commas, -- when undisclosed
  bonus TEXT, -- dollars as in salary, NULL when there is none
  signed TEXT NOT NULL, -- DD/MM/YYYY
  ends INTEGER NOT NULL, -- last season covered
  status TEXT NOT NULL -- active or expired
);

CREATE TABLE season_stats (
  player_id TEXT NOT NULL REFERENCES players(player_id),
  season INTEGER NOT NULL,
  team TEXT NOT NULL, -- nickname of the team he played for that season
  games_played INTEGER NOT NULL,
  points INTEGER NOT NULL, -- season total
  points_per_game REAL NOT NULL,
  rebounds INTEGER NOT NULL, -- season total
  assists INTEGER NOT NULL, -- season total
  three_pct TEXT NOT NULL, -- percent with sign, -- when he attempted none
  PRIMARY KEY (player_id, season)
);

CREATE TABLE games (
  game_id TEXT PRIMARY KEY, -- G-2031-0001
  season INTEGER NOT NULL,
  played_on TEXT NOT NULL, -- YYYY-MM-DD
  home_id TEXT NOT NULL REFERENCES teams(team_id),
  away_id TEXT NOT NULL REFERENCES teams(team_id),
  home_points INTEGER NOT NULL,
  away_points INTEGER NOT NULL,
  attendance TEXT NOT NULL, -- people with comma, NA when not counted
  overtime INTEGER -- number of extra periods, NULL when there was none
);
