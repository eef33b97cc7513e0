//! Becoming a member.

use std::{sync::Arc, time::Duration};

use coord_core::{
    advice::{Gate, GateError},
    clock::{Clock, Instant},
    heartbeat::Heartbeat,
    store::{Reply, Store, StoreError},
};

use crate::{
    error::JoinError,
    membership::{Limits, Membership},
    protocol::{self, Identity, JoinReply, Refusal, Told},
};

/// A membership and the send time of the request that made it, from which its lease counts.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) number: u32,
    pub(crate) generation: String,
    pub(crate) token: String,
    pub(crate) told: Told,
    pub(crate) sent: Instant,
}

impl Joined {
    pub(crate) fn membership(&self, limits: Limits) -> Membership {
        let generation = self.generation.clone();
        Membership::new(limits, self.sent, self.number, generation, self.told)
    }
}

/// How long a store that fails is given before that is reported, and how it is asked.
pub(crate) struct Joining {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: Identity,
    /// Passed before the first request; `None` for an instance that was a member, and whose work goes on.
    pub(crate) gate: Option<Gate>,
    /// The token of an earlier incarnation of this process, which has stopped; "-" where there is none.
    pub(crate) previous: String,
    pub(crate) register_timeout: Duration,
    pub(crate) rng: fastrand::Rng,
}

impl Joining {
    const FIRST_BACKOFF: Duration = Duration::from_millis(25);
    const MAX_BACKOFF: Duration = Duration::from_millis(500);

    /// Asks until the store answers or its time is over. An id whose lease runs is waited for, at most one ttl: a
    /// process that crashed cannot tell; one that lives prolongs its lease, and then this is a duplicate.
    pub(crate) async fn run(&mut self) -> Result<Joined, JoinError> {
        let mut failing_since: Option<Instant> = None;
        let mut pause = Self::FIRST_BACKOFF;
        let mut occupied_until: Option<u64> = None;
        loop {
            let started = self.clock.now();
            let passed = self.pass().await;
            let sent = self.clock.now();
            let reply = match passed {
                Ok(()) => self.ask().await,
                Err(GateError::Evicting(server)) => return Err(JoinError::Evicting(server)),
                Err(GateError::Store(error)) => Err(error),
            };
            match reply {
                Ok(JoinReply::Joined {
                    number,
                    generation,
                    token,
                    told,
                }) => {
                    return Ok(Joined {
                        number,
                        generation,
                        token,
                        told,
                        sent,
                    });
                }
                Ok(JoinReply::Occupied { left, over_ms }) => {
                    if *occupied_until.get_or_insert(over_ms) < over_ms {
                        return Err(JoinError::DuplicateInstance {
                            id: self.identity.id.clone(),
                        });
                    }
                    (failing_since, pause) = (None, Self::FIRST_BACKOFF);
                    let look_again = self.identity.timing.heartbeat() / 2;
                    tokio::time::sleep((left + Duration::from_millis(1)).min(look_again)).await;
                }
                Ok(JoinReply::Refused(refusal)) => return Err(self.refused(refusal)),
                Err(error) => {
                    let now = self.clock.now();
                    let give_up_at = *failing_since.get_or_insert(started) + self.register_timeout;
                    if !error.is_transient() || give_up_at <= now + pause {
                        return Err(JoinError::Store(error));
                    }
                    tracing::debug!(error = %error, "joining is tried again");
                    let jitter = 0.5 + 0.5 * self.rng.f64();
                    tokio::time::sleep(pause.mul_f64(jitter)).await;
                    pause = (pause * 2).min(Self::MAX_BACKOFF);
                }
            }
        }
    }

    async fn pass(&mut self) -> Result<(), GateError> {
        if let Some(gate) = &self.gate {
            gate.pass().await?;
            self.gate = None;
        }
        Ok(())
    }

    async fn ask(&self) -> Result<JoinReply, StoreError> {
        let command = self.identity.join(&self.previous);
        let reply = self
            .store
            .pipeline(&[command], Heartbeat::RESPONSE_TIMEOUT)
            .await
            .pop()
            .unwrap_or_else(|| Err(StoreError::unexpected("join", &Reply::Nil)))?;
        protocol::parse_join(&reply)
    }

    fn refused(&self, refusal: Refusal) -> JoinError {
        match refusal {
            Refusal::Buckets { theirs } => JoinError::BucketCount {
                ours: self.identity.buckets,
                theirs,
            },
            Refusal::Assignment { theirs } => JoinError::Assignment {
                ours: self.identity.assignment,
                theirs,
            },
            Refusal::Weights { most } => JoinError::Weights {
                weight: self.identity.weight,
                most,
            },
            Refusal::Full => JoinError::Full,
            Refusal::Unverified => JoinError::Unverified,
            Refusal::NewerVersion { version } => JoinError::NewerVersion { version },
            Refusal::WrongType { key, found } => JoinError::WrongType { key, found },
        }
    }
}
