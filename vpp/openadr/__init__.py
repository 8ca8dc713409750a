"""Events of an upstream that speaks OpenADR 2.0b: what they say, what becomes of them, and the wire."""
