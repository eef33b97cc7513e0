//! One slot's part in the heartbeat.

use std::sync::Arc;

use coord_core::{
    clock::Instant,
    heartbeat::{Renew, Verdict},
    metrics::Stopwatch,
    store::{Command, Reply, StoreError},
};
use tracing::Span;

use crate::{
    event::{Event, LossCause},
    protocol::{self, RenewReply, Slot},
    spans,
    tenure::Tenure,
};

pub(crate) struct Renewal {
    tenure: Arc<Tenure>,
    slot: Slot,
    sent_wall_ms: u64,
    /// The server's time at which the last acknowledged lease ends.
    till_ms: u64,
    watch: Stopwatch,
    span: Span,
}

impl Renewal {
    pub(crate) fn new(tenure: Arc<Tenure>, slot: Slot) -> Self {
        Self {
            till_ms: slot
                .server_ms
                .saturating_add(tenure.identity.timing.ttl_ms()),
            watch: Stopwatch::start(&*tenure.clock),
            span: Span::none(),
            tenure,
            slot,
            sent_wall_ms: 0,
        }
    }

    fn handle_renewal(&mut self, reply: &Reply) -> Verdict {
        match protocol::parse_renew(reply) {
            Ok(RenewReply::Renewed {
                horizon_ms,
                server_ms,
            }) => {
                self.handle_renewed(horizon_ms, server_ms);
                Verdict::Acknowledged
            }
            Ok(RenewReply::Reasserted {
                horizon_ms,
                server_ms,
            }) => {
                self.handle_renewed(horizon_ms, server_ms);
                self.tenure.tell(Event::Reasserted {
                    id: self.slot.number,
                    fence: self.slot.fence,
                });
                Verdict::Acknowledged
            }
            Ok(RenewReply::Capped { server_ms, error }) => {
                self.extend(server_ms);
                self.tenure.handle_stuck(error);
                Verdict::Acknowledged
            }
            Ok(RenewReply::Foreign) => self.taken(LossCause::Foreign),
            Ok(RenewReply::Superseded { fence }) => self.taken(LossCause::Superseded { fence }),
            Ok(RenewReply::Forgotten) => self.taken(LossCause::Forgotten),
            Ok(RenewReply::WrongType { key, found }) => self.failed(StoreError::Refused {
                operation: "renew",
                address: "the server".to_owned(),
                code: "WRONGTYPE".to_owned(),
                detail: format!("key {key:?} holds a {found}, not this crate's hash; remove it"),
            }),
            Err(error) => self.failed(error),
        }
    }

    fn handle_renewed(&mut self, horizon_ms: u64, server_ms: u64) {
        self.extend(server_ms);
        self.tenure
            .handle_renewed(horizon_ms, self.sent_wall_ms, server_ms);
    }

    fn extend(&mut self, server_ms: u64) {
        self.till_ms = server_ms.saturating_add(self.tenure.identity.timing.ttl_ms());
    }

    fn taken(&self, cause: LossCause) -> Verdict {
        self.tenure.handle_taken(cause);
        Verdict::Lost
    }

    fn failed(&self, error: StoreError) -> Verdict {
        self.tenure.handle_failed(error);
        Verdict::Failed
    }
}

impl Renew for Renewal {
    fn commands(&mut self) -> Vec<Command> {
        self.span = spans::renew(&self.tenure.identity, &self.slot);
        self.watch = Stopwatch::start(&*self.tenure.clock);
        self.sent_wall_ms = self.tenure.clock.wall_ms();
        let identity = &self.tenure.identity;
        vec![
            identity.renew(
                &self.slot,
                self.sent_wall_ms,
                self.tenure.last_minted_ms(),
                self.till_ms,
            ),
            identity.announce(&self.slot),
        ]
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        let span = std::mem::replace(&mut self.span, Span::none());
        let _within = span.enter();
        let (renewal, announcement) = (replies.first(), replies.get(1));
        self.tenure
            .handle_announced(announcement.and_then(|outcome| outcome.as_ref().err()));
        let verdict = match renewal {
            Some(Ok(reply)) => self.handle_renewal(reply),
            Some(Err(error)) => self.failed(error.clone()),
            None => self.failed(StoreError::unexpected("renew", &Reply::Nil)),
        };
        if verdict == Verdict::Acknowledged {
            self.tenure.meter.renewed(self.watch, &*self.tenure.clock);
        }
        span.record("outcome", verdict.as_str());
        verdict
    }

    fn handle_at_risk(&mut self, deadline: Instant) {
        self.tenure.handle_at_risk(deadline);
    }

    fn handle_expired(&mut self) {
        self.tenure.handle_expired();
    }
}
