"""The exploratory report: a table's profile as one page for people."""
