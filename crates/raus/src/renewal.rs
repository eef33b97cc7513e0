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
    protocol::{self, RenewReply, Renewed, Slot},
    spans,
    tenure::Tenure,
};

pub(crate) struct Renewal {
    tenure: Arc<Tenure>,
    /// The grant that is renewed, which the tenure may have left behind.
    id: u32,
    fence: u64,
    /// Of the renewal under way, in the holder's chain.
    number: u64,
    sent_wall_ms: u64,
    watch: Stopwatch,
    span: Span,
}

impl Renewal {
    pub(crate) fn new(tenure: Arc<Tenure>, slot: &Slot) -> Self {
        Self {
            watch: Stopwatch::start(&*tenure.clock),
            span: Span::none(),
            tenure,
            id: slot.number,
            fence: slot.fence,
            number: 0,
            sent_wall_ms: 0,
        }
    }

    fn handle_renewal(&mut self, reply: &Reply) -> Verdict {
        match protocol::parse_renew(reply) {
            Ok(RenewReply::Renewed(renewed)) => {
                self.handle_renewed(renewed);
                Verdict::Acknowledged
            }
            Ok(RenewReply::Reasserted(renewed)) => {
                self.handle_renewed(renewed);
                self.tenure.tell(Event::Reasserted {
                    id: self.id,
                    fence: self.fence,
                });
                Verdict::Acknowledged
            }
            Ok(RenewReply::Capped { server_ms, error }) => {
                self.tenure
                    .handle_stuck(self.fence, self.number, server_ms, error);
                Verdict::Acknowledged
            }
            Ok(RenewReply::Foreign) => self.taken(LossCause::Foreign),
            Ok(RenewReply::Superseded { fence }) => self.taken(LossCause::Superseded { fence }),
            Ok(RenewReply::Forgotten) => self.taken(LossCause::Forgotten),
            Ok(RenewReply::Cloned) => self.taken(LossCause::Cloned),
            Ok(RenewReply::Layout { stored }) => self.taken(LossCause::Layout { stored }),
            Ok(RenewReply::Late) => self.failed(StoreError::unexpected("renew", reply)),
            Ok(RenewReply::NewerVersion { version }) => self.failed(StoreError::Refused {
                operation: "renew",
                address: "the server".to_owned(),
                code: "VERSION".to_owned(),
                detail: format!(
                    "the namespace has records of version {version}, this crate knows 1; upgrade"
                ),
            }),
            Ok(RenewReply::WrongType { key, found }) => self.failed(StoreError::Refused {
                operation: "renew",
                address: "the server".to_owned(),
                code: "WRONGTYPE".to_owned(),
                detail: format!("key {key:?} holds a {found}, not this crate's hash; remove it"),
            }),
            Err(error) => self.failed(error),
        }
    }

    fn handle_renewed(&self, renewed: Renewed) {
        self.tenure
            .handle_renewed(self.fence, self.number, self.sent_wall_ms, &renewed);
    }

    fn taken(&self, cause: LossCause) -> Verdict {
        self.tenure.handle_taken(self.fence, cause);
        Verdict::Lost
    }

    fn failed(&self, error: StoreError) -> Verdict {
        self.tenure.handle_failed(self.fence, error);
        Verdict::Failed
    }
}

impl Renew for Renewal {
    fn commands(&mut self) -> Vec<Command> {
        self.span = spans::renew(&self.tenure.identity, self.id, self.fence);
        self.watch = Stopwatch::start(&*self.tenure.clock);
        self.sent_wall_ms = self.tenure.clock.wall_ms();
        let Some(next) = self.tenure.next_renewal(self.fence, self.sent_wall_ms) else {
            return Vec::new();
        };
        self.number = next.number;
        next.commands
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

    fn acknowledge(&self) -> u32 {
        self.tenure.identity.acknowledge
    }

    fn handle_unacknowledged(
        &mut self,
        replies: &[Result<Reply, StoreError>],
        shortfall: StoreError,
    ) -> Verdict {
        let reply = replies.first().and_then(|reply| reply.as_ref().ok());
        let parsed = reply.and_then(|reply| protocol::parse_renew(reply).ok());
        match parsed {
            // What a server took away is gone, whoever else knows of it; what it prolonged is not.
            Some(
                RenewReply::Renewed(_) | RenewReply::Reasserted(_) | RenewReply::Capped { .. },
            )
            | None => self.failed(shortfall),
            Some(_) => self.handle_replies(replies),
        }
    }

    fn handle_at_risk(&mut self, deadline: Instant) {
        self.tenure.handle_at_risk(self.fence, deadline);
    }

    fn handle_expired(&mut self) {
        self.tenure.handle_expired(self.fence);
    }
}
