"""Cases by family: from the names of a published case to our functions and back, without a number of our own."""
