"""Worlds of a live session: what compiled code has read, and what follows when it changes. Imports what lies below session."""
