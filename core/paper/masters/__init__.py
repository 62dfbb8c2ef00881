"""The small symbol files that ship with the exchange, in Shoonya's format, and the closing prices they start from."""
