"""A disk that can be made to wait, and to fail, under SQLite's commits."""

import sqlite3
from threading import Event
from typing import Any


class SlowDisk:
    """`connect` stands for that of `sqlite3`. Commits wait for `go`, fail where `fails` says so, and are counted."""

    def __init__(self) -> None:
        self.committing, self.go = Event(), Event()
        self.go.set()
        self.fails = False
        self.commits = 0
        disk = self

        class Driver(sqlite3.Connection):
            def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
                if statement == "COMMIT":
                    disk.committing.set()
                    assert disk.go.wait(30)
                    if disk.fails:
                        raise sqlite3.OperationalError("disk I/O error")
                    disk.commits += 1
                return super().execute(statement, *parameters)

        self._driver, self._connect = Driver, sqlite3.connect

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        return self._connect(*arguments, **options, factory=self._driver)

    def hold(self) -> None:
        self.committing.clear()
        self.go.clear()
