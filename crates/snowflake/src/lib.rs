//! Mints unique 64-bit IDs from a machine ID.
