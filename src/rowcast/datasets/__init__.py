"""Tables: the schema that flows through everything, versions, profiles, the dictionary."""
