//! An instance's part in the heartbeat.

use std::{sync::Arc, time::Duration};

use coord_core::{
    clock::Instant,
    heartbeat::{Renew, Verdict},
    metrics::Stopwatch,
    store::{Command, Reply, StoreError},
};
use tracing::Span;

use crate::{
    event::{Event, LossCause},
    membership::{Heard, Request},
    protocol::{self, BeatReply, ClaimReply, Identity},
    shared::Shared,
    spans,
};

pub(crate) struct Renewal {
    shared: Arc<Shared>,
    identity: Identity,
    asked: Option<Request>,
    next: Option<Duration>,
    watch: Stopwatch,
    span: Span,
    rng: fastrand::Rng,
}

impl Renewal {
    /// By how much instances that wait for the same moment miss each other.
    const SPREAD: Duration = Duration::from_millis(10);

    pub(crate) fn new(shared: Arc<Shared>, identity: Identity, rng: fastrand::Rng) -> Self {
        Self {
            watch: Stopwatch::start(&*shared.clock),
            span: Span::none(),
            shared,
            identity,
            asked: None,
            next: None,
            rng,
        }
    }

    fn hear(&self, reply: &Reply) -> Result<Heard, StoreError> {
        let now = self.shared.clock.now();
        let own = |heard| match heard {
            Heard::Fenced(by) if self.identity.is_own(&by) => Heard::Overtaken(by),
            heard => heard,
        };
        Ok(match &self.asked {
            Some(Request::Beat(request)) => {
                let buckets = self.identity.buckets;
                let reply = protocol::parse_beat(reply, request.releases.len(), buckets)?;
                self.shared
                    .hear(now, |membership| own(membership.handle_beat(now, reply)))
            }
            Some(Request::Claim(_)) => {
                let reply = protocol::parse_claim(reply)?;
                self.shared
                    .hear(now, |membership| own(membership.handle_claim(reply)))
            }
            None => Heard::Failed,
        })
    }
}

impl Renew for Renewal {
    fn commands(&mut self) -> Vec<Command> {
        self.shared.fail_stuck();
        let now = self.shared.clock.now();
        let request = self.shared.change(|membership| membership.request(now));
        let command = match &request {
            Request::Beat(beat) => self.identity.beat(beat),
            Request::Claim(claim) => self.identity.claim(claim),
        };
        let releases = match &request {
            Request::Beat(beat) => beat.releases.len(),
            Request::Claim(_) => 0,
        };
        self.span = spans::beat(&self.identity, releases);
        self.watch = Stopwatch::start(&*self.shared.clock);
        self.asked = Some(request);
        vec![command]
    }

    fn acknowledge(&self) -> u32 {
        self.identity.acknowledge
    }

    fn handle_unacknowledged(
        &mut self,
        replies: &[Result<Reply, StoreError>],
        shortfall: StoreError,
    ) -> Verdict {
        // What a server took away is gone, whoever else knows of it; what it gave is not given.
        if let Some(Ok(reply)) = replies.first() {
            match &self.asked {
                Some(Request::Beat(_)) => {
                    if let Ok(BeatReply::Fenced(_)) = protocol::parse_beat(reply, 0, 0) {
                        return self.handle_replies(replies);
                    }
                }
                Some(Request::Claim(_)) => match protocol::parse_claim(reply) {
                    Ok(ClaimReply::Fenced(_) | ClaimReply::Refused(_)) => {
                        return self.handle_replies(replies);
                    }
                    Ok(ClaimReply::Claimed { rejected, .. }) => {
                        self.shared.change(|membership| membership.reject(rejected));
                    }
                    _ => {}
                },
                None => {}
            }
        }
        self.handle_replies(&[Err(shortfall)])
    }

    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict {
        let span = std::mem::replace(&mut self.span, Span::none());
        let _within = span.enter();
        let heard = match replies.first() {
            Some(Ok(reply)) => self.hear(reply),
            Some(Err(error)) => Err(error.clone()),
            None => Err(StoreError::unexpected("beat", &Reply::Nil)),
        };
        let verdict = match heard {
            Ok(Heard::Acknowledged(Duration::ZERO)) => {
                self.next = Some(Duration::ZERO);
                Verdict::Acknowledged
            }
            Ok(Heard::Acknowledged(again)) => {
                let spread = Self::SPREAD.mul_f64(self.rng.f64());
                self.next = Some(again + Duration::from_millis(1) + spread);
                Verdict::Acknowledged
            }
            Ok(Heard::Unfinished) => Verdict::Unfinished,
            Ok(Heard::Failed) => Verdict::Failed,
            Ok(Heard::Fenced(_) | Heard::Overtaken(_) | Heard::Refused(_)) => Verdict::Lost,
            Err(error) => {
                self.shared.fail(error);
                Verdict::Failed
            }
        };
        if verdict == Verdict::Acknowledged {
            self.shared.meter.beaten(self.watch);
        }
        span.record("outcome", verdict.as_str());
        verdict
    }

    fn handle_at_risk(&mut self, deadline: Instant) {
        tracing::warn!(instance = %self.shared.id, "no heartbeat was acknowledged for two thirds of the ttl");
        self.shared.tell(Event::AtRisk { deadline });
    }

    fn handle_expired(&mut self) {
        self.shared.lose(LossCause::Expired);
    }

    fn wants_next_within(&self) -> Option<Duration> {
        self.next
    }
}
