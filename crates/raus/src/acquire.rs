//! Drives a [`Search`] against the store.

use std::{future::Future, sync::Arc, time::Duration};

use coord_core::{
    advice::{Gate, GateError},
    clock::{Clock, Instant},
    heartbeat::Heartbeat,
    history::{self, Mode},
    store::{Command, Reply, Store, StoreError},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    error::AcquireError,
    protocol::{self, AcquireReply, Identity, RenewReply, Slot},
    search::{Progress, Search, Step},
};

/// A slot and the send time of the request that granted it, from which its lease counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Granted {
    pub(crate) slot: Slot,
    pub(crate) sent: Instant,
}

/// How patient an acquisition is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// A full range is an error at once; a store or a replica that fails is given [`STORE_PATIENCE`].
    Prompt,
    /// Everything that may pass is waited for until this instant.
    Until(Instant),
}

/// How long a store that fails, or replicas that do not acknowledge, are given before that is reported: as long as a connection may take.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(500);

pub(crate) struct Acquisition {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: Identity,
    /// Passed before the first request; `None` for somebody who held a slot there, and whose work goes on.
    pub(crate) gate: Option<Gate>,
    /// How long to listen to a namespace without a record; `None` for somebody who held a slot there and so knows that
    /// the record was lost.
    pub(crate) discovery: Option<Duration>,
    pub(crate) patience: Patience,
    pub(crate) rng: fastrand::Rng,
    /// Its sender is dropped when nobody waits for the outcome any more.
    pub(crate) caller: watch::Receiver<()>,
}

impl Acquisition {
    /// Searches until a slot is granted, the search fails, or patience ends; `None` where the caller went away first,
    /// which is noticed between requests only, so that what a request was granted is never forgotten.
    /// `new_search` starts over after a full range.
    pub(crate) async fn run(
        &mut self,
        mut new_search: impl FnMut(&mut fastrand::Rng) -> Search,
    ) -> Result<Option<Granted>, AcquireError> {
        // A holder of its own for each acquisition: what an earlier one left behind, or sent and never heard of again, is
        // a stranger's to this one.
        let mut holder = random_uuid(&mut self.rng);
        let mut search = new_search(&mut self.rng);
        let mut failing_since: Option<Instant> = None;
        let mut pause = FIRST_BACKOFF;
        loop {
            let error = match self.take_step(&mut holder, &mut search).await {
                Ok(Some(granted)) => return Ok(Some(granted)),
                Ok(None) if self.is_abandoned() => return Ok(None),
                Ok(None) => {
                    (failing_since, pause) = (None, FIRST_BACKOFF);
                    continue;
                }
                Err(error) => error,
            };
            let now = self.clock.now();
            let give_up_at = match (&error, self.patience) {
                (error, Patience::Prompt) if may_pass(error) => {
                    *failing_since.get_or_insert(now) + STORE_PATIENCE
                }
                (error, Patience::Until(deadline)) if may_pass(error) => deadline,
                (
                    AcquireError::RangeExhausted { .. } | AcquireError::Garbled { .. },
                    Patience::Until(deadline),
                ) => {
                    search = new_search(&mut self.rng);
                    deadline
                }
                _ => return Err(error),
            };
            if give_up_at <= now + pause {
                return Err(error);
            }
            tracing::debug!(error = %error, "acquisition is tried again");
            let jitter = 0.5 + 0.5 * self.rng.f64();
            self.unless_abandoned(tokio::time::sleep(pause.mul_f64(jitter)))
                .await;
            if self.is_abandoned() {
                return Ok(None);
            }
            pause = (pause * 2).min(MAX_BACKOFF);
        }
    }

