"""What goes on without anybody calling: deadlines, recording, the audit."""
