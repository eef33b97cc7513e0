//! What options are accepted.

use std::time::Duration;

use coord_core::history;

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
        if 100 < self.acknowledge {
            return Err(ConfigError::Number {
                option: "acknowledge",
                value: self.acknowledge,
                min: 0,
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
            ("failover_bound", self.failover_bound, minutes(60)),
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
        let (min, max) = (Duration::from_millis(10), minutes(24 * 60));
        match self.progress_timeout {
            Some(value) if !(min..=max).contains(&value) => Err(ConfigError::Duration {
                option: "progress_timeout",
                value,
                min,
                max,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_grace(&self) -> Result<(), ConfigError> {
        match self.id {
            None if !self.grace.is_zero() => Err(ConfigError::GraceWithoutId { grace: self.grace }),
            _ => Ok(()),
        }
    }

    /// The chosen discovery, or the default.
    pub(super) fn checked_discovery(&self) -> Result<Duration, ConfigError> {
        let least = history::shortest_discovery(self.period);
        let discovery = self
            .discovery
            .unwrap_or_else(|| history::default_discovery(self.period));
        if !discovery.is_zero() && discovery < least {
            return Err(ConfigError::Discovery {
                discovery,
                period: self.period,
                least,
            });
        }
        Ok(discovery)
    }
}

#[cfg(test)]
mod tests;
