"""The machine as this process may use it: processors, and the variables that libraries read. Standard library only."""
