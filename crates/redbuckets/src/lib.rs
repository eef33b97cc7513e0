//! Shares buckets among the instances of a service.
