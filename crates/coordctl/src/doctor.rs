//! Examines a server: what endangers leases there, how fast it answers, whether its clock agrees with ours.

mod latency;

use std::{process::ExitCode, time::Duration};

use coord_core::{
    advice::{self, Advice},
    heartbeat::Heartbeat,
    store::ServerInfo,
};
use raus::inspect::History;
use serde_json::{Value, json};

pub(crate) use self::latency::{Latency, Sample, ping};
use crate::{
    cli::{DoctorOptions, Global},
    failure::Failure,
    id::list::{self, Namespace, Reader},
    output, time,
};

pub(crate) async fn run(global: &Global, options: &DoctorOptions) -> Result<ExitCode, Failure> {
    let reader = Reader::new(global, &(0..=1_023))?;
    let namespace = reader.read().await?;
    let info = reader
        .inspector()
        .store()
        .describe(DESCRIBE_TIMEOUT)
        .await?;
    let mut samples = Vec::new();
    for _ in 0..options.pings {
        samples.push(ping(reader.inspector()).await?);
    }
    let examined = Examined {
        latency: Latency::of(&samples),
        namespace,
        info,
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
    info: ServerInfo,
    latency: Latency,
}

impl Examined {
    /// What to change.
    fn advice(&self) -> Vec<String> {
        let of_server = advice::advise(&self.info).into_iter();
        let mut advice: Vec<String> = of_server
            .filter(|advice| !matches!(advice, Advice::Unchecked { .. }))
            .map(|advice| advice.to_string())
            .collect();
        if let History::Suspect { left } = self.namespace.read.history {
            advice.push(format!(
                "the server may have forgotten who holds what (failover, restart, flush): no machine ID is granted for {}; \
                 keep its data over restarts (appendonly yes), and let a replica have each write",
                time::span(left)
            ));
        }
        advice.extend(self.latency.advice());
        advice
    }

    fn print(&self, advice: &[String]) -> Result<(), Failure> {
        let info = &self.info;
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
        for what in &info.unchecked {
            output::line(&format!("unchecked  {}", output::plain(what)))?;
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
        let info = &self.info;
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
            "unchecked": info.unchecked,
        })
    }
}

const DESCRIBE_TIMEOUT: Duration = Heartbeat::RESPONSE_TIMEOUT.saturating_mul(4);
