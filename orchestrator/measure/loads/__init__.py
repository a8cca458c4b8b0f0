"""Frames that come by themselves: loads."""
