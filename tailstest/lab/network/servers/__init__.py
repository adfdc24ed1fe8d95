"""Servers of the lab that are our own: programs that run inside its namespace."""
