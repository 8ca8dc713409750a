"""What the API and the pages share: who asks, may they, in which language, and how trouble is told."""
