//! Examines a server: what endangers leases there, how fast it answers, whether its clock agrees with ours.

mod latency;

use std::{process::ExitCode, time::Duration};

use raus::{Advice, Report, inspect::History};
use serde_json::{Value, json};

pub(crate) use self::latency::{Latency, Sample, ping};
use crate::{
    cli::{DoctorOptions, Global},
    connect,
    failure::Failure,
    id::list::{self, Namespace, Reader},
    output, time,
};

pub(crate) async fn run(global: &Global, options: &DoctorOptions) -> Result<ExitCode, Failure> {
    let raus = connect::namespace(global, &(0..=1_023))?;
    let reader = Reader::of(&raus)?;
    let namespace = reader.read().await?;
    let report = raus.describe().await?;
    let mut samples = Vec::new();
    for _ in 0..options.pings {
        samples.push(ping(reader.inspector()).await?);
    }
    let examined = Examined {
        latency: Latency::of(&samples),
        namespace,
        report,
    };
    let advice = examined.advice();
    if global.json {
        output::json(&examined.json(&advice))?;
    } else {
        examined.print(&advice)?;
    }
    Ok(ExitCode::from(u8::from(!advice.is_empty())))
}

struct Examined {
    namespace: Namespace,
    report: Report,
    latency: Latency,
}

impl Examined {
    /// What to change.
    fn advice(&self) -> Vec<String> {
        // The clocks are compared below, by many round trips.
        let of_server = self.report.warnings();
        let mut advice: Vec<String> = of_server
            .filter(|advice| !matches!(advice, Advice::ClockSkew { .. }))
            .map(Advice::to_string)
            .collect();
        if let History::Quarantine { left, .. } = self.namespace.read.history {
            advice.push(format!(
                "the server may have forgotten who holds what (failover, restart, flush): no new machine ID is granted for {}; \
                 wait, and keep its data over restarts (appendonly yes)",
                time::span(left)
            ));
        }
        if !self.namespace.read.tells_identity {
            advice.push(
                "the server does not say who it is (INFO is forbidden), so nobody sees that it restarted or failed over, and \
                 nothing is granted without --allow-unverified-history; grant the user +info"
                    .to_owned(),
            );
        }
        advice.extend(self.ahead());
        advice.extend(self.latency.advice());
        advice
    }

    /// What lies further ahead of the server's clock than any ttl explains.
    fn ahead(&self) -> Option<String> {
        let read = &self.namespace.read;
        let limit_ms = read.limit_ms()?;
        let horizons = read.slots.iter().map(|slot| slot.horizon_ms);
        let ahead: Vec<u64> = horizons.filter(|&ms| limit_ms < ms).collect();
        let floor = (limit_ms < read.floor_ms).then_some(read.floor_ms);
        let furthest = ahead.iter().copied().chain(floor).max()?;
        let what = match (floor, ahead.len() as u64) {
            (Some(_), 0) => "the floor of the namespace".to_owned(),
            (None, count) => output::count(count, "horizon"),
            (Some(_), count) => format!(
                "the floor of the namespace and {}",
                output::count(count, "horizon")
            ),
        };
        Some(format!(
            "timestamps on record ({what}) are up to {} ahead of the server's clock, further than any ttl explains: a clock was \
             ahead, and nothing is granted there before it gets there; check the clocks, then see `coordctl id repair`",
            time::span(Duration::from_millis(furthest - read.server_ms))
        ))
    }

    /// What is good to know.
    fn notes(&self) -> Vec<String> {
        let all = self.report.advice.iter();
        let notes =
            all.filter(|advice| !advice.is_warning() && !matches!(advice, Advice::Unchecked(_)));
        notes.map(Advice::to_string).collect()
    }

    fn unchecked(&self) -> Vec<String> {
        let unchecked = self.report.unchecked().iter();
        unchecked.map(ToString::to_string).collect()
    }

    fn print(&self, advice: &[String]) -> Result<(), Failure> {
        let info = &self.report.server;
        let latency = &self.latency;
        let us = |span: Duration| format!("{:.2} ms", span.as_secs_f64() * 1e3);
        output::line(&format!(
            "server     {} {}, {}, {} replicas",
            output::plain(&info.product),
            output::plain(&info.version),
            output::plain(&info.role),
            info.connected_replicas
        ))?;
        output::line(&format!(
            "latency    p50 {}, p99 {}, largest {} of {} round trips",
            us(latency.p50),
            us(latency.p99),
            us(latency.max),
            latency.count
        ))?;
        output::line(&format!(
            "clock      the server's is {} ms {} ours, give or take {}",
            latency.skew_ms.unsigned_abs(),
            if latency.skew_ms < 0 {
                "behind"
            } else {
                "ahead of"
            },
            us(latency.min / 2)
        ))?;
        output::line(&format!("leases     {}", self.namespace.headline()))?;
        for what in self.unchecked() {
            output::line(&format!("unchecked  {}", output::plain(&what)))?;
        }
        for note in self.notes() {
            output::line(&format!("note       {}", output::plain(&note)))?;
        }
        for advice in advice {
            let mark = output::styled(output::WARN, "change");
            output::line(&format!("{mark}     {}", output::plain(advice)))?;
        }
        if advice.is_empty() {
            output::line(&output::styled(output::GOOD, "nothing to change"))?;
        }
        Ok(())
    }

    fn json(&self, advice: &[String]) -> Value {
        let info = &self.report.server;
        json!({
            "server": {
                "product": info.product,
                "version": info.version,
                "role": info.role,
                "run_id": info.run_id,
                "replicas": info.connected_replicas,
                "maxmemory": info.maxmemory,
                "maxmemory_policy": info.maxmemory_policy,
                "min_replicas_to_write": info.min_replicas_to_write,
            },
            "latency": self.latency.json(),
            "clock_skew_ms": self.latency.skew_ms,
            "namespace": {
                "name": self.namespace.name,
                "history": list::history_json(self.namespace.read.history),
                "recorded": self.namespace.read.recorded,
            },
            "advice": advice,
            "notes": self.notes(),
            "unchecked": self.unchecked(),
        })
    }
}
