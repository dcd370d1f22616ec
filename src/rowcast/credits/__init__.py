"""Credits: what predictions cost, and the ledger of who has and who pays."""
