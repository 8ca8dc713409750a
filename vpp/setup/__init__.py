"""What a service and its sites are set up with: files, checked as a whole and written whole."""