    async fn take_step(
        &mut self,
        holder: &mut Uuid,
        search: &mut Search,
    ) -> Result<Option<Granted>, AcquireError> {
        if let Some(gate) = &self.gate {
            gate.pass().await.map_err(refused)?;
            self.gate = None;
        }
        match search.step() {
            Step::Offer {
                slots,
                mode,
                lenient,
            } => {
                let sent = self.clock.now();
                let wall_ms = self.clock.wall_ms();
                let command = self.identity.acquire(
                    *holder,
                    &slots,
                    wall_ms,
                    &mode,
                    lenient,
                    self.store.can_confirm(),
                );
                let reply = self.ask(command).await.map_err(AcquireError::Store)?;
                let reply = protocol::parse_acquire(&reply, *holder, &slots)
                    .map_err(AcquireError::Store)?;
                match search.handle_reply(wall_ms, reply) {
                    Progress::Granted { slot, replicas } => {
                        if let Some(slot) = search.garbled() {
                            let error = self.garbled(slot);
                            tracing::warn!(%error, "another slot was granted");
                        }
                        self.take_up(holder, Granted { slot, sent }, replicas).await
                    }
                    Progress::Continue => Ok(None),
                    Progress::Failed(AcquireError::TooFewReplicas { wanted, .. })
                        if !self.store.can_confirm() =>
                    {
                        Err(AcquireError::Unconfirmable { replicas: wanted })
                    }
                    Progress::Garbled(slot) => Err(self.garbled(slot)),
                    Progress::Failed(error) => Err(error),
                }
            }
            Step::Listen { token } => {
                let Some(discovery) = self.discovery else {
                    search.handle_heard(Mode::Voice);
                    return Ok(None);
                };
                let discovery = self.fit(discovery)?;
                let channel = self.identity.keys.broadcast();
                let store = Arc::clone(&self.store);
                let listening =
                    history::listen(&*store, &channel, discovery, Heartbeat::RESPONSE_TIMEOUT);
                let Some(heard) = self.unless_abandoned(listening).await else {
                    return Ok(None);
                };
                let heard = heard.map_err(AcquireError::Store)?;
                tracing::info!(%channel, ?heard, "the store has no record of this namespace");
                search.handle_heard(heard.mode(token));
                Ok(None)
            }
            Step::Wait(wait) => {
                let wait = self.fit(wait)?;
                tracing::warn!(
                    ?wait,
                    "the store may have forgotten who holds what; waiting until they have stopped"
                );
                self.unless_abandoned(tokio::time::sleep(wait)).await;
                search.handle_waited();
                Ok(None)
            }
        }
    }

    /// The grant, once replicas have acknowledged it. `None` where it came to nothing and the question stays.
    async fn take_up(
        &mut self,
        holder: &mut Uuid,
        granted: Granted,
        replicas: u32,
    ) -> Result<Option<Granted>, AcquireError> {
        if replicas != 0 {
            let confirmed = self.confirm(&granted, replicas).await;
            if !matches!(confirmed, Ok(true)) && !self.give_back(&granted.slot).await {
                // The release may still arrive, and must not take what this search is granted next: whoever asks from now
                // on is somebody else.
                *holder = random_uuid(&mut self.rng);
            }
            if !confirmed? {
                return Ok(None);
            }
        }
        // Too late to be worth anything, as after a pause of the process: the same question again.
        let in_time = self.clock.now() < self.identity.timing.deadline(granted.sent);
        Ok(in_time.then_some(granted))
    }

    /// Renews the slot on a connection of its own and waits there for the replicas: a renewal says whether the server
    /// that they replicate is still one that knows of the grant.
    async fn confirm(&self, granted: &Granted, wanted: u32) -> Result<bool, AcquireError> {
        let slot = &granted.slot;
        let till_ms = slot.server_ms.saturating_add(self.identity.timing.ttl_ms());
        let command = self
            .identity
            .renew(slot, self.clock.wall_ms(), slot.floor_ms, till_ms);
        let confirmed = self
            .store
            .confirm(&command, wanted, Heartbeat::RESPONSE_TIMEOUT)
            .await;
        let outcome = confirmed.and_then(|(reply, found)| {
            let renewed = protocol::parse_renew(&reply)?;
            Ok((matches!(renewed, RenewReply::Renewed { .. }), found))
        });
        match outcome {
            Ok((true, found)) if wanted <= found => self.is_still_so(slot, found).await,
            // Another server answers now, or the slot is another's: the search goes on.
            Ok((false, _)) => Ok(false),
            Ok((true, found)) => Err(AcquireError::TooFewReplicas { found, wanted }),
            Err(error) => Err(AcquireError::Store(error)),
        }
    }

