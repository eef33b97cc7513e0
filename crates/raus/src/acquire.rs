//! Drives a [`Search`] against the store.

mod releases;
mod waiting;

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    advice::{Gate, GateError},
    clock::{Clock, Instant},
    heartbeat::Heartbeat,
    history::{self, Mode},
    store::{Command, Reply, Store, StoreError},
};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use self::releases::Releases;
use self::waiting::{Waiting, Woken};
use crate::{
    chain::{Chain, Entropy},
    error::AcquireError,
    protocol::{self, AcquireReply, Identity, Leaves, Offer, RenewReply, Slot, Standing},
    search::{Progress, Search, Step},
};

/// What the store granted.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) slot: Slot,
    /// When the request that granted it was sent: its lease counts from there.
    pub(crate) sent: Instant,
    pub(crate) chain: Chain,
    /// On record in the namespace, empty if none is.
    pub(crate) layout: String,
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
    /// How long to listen to a namespace that has no record, or in which nobody was seen for long.
    pub(crate) discovery: Duration,
    pub(crate) releases: Releases,
    /// Whether this process held a slot there, and so knows that an absent record was lost.
    pub(crate) held_before: bool,
    pub(crate) patience: Patience,
    pub(crate) rng: fastrand::Rng,
    pub(crate) entropy: Entropy,
    /// Its sender is dropped when nobody waits for the outcome any more.
    pub(crate) caller: watch::Receiver<()>,
}

/// Who asks: another one for each acquisition, so that what an earlier one left behind, or sent and never heard of again,
/// is a stranger's to this one.
struct Asker {
    holder: Uuid,
    chain: Chain,
    /// Whether a question was sent of which no answer came: it may have been granted.
    is_unsure: bool,
}

