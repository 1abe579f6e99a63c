"""Who starts the cells of a study: processes of this machine, or a cluster's queue."""
