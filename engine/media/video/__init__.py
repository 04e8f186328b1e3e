"""Clips as video files by PyAV, which is imported when it is first needed (extra ``video``)."""
