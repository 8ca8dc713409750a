"""Who may come in and what they may see: accounts, sessions, tokens, rights, a record of sights."""
