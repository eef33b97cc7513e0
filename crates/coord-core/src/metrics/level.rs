//! Gauges that several parts of a process contribute to.

use std::fmt;

use super::Metric;

/// One part's contribution to a gauge, which shows the sum of all contributions with one label value in the process.
/// Dropping it takes the contribution away. Empty without the feature `metrics`.
pub struct Level {
    #[cfg(feature = "metrics")]
    series: sums::Series,
    #[cfg(feature = "metrics")]
    own: u64,
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Level")
    }
}

impl Level {
    /// A contribution of nothing to the gauge `metric`, which has one label.
    #[must_use]
    pub fn new(metric: &'static Metric, value: &str) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = (metric, value);
        Self {
            #[cfg(feature = "metrics")]
            series: sums::Series::new(metric, value),
            #[cfg(feature = "metrics")]
            own: 0,
        }
    }

    /// The contribution is this now. Saying it again shows the sum again, to a recorder that forgets or came late.
    pub fn set(&mut self, own: u64) {
        #[cfg(feature = "metrics")]
        {
            let before = std::mem::replace(&mut self.own, own);
            self.series.replace(before, own);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = own;
    }
}

#[cfg(feature = "metrics")]
impl Drop for Level {
    fn drop(&mut self) {
        self.series.leave(self.own);
    }
}

#[cfg(feature = "metrics")]
mod sums {
    use std::{
        collections::HashMap,
        sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    };

    use super::Metric;

    pub(super) struct Series {
        metric: &'static Metric,
        value: String,
    }

    #[derive(Default)]
    struct Sum {
        parts: usize,
        total: u64,
    }

    type Sums = HashMap<(&'static str, String), Sum>;

    impl Series {
        pub(super) fn new(metric: &'static Metric, value: &str) -> Self {
            let series = Self {
                metric,
                value: value.to_owned(),
            };
            sums().entry(series.key()).or_default().parts += 1;
            series
        }

        pub(super) fn replace(&self, before: u64, after: u64) {
            let mut sums = sums();
            let sum = sums.entry(self.key()).or_default();
            sum.total = sum.total - before + after;
            // Under the lock, or an older sum might be shown after a newer one.
            self.show(sum.total);
        }

        pub(super) fn leave(&self, own: u64) {
            let mut sums = sums();
            let Some(sum) = sums.get_mut(&self.key()) else {
                return;
            };
            sum.parts -= 1;
            sum.total -= own;
            self.show(sum.total);
            if sum.parts == 0 {
                sums.remove(&self.key());
            }
        }

        fn key(&self) -> (&'static str, String) {
            (self.metric.name, self.value.clone())
        }

        fn show(&self, total: u64) {
            for label in self.metric.labels {
                #[expect(clippy::cast_precision_loss, reason = "nobody holds 2^53 of anything")]
                self.metric.set(total as f64, &[(label, &self.value)]);
            }
        }
    }

    /// One change is always complete, so a poisoned lock is still good.
    fn sums() -> MutexGuard<'static, Sums> {
        static SUMS: OnceLock<Mutex<Sums>> = OnceLock::new();
        let sums = SUMS.get_or_init(Mutex::default);
        sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, Unit};
    use std::sync::{Arc, Mutex};

    use super::*;

    static HELD: Metric = Metric::gauge("level_test_held", &["pool"], "Held.");

    /// Keeps the last value of the only gauge there is.
    #[derive(Default, Clone)]
    struct Last(Arc<Mutex<f64>>);

    impl GaugeFn for Last {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {}
        fn set(&self, value: f64) {
            *self.0.lock().expect("no panic") = value;
        }
    }

    impl Recorder for Last {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(self.clone()))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn a_gauge_is_the_sum_of_what_its_parts_say() {
        let last = Last::default();
        let shown = || *last.0.lock().expect("no panic");
        metrics::with_local_recorder(&last, || {
            let mut one = Level::new(&HELD, "a");
            let mut two = Level::new(&HELD, "a");
            one.set(2);
            assert!((shown() - 2.0).abs() < f64::EPSILON);
            two.set(3);
            assert!((shown() - 5.0).abs() < f64::EPSILON);
            two.set(1);
            assert!((shown() - 3.0).abs() < f64::EPSILON);
            drop(one);
            assert!((shown() - 1.0).abs() < f64::EPSILON);
            drop(two);
            assert!(shown().abs() < f64::EPSILON);
        });
    }
}
