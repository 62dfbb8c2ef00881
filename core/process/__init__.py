"""The process around the actors: its log and its lock."""
