"""What viewers may say and what a show says: pure, without I/O."""
