"""Do the statistics of this installation give the published answers? Cases in, agreements and differences out."""
