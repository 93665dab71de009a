"""Statistics: values in, charts out. numpy and scipy only; no database, no clock, no text."""
