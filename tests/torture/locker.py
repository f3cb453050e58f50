"""``python -m tests.torture.locker FILE SECONDS``: another program that writes into our SQLite file
for so long, and changes nothing. It says "held" once it has the lock.
"""

import sqlite3
import sys
import time
from contextlib import closing

PATIENCE_S = 30.0


def main(file: str, seconds: float) -> None:
    with closing(sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        print("held", flush=True)
        time.sleep(seconds)
        connection.execute("ROLLBACK")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
