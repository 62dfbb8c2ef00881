"""Pure decisions: no actor, no clock, no database, no network. Each has its table of cases in tests/rules."""
