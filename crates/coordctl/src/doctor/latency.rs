//! Round trips: how long they take, and what the server's clock says meanwhile.

use std::time::Duration;

use coord_core::{
    clock::{Clock, SystemClock},
    heartbeat::Heartbeat,
};
use raus::inspect::Inspector;
use serde_json::{Value, json};

use crate::failure::Failure;

/// One round trip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) took: Duration,
    /// By how much the server's clock is ahead of ours, as far as this round trip tells: within half of its time.
    pub(crate) skew_ms: i64,
}

/// Many round trips.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency {
    pub(crate) count: usize,
    pub(crate) min: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    /// By how much the server's clock is ahead, by the fastest round trip.
    pub(crate) skew_ms: i64,
}

/// One round trip through a script that touches no key.
pub(crate) async fn ping(inspector: &Inspector) -> Result<Sample, Failure> {
    let (sent, wall) = (SystemClock.now(), SystemClock.wall());
    let server = inspector.server_time().await?;
    let took = SystemClock.now().saturating_since(sent);
    Ok(Sample {
        took,
        skew_ms: difference_ms(server, wall + took / 2),
    })
}

impl Latency {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by_key(|sample| sample.took);
        // The nearest rank: the smallest that `part` of all do not exceed.
        let rank = |part: usize| (sorted.len() * part).div_ceil(100).saturating_sub(1);
        let took = |at: usize| sorted.get(at).map_or(Duration::ZERO, |sample| sample.took);
        Self {
            count: sorted.len(),
            min: took(0),
            p50: took(rank(50)),
            p99: took(rank(99)),
            max: took(sorted.len().saturating_sub(1)),
            skew_ms: sorted.first().map_or(0, |sample| sample.skew_ms),
        }
    }

    /// What to change.
    pub(crate) fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if Heartbeat::RESPONSE_TIMEOUT / 2 < self.p99 {
            advice.push(format!(
                "one round trip in a hundred takes {:?} or more, and a heartbeat waits {:?} for its answer; move the server \
                 closer, relieve it, or lengthen the ttl",
                self.p99,
                Heartbeat::RESPONSE_TIMEOUT
            ));
        }
        if SKEW_MS < self.skew_ms.unsigned_abs() {
            advice.push(format!(
                "this machine's clock and the server's are {} ms apart; nothing is leased where that exceeds max_clock_skew \
                 (10 s unless configured): synchronise the clocks (NTP)",
                self.skew_ms.unsigned_abs()
            ));
        }
        advice
    }

    pub(crate) fn json(&self) -> Value {
        let us = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        json!({
            "round_trips": self.count,
            "min_us": us(self.min),
            "p50_us": us(self.p50),
            "p99_us": us(self.p99),
            "max_us": us(self.max),
        })
    }
}

fn difference_ms(ahead: Duration, of: Duration) -> i64 {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    ms(ahead).saturating_sub(ms(of))
}

/// Synchronised clocks are not a second apart.
const SKEW_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(ms: impl IntoIterator<Item = (u64, i64)>) -> Latency {
        let samples: Vec<Sample> = ms
            .into_iter()
            .map(|(took, skew_ms)| Sample {
                took: Duration::from_millis(took),
                skew_ms,
            })
            .collect();
        Latency::of(&samples)
    }

    #[test]
    fn ranks_are_the_nearest() {
        let latency = latency((1..=100).map(|ms| (ms, ms as i64)));
        let ms = [latency.min, latency.p50, latency.p99, latency.max].map(|span| span.as_millis());
        assert_eq!(ms, [1, 50, 99, 100]);
        assert_eq!(latency.skew_ms, 1, "the fastest knows best");
    }

    #[test]
    fn nothing_measured_is_nothing() {
        assert_eq!(latency([]).max, Duration::ZERO);
    }

    #[test]
    fn slow_servers_and_wrong_clocks_are_advised_on() {
        assert_eq!(latency([(5, 900)]).advice().len(), 0);
        assert_eq!(latency([(5, -1_001)]).advice().len(), 1);
        assert_eq!(latency([(251, 2_000)]).advice().len(), 2);
    }
}
