"""Answers of stock DuckDB about an archive: `foreign.py ATTACH`, where ATTACH is what `almagest attach` prints.

Each line of standard input is a JSON object: `sql`, and `fresh` when a new connection shall be made for it. Each line of
standard output is the answer, an array of rows. The extensions come from their packages, never from the network."""

import json
import os
import sys
import time

import duckdb
import duckdb_extensions

# DuckDB draws a progress bar on stdout when something takes two seconds: what it draws is kept out of the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for extension in ("ducklake", "sqlite_scanner"):
    duckdb_extensions.import_extension(extension)


def attached():
    db = duckdb.connect()
    db.execute(sys.argv[1])
    return db


def patiently(act):
    """Repeats what a user without the right to write is refused for the moment in which a writer starts."""
    for _ in range(500):
        try:
            return act()
        except duckdb.Error as fault:
            if "attempt to write a readonly database" not in str(fault):
                raise
            time.sleep(0.02)
    return act()


def plain(value):
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return str(value)


db = patiently(attached)
for line in sys.stdin:
    asked = json.loads(line)
    here = patiently(attached) if asked["fresh"] else db
    rows = patiently(lambda: here.execute(asked["sql"]).fetchall())
    print(json.dumps([[plain(v) for v in row] for row in rows]), file=answers, flush=True)
    if here is not db:
        here.close()
