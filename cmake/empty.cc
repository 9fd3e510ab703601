// A room with no source of its own yet.
