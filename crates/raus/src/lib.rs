//! Leases one machine ID per process from Redis.
