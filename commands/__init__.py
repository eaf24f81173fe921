"""What users of Tidemark can do. Account commands go straight to the log; payments and transfers are workflows."""
