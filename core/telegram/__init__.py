"""Telegram: the client of the bot API and the texts."""
