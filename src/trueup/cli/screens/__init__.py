"""What people see: each module turns one kind of result into lines, purely."""
