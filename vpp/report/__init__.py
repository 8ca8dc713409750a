"""What a run saved and why, for people: sentences, tables, SVG charts, one HTML file, one terminal page."""
