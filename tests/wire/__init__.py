"""Transcripts of conversations, one per revision, and the test that replays them."""
