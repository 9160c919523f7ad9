"""Checks of the lake by DuckDB: `check.py SITE MODE`, answers as JSON lines to what stands on standard input.

Each line of input is a query; `lk` is the lake, `meta` the SQLite file. MODE is `stored` (data path as stored) or
`moved` (overridden with SITE/lake)."""

import json
import os
import sys

import duckdb
import duckdb_extensions

site, mode = sys.argv[1:3]
# DuckDB draws a progress bar on stdout when something takes two seconds: what it draws is kept out of the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for extension in ("ducklake", "sqlite_scanner"):
    duckdb_extensions.import_extension(extension)
db = duckdb.connect()
db.execute("LOAD ducklake; LOAD sqlite_scanner")
override = f", DATA_PATH '{site}/lake/', OVERRIDE_DATA_PATH true" if mode == "moved" else ""
db.execute(f"ATTACH 'ducklake:sqlite:{site}/archive.db' AS lk (READ_ONLY{override})")
db.execute(f"ATTACH '{site}/archive.db' AS meta (TYPE sqlite, READ_ONLY)")
for line in sys.stdin:
    rows = db.execute(line).fetchall()
    print(json.dumps([[str(v) if isinstance(v, bytes) else v for v in row] for row in rows]), file=answers, flush=True)
