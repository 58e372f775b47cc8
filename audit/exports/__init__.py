"""Taking the audit log away: any search as a file, made by a worker, kept for a while and then removed."""
