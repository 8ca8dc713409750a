"""What pages, papers and answers say: figures and sentences made of what the store knows."""
