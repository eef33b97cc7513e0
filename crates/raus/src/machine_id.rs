//! The handle that a process has on its machine ID.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use coord_core::clock::Instant;
use tokio::sync::watch;

use crate::{
    error::{AttachError, ReleaseError},
    event::{Events, Loss},
    minter::Minter,
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

struct Handle {
    range: RangeInclusive<u32>,
    tenure: Arc<Tenure>,
    control: watch::Sender<Control>,
    done: watch::Receiver<Option<Result<(), ReleaseError>>>,
}

impl MachineId {
    pub(crate) fn new(
        range: RangeInclusive<u32>,
        tenure: Arc<Tenure>,
        control: watch::Sender<Control>,
        done: watch::Receiver<Option<Result<(), ReleaseError>>>,
    ) -> Self {
        Self {
            handle: Arc::new(Handle {
                range,
                tenure,
                control,
                done,
            }),
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
    /// # Errors
    ///
    /// [`AttachError`] where something is attached already.
    pub fn attach(&self, minter: Arc<dyn Minter>) -> Result<(), AttachError> {
        self.tenure().attach(minter)
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
