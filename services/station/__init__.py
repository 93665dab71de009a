"""One station: its lanes in an engine process, its records and pages in a service process."""
