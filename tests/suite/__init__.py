"""How the suite itself is run: which tests are run when, what runs beside what, and how long each took."""
