"""Pictures under weights that all files of a family share: RECOMBINER, VC-INR."""
