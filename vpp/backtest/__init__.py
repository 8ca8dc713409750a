"""Back-tests of day-ahead forecasts on files of any origin: what ran, under which protocol, how well."""
