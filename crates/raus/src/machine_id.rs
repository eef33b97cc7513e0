//! The handle that a process has on its machine ID.

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use coord_core::{
    clock::Instant,
    heartbeat::{Heartbeat, WeakHeartbeat},
    store::{Reply, StoreError},
};
use tokio::sync::{oneshot, watch};

use crate::{
    error::{AttachError, ReleaseError},
    event::{Events, Loss},
    minter::Minter,
    protocol,
    supervisor::Control,
    tenure::{Status, Tenure},
};

/// A machine ID, leased until it is released, dropped or lost.
///
/// Clones are handles on the same lease; dropping the last one releases it in the background. Before a process ends,
/// await [`release`](Self::release): the background may not get the time.
#[derive(Clone)]
pub struct MachineId {
    handle: Arc<Handle>,
}

pub(crate) struct Handle {
    pub(crate) range: RangeInclusive<u32>,
    /// When the machine ID was acquired; empty if none was.
    pub(crate) recorded_layout: String,
    /// Not kept alive by a handle that outlives the machine ID.
    pub(crate) heartbeat: WeakHeartbeat,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) control: watch::Sender<Control>,
    pub(crate) done: watch::Receiver<Option<Result<(), ReleaseError>>>,
}

impl MachineId {
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle: Arc::new(handle),
        }
    }

    /// The machine ID; another one after [`Event::Reacquired`](crate::Event::Reacquired).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.tenure().slot().number
    }

    /// The range that this and every later machine ID of this handle come from.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<u32> {
        self.handle.range.clone()
    }

    /// The fencing token of the current grant: above that of every earlier holder of this machine ID.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.tenure().slot().fence
    }

    /// Whether the machine ID is held right now, by the local clock: true only before [`deadline`](Self::deadline).
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.tenure().clock.now() < self.deadline()
    }

    /// The instant at which this process must stop using the machine ID unless a renewal is acknowledged before, in
    /// boot time; the clock's zero once it is lost or released.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.tenure().deadline()
    }

    /// How long the machine ID stays reserved for a holder that is silent.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.tenure().identity.timing.ttl()
    }

    /// How often the lease is renewed.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.tenure().identity.timing.heartbeat()
    }

    /// How far the local wall clock may be from the server's, and timestamps ahead of that.
    #[must_use]
    pub fn max_clock_skew(&self) -> Duration {
        self.tenure().identity.max_clock_skew()
    }

    /// Waits until the grant held at the time of the call is lost or released; `None` means released.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lost(&self) -> Option<Loss> {
        let mut status = self.tenure().status();
        let over = status
            .wait_for(|status| !matches!(status, Status::Held))
            .await;
        match over.as_deref() {
            Ok(Status::Lost(loss)) => Some(loss.clone()),
            _ => None,
        }
    }

    /// What happens to the machine ID from now on; the first reader gets everything since it was acquired.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.tenure().events.subscribe())
    }

    /// Whether another machine ID is leased by itself after a loss. Off for a plain machine ID, whose user may have
    /// put it anywhere; `snowflake::Generator::from_raus` turns it on.
    pub fn set_reacquire(&self, reacquire: bool) {
        self.handle
            .control
            .send_modify(|control| control.reacquire = reacquire);
    }

    /// Connects what mints timestamps under this machine ID, so that its horizon holds.
    ///
    /// The layout of its IDs is put on record in the namespace: one round trip, unless the record showed the same layout
    /// when the machine ID was acquired. Needs no Tokio runtime of the caller's.
    ///
    /// # Errors
    ///
    /// [`AttachError`]: something is attached already, the namespace has another layout, or the store failed for 2 s.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is attached then; the layout may be on record.
    pub async fn attach(&self, minter: Arc<dyn Minter>) -> Result<(), AttachError> {
        let (id, layout) = (self.id(), minter.layout());
        if self.tenure().has_minter() {
            return Err(AttachError::Attached { id });
        }
        if !layout.is_empty() && layout != self.handle.recorded_layout {
            let stored = self.record_layout(&layout).await?;
            if stored != layout {
                let namespace = self.tenure().identity.keys.namespace().to_owned();
                return Err(AttachError::Layout {
                    namespace,
                    stored,
                    layout,
                });
            }
        }
        self.tenure().attach(minter, layout)
    }

    /// Puts the layout on record unless there is one, and returns the one on record.
    async fn record_layout(&self, layout: &str) -> Result<String, AttachError> {
        let id = self.id();
        let released = || AttachError::Released { id };
        let heartbeat = self.handle.heartbeat.upgrade().ok_or_else(released)?;
        let command = [self.tenure().identity.record_layout(layout)];
        let (sender, answer) = oneshot::channel();
        let store = Arc::clone(heartbeat.store());
        heartbeat.spawn(async move {
            let mut attempts = 0;
            let answer = loop {
                attempts += 1;
                let reply = store
                    .pipeline(&command, Heartbeat::RESPONSE_TIMEOUT)
                    .await
                    .pop();
                let reply =
                    reply.unwrap_or_else(|| Err(StoreError::unexpected("layout", &Reply::Nil)));
                match reply.and_then(|reply| protocol::parse_layout(&reply)) {
                    Err(error) if error.is_transient() && attempts < Self::ATTEMPTS => {
                        tokio::time::sleep(Self::PAUSE).await;
                    }
                    answer => break answer,
                }
            };
            let _ = sender.send(answer);
        });
        let answer = answer.await.map_err(|_| released())?;
        answer.map_err(|source| AttachError::Store { id, source })
    }

    /// Gives the machine ID back: closes what mints under it, stops renewing, and waits for the store to confirm.
    /// Other clones of this handle then hold nothing. Doing it again returns the first outcome.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] where the store did not confirm within `release_timeout`; the ttl then frees the slot.
    ///
    /// # Cancel safety
    ///
    /// The release goes on in the background.
    pub async fn release(self) -> Result<(), ReleaseError> {
        self.handle
            .control
            .send_modify(|control| control.stop = true);
        let mut done = self.handle.done.clone();
        let outcome = done.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(ReleaseError::Abandoned { id: self.id() }),
        }
    }

    /// With their answers' time limit, 2 s or more.
    const ATTEMPTS: u32 = 4;
    const PAUSE: Duration = Duration::from_millis(500);

    fn tenure(&self) -> &Tenure {
        &self.handle.tenure
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineId")
            .field("id", &self.id())
            .field("fence", &self.fence())
            .field("held", &self.is_held())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.stop = true);
    }
}
