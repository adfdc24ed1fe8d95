"""Telling people what changed: messages by mail, chat and webhooks."""