impl Acquisition {
    /// Searches until a slot is granted, the search fails, or patience ends; `None` if the caller went away first, which
    /// is noticed between requests only, so that what a request was granted is never forgotten.
    /// `new_search` begins a search that offers the given slots first.
    pub(crate) async fn run(
        &mut self,
        mut new_search: impl FnMut(&mut fastrand::Rng) -> Search,
        obstacle: &Obstacle,
    ) -> Result<Option<Granted>, AcquireError> {
        let mut asker = self.new_asker();
        let mut search = new_search(&mut self.rng);
        let mut failing_since: Option<Instant> = None;
        let mut pause = FIRST_BACKOFF;
        let mut waiting = Waiting::new();
        loop {
            let error = match self.take_step(&mut asker, &mut search).await {
                Ok(Some(granted)) => return Ok(Some(granted)),
                Ok(None) if self.is_abandoned() => return Ok(None),
                Ok(None) => {
                    (failing_since, pause) = (None, FIRST_BACKOFF);
                    continue;
                }
                Err(error) => error,
            };
            let now = self.clock.now();
            let give_up_at = match (may_pass(&error), self.patience) {
                (Passing::ByItself, Patience::Prompt) => {
                    *failing_since.get_or_insert(now) + STORE_PATIENCE
                }
                (Passing::ByItself, Patience::Until(deadline)) => deadline,
                (Passing::WhenOthersLeave, Patience::Until(deadline)) => {
                    tracing::debug!(%error, "waiting for a slot");
                    if !search.is_for_one() {
                        waiting.plan(now, &error, &mut self.rng);
                        obstacle.set(error);
                    }
                    let woken = waiting.wait(self, search.range(), deadline).await;
                    if self.is_abandoned() {
                        return Ok(None);
                    }
                    search = match woken {
                        None => {
                            return Err(obstacle.take().unwrap_or(AcquireError::TimedOut {
                                limit: Duration::ZERO,
                            }));
                        }
                        Some(Woken::ByTime) => new_search(&mut self.rng).with_few_at_first(),
                        Some(Woken::ByRelease(slot)) => search.for_one(slot),
                    };
                    continue;
                }
                _ => return Err(error),
            };
            if give_up_at <= now + pause {
                return Err(error);
            }
            tracing::debug!(error = %error, "acquisition is tried again");
            obstacle.set(error);
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
        asker: &mut Asker,
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
            } => self.offer(asker, search, &slots, &mode, lenient).await,
            Step::Listen { token, is_quiet } => {
                if self.held_before && !is_quiet {
                    search.handle_heard(Mode::Voice);
                    return Ok(None);
                }
                self.listen(search, token).await
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

    async fn offer(
        &mut self,
        asker: &mut Asker,
        search: &mut Search,
        slots: &[u32],
        mode: &Mode,
        lenient: bool,
    ) -> Result<Option<Granted>, AcquireError> {
        let sent = self.clock.now();
        let wall_ms = self.clock.wall_ms();
        let range = search.whole_range().cloned();
        let command = self.identity.acquire(&Offer {
            holder: asker.holder,
            slots,
            wall_ms,
            mode,
            lenient,
            range: range.as_ref().filter(|_| !asker.is_unsure),
            number: asker.chain.granted(),
        });
        let answer = self.ask(command).await;
        asker.is_unsure |= answer.is_err();
        let reply =
            protocol::parse_acquire(&answer.map_err(AcquireError::Store)?, asker.holder, slots)
                .map_err(AcquireError::Store)?;
        if let AcquireReply::Granted { longest, .. } = &reply {
            self.identity.longest.set(*longest);
        }
        match search.handle_reply(wall_ms, reply) {
            Progress::Granted { slot, layout } => {
                if let Some(slot) = search.garbled() {
                    let error = self.garbled(slot);
                    tracing::warn!(%error, "another slot was granted");
                }
                let chain = asker.chain.clone();
                let granted = Granted {
                    slot,
                    sent,
                    chain,
                    layout,
                };
                self.take_up(asker, granted).await
            }
            Progress::Continue => Ok(None),
            Progress::Garbled(slot) => Err(self.garbled(slot)),
            Progress::Failed(error) => Err(error),
        }
    }

    async fn listen(
        &mut self,
        search: &mut Search,
        token: String,
    ) -> Result<Option<Granted>, AcquireError> {
        let discovery = self.fit(self.discovery)?;
        let channel = self.identity.keys.broadcast();
        let store = Arc::clone(&self.store);
        let listening = history::listen(&*store, &channel, discovery, Heartbeat::RESPONSE_TIMEOUT);
        let Some(heard) = self.unless_abandoned(listening).await else {
            return Ok(None);
        };
        let heard = heard.map_err(AcquireError::Store)?;
        tracing::info!(%channel, ?heard, "listened for living holders before a grant");
        search.handle_heard(heard.mode(token));
        Ok(None)
    }

    /// The grant, once enough replicas have it. `None` if it came to nothing and the question stays.
    async fn take_up(
        &mut self,
        asker: &mut Asker,
        mut granted: Granted,
    ) -> Result<Option<Granted>, AcquireError> {
        if self.identity.acknowledge != 0 {
            let confirmed = self.confirm(&mut granted).await;
            if !matches!(confirmed, Ok(true)) && !self.give_back(&mut granted).await {
                // The release may still arrive, and must not take what this search is granted next: somebody else asks
                // from now on.
                *asker = self.new_asker();
            }
            if !confirmed? {
                return Ok(None);
            }
        }
        // Too late to be worth anything, as after a pause of the process: the same question again.
        let in_time = self.clock.now() < self.identity.timing.deadline(granted.sent);
        asker.is_unsure = true;
        Ok(in_time.then_some(granted))
    }

    /// Renews the slot on a connection of its own and waits there for the replicas.
    async fn confirm(&self, granted: &mut Granted) -> Result<bool, AcquireError> {
        let wanted = self.identity.acknowledge;
        let slot = granted.slot;
        let (number, chain) = self.next_of(granted);
        let command = self.identity.renew(
            &slot,
            self.clock.wall_ms(),
            slot.floor_ms,
            self.standing(&slot, &chain),
            "",
        );
        let confirmed = self
            .store
            .confirm(&[command], wanted, Heartbeat::RESPONSE_TIMEOUT)
            .await;
        let outcome = confirmed.and_then(|(mut replies, found)| {
            let nothing = || Err(StoreError::unexpected("renew", &Reply::Nil));
            let renewed = protocol::parse_renew(&replies.pop().unwrap_or_else(nothing)?)?;
            Ok((matches!(renewed, RenewReply::Renewed(_)), found))
        });
        match outcome {
            Ok((true, found)) if wanted <= found => {
                granted.chain.handle_answered(number);
                Ok(true)
            }
            // Another server answers now, or the slot is another's: the search goes on.
            Ok((false, _)) => Ok(false),
            Ok((true, found)) => Err(AcquireError::TooFewReplicas { found, wanted }),
            Err(error) => Err(AcquireError::Store(error)),
        }
    }

    /// Frees what did not take effect, and says whether the store has answered that. If it fails, the ttl frees it.
    async fn give_back(&self, granted: &mut Granted) -> bool {
        let slot = granted.slot;
        let (_, chain) = self.next_of(granted);
        let leaves = Leaves::Exactly(slot.floor_ms);
        let release = self
            .identity
            .release(&slot, leaves, self.standing(&slot, &chain));
        let given_back = self.ask(release).await;
        if let Err(error) = &given_back {
            tracing::debug!(id = slot.number, %error, "an unacknowledged grant was not given back");
        }
        given_back.is_ok()
    }

    fn next_of(&self, granted: &mut Granted) -> (u64, String) {
        granted.chain.next(self.clock.now(), granted.sent)
    }

    fn standing<'a>(&self, slot: &Slot, chain: &'a str) -> Standing<'a> {
        Standing {
            till_ms: slot.server_ms.saturating_add(self.identity.timing.ttl_ms()),
            chain,
        }
    }

    fn new_asker(&mut self) -> Asker {
        Asker {
            holder: self.entropy.uuid(),
            chain: Chain::new(self.entropy.fork()),
            is_unsure: false,
        }
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
            return Err(AcquireError::Quarantined { wait, limit });
        }
        Ok(wait)
    }
}

/// What was in the way last, for a caller whose time is over in the middle of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Obstacle(Arc<Mutex<Option<AcquireError>>>);

impl Obstacle {
    fn set(&self, error: AcquireError) {
        *self.lock() = Some(error);
    }

    pub(crate) fn take(&self) -> Option<AcquireError> {
        self.lock().take()
    }

    /// One assignment is always complete, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Option<AcquireError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has to happen before the next attempt may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    ByItself,
    WhenOthersLeave,
    Never,
}

const fn may_pass(error: &AcquireError) -> Passing {
    match error {
        AcquireError::Store(cause) if cause.is_transient() => Passing::ByItself,
        AcquireError::TooFewReplicas { .. } => Passing::ByItself,
        AcquireError::RangeExhausted { .. }
        | AcquireError::Garbled { .. }
        | AcquireError::HorizonAhead { .. } => Passing::WhenOthersLeave,
        _ => Passing::Never,
    }
}

fn refused(error: GateError) -> AcquireError {
    match error {
        GateError::Evicting(server) => AcquireError::Evicting(server),
        GateError::Store(error) => AcquireError::Store(error),
    }
}