    /// Whether those who have acknowledged a slot are all that may succeed its server. WAIT tells a number: a replica that
    /// came meanwhile may have been counted in place of one that is promoted without the grant. Who asks for what it has
    /// is told how many there are now, and to wait where one is missing.
    async fn is_still_so(&self, slot: &Slot, found: u32) -> Result<bool, AcquireError> {
        let offer = [slot.number];
        let command = self.identity.acquire(
            slot.holder,
            &offer,
            self.clock.wall_ms(),
            &Mode::Ask,
            false,
            true,
        );
        let reply = self.ask(command).await.map_err(AcquireError::Store)?;
        let reply = protocol::parse_acquire(&reply, slot.holder, &offer);
        match reply.map_err(AcquireError::Store)? {
            AcquireReply::Granted {
                slot: now,
                replicas: wanted,
                ..
            } if now.fence == slot.fence => {
                if wanted <= found {
                    return Ok(true);
                }
                Err(AcquireError::TooFewReplicas { found, wanted })
            }
            // The search is told the same, and goes on as it always does then.
            _ => Ok(false),
        }
    }

    /// Frees what did not take effect, and says whether the store has answered that. Where it fails the ttl frees it.
    async fn give_back(&self, slot: &Slot) -> bool {
        let given_back = self.ask(self.identity.release(slot, slot.floor_ms)).await;
        if let Err(error) = &given_back {
            tracing::debug!(id = slot.number, %error, "an unacknowledged grant was not given back");
        }
        given_back.is_ok()
    }

    fn garbled(&self, slot: u32) -> AcquireError {
        AcquireError::Garbled {
            key: self.identity.keys.slots(),
            slot,
        }
    }

    async fn unless_abandoned<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            output = work => Some(output),
            // Nothing is ever sent: a change is the end of the caller.
            _ = self.caller.changed() => None,
        }
    }

    fn is_abandoned(&self) -> bool {
        self.caller.has_changed().is_err()
    }

    async fn ask(&self, command: Command) -> Result<Reply, StoreError> {
        let operation = command.name();
        self.store
            .pipeline(&[command], Heartbeat::RESPONSE_TIMEOUT)
            .await
            .pop()
            .unwrap_or_else(|| Err(StoreError::unexpected(operation, &Reply::Nil)))
    }

    /// `wait`, unless it does not fit the caller's time.
    fn fit(&self, wait: Duration) -> Result<Duration, AcquireError> {
        let Patience::Until(deadline) = self.patience else {
            return Ok(wait);
        };
        let limit = deadline.saturating_since(self.clock.now());
        if limit < wait {
            return Err(AcquireError::HistorySuspect { wait, limit });
        }
        Ok(wait)
    }
}

/// Whether the next attempt may succeed without anybody's doing.
const fn may_pass(error: &AcquireError) -> bool {
    match error {
        AcquireError::Store(cause) => cause.is_transient(),
        AcquireError::TooFewReplicas { .. } => true,
        _ => false,
    }
}

fn refused(error: GateError) -> AcquireError {
    match error {
        GateError::Evicting(server) => AcquireError::Evicting(server),
        GateError::Store(error) => AcquireError::Store(error),
    }
}

/// From the given source, so that simulations replay.
fn random_uuid(rng: &mut fastrand::Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid()
}
