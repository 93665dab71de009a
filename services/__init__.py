"""What people and machines talk to: the station, the pages, the commands. The only package that wires."""
