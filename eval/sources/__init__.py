"""What is measured: data sets, pictures and sequences of theirs."""
