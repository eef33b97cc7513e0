//! What options are accepted.

use std::time::Duration;

use coord_core::history::Acknowledge;

use super::{Builder, Redbuckets};
use crate::error::ConfigError;

impl Builder {
    pub(super) fn check_numbers(&self) -> Result<(), ConfigError> {
        if !(1..=Redbuckets::MAX_BUCKETS).contains(&self.buckets) {
            return Err(ConfigError::Buckets {
                count: self.buckets,
            });
        }
        if !(1..=Redbuckets::MAX_WEIGHT).contains(&self.weight) {
            return Err(ConfigError::Weight {
                weight: self.weight,
            });
        }
        for (option, value, max) in [
            ("max_moves", self.max_moves, Redbuckets::MAX_BUCKETS),
            ("chunk", self.chunk, 1_024),
        ] {
            if !(1..=max).contains(&value) {
                return Err(ConfigError::Number {
                    option,
                    value,
                    min: 1,
                    max,
                });
            }
        }
        if let Acknowledge::AtLeast(replicas) = self.acknowledge
            && !(1..=100).contains(&replicas)
        {
            return Err(ConfigError::Number {
                option: "acknowledge of at least",
                value: replicas,
                min: 1,
                max: 100,
            });
        }
        Ok(())
    }

    pub(super) fn check_durations(&self) -> Result<(), ConfigError> {
        let (seconds, minutes) = (Duration::from_secs, |n: u64| Duration::from_secs(60 * n));
        for (option, value, max) in [
            ("settle", self.settle, seconds(10)),
            ("discovery", self.discovery.unwrap_or_default(), minutes(60)),
            ("register_timeout", self.register_timeout, minutes(10)),
            ("leave_timeout", self.leave_timeout, minutes(10)),
            ("drain_timeout", self.drain_timeout, minutes(60)),
            ("rejoin_grace", self.grace, minutes(60)),
        ] {
            if max < value {
                return Err(ConfigError::Duration {
                    option,
                    value,
                    min: Duration::ZERO,
                    max,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
