//! Minting under a machine ID that `raus` leases.

use std::{sync::Arc, time::Duration};

use raus::{Grant, Loss, MachineId, Minter, ReleaseError};

use crate::{BuildError, Builder, Generator, GrantError, Pool, Reservation};

impl Generator {
    /// A generator with the default layout that mints under a leased machine ID, as far as the store has acknowledged.
    ///
    /// After a loss it mints nothing ([`crate::MintError::Lost`] says why), leases another machine ID of the range by
    /// itself and goes on. Dropping the last clone gives the machine ID back in the background;
    /// [`Generator::release`] confirms.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use raus::Raus;
    /// use snowflake::Generator;
    ///
    /// // `redis://localhost:6379` in production; nothing else uses this store, so nobody is listened for.
    /// let raus = Raus::builder("memory://docs", 0..=1023).discovery(Duration::ZERO).build()?;
    /// let generator = Generator::from_raus(raus.acquire().await?).await?;
    /// let id = generator.next().await?;
    /// println!("{id}");
    /// generator.release().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError::Layout`] if the largest machine ID of the range does not fit the layout,
    /// [`BuildError::Attached`] if another generator uses this machine ID already, or the namespace mints IDs of another
    /// layout, [`BuildError::BorrowBeyondLease`] for more borrowing than `max_clock_skew` or the ttl,
    /// [`BuildError::UnitTooLong`] unless the layout's unit and two heartbeats fit into the ttl.
    ///
    /// # Cancel safety
    ///
    /// The machine ID is dropped with the future, which releases it.
    pub async fn from_raus(machine_id: MachineId) -> Result<Self, BuildError> {
        Self::builder().leased(machine_id).await
    }

    /// The leased machine ID with its events; `None` for a generator whose machine ID you assigned yourself.
    #[must_use]
    pub const fn machine_id(&self) -> Option<&MachineId> {
        self.lease()
    }

    /// Stops minting on all clones, and gives a leased machine ID back with the next holder's first timestamp.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] where the store did not confirm in time; the ttl then frees the machine ID.
    ///
    /// # Cancel safety
    ///
    /// Minting has stopped, and the release goes on in the background.
    pub async fn release(self) -> Result<(), ReleaseError> {
        match self.lease() {
            Some(machine_id) => machine_id.clone().release().await,
            None => {
                // Without a horizon file there is nothing that could fail; with one, `close` tells.
                let _ = self.close();
                Ok(())
            }
        }
    }
}

impl Pool {
    /// Releases every generator: see [`Generator::release`].
    ///
    /// # Errors
    ///
    /// The first [`ReleaseError`]; the others are released all the same.
    ///
    /// # Cancel safety
    ///
    /// The generator being released goes on in the background, those after it as if they were dropped.
    pub async fn release(self) -> Result<(), ReleaseError> {
        let mut result = Ok(());
        for generator in self.generators() {
            let released = generator.clone().release().await;
            result = result.and(released);
        }
        result
    }
}

impl Builder {
    /// A generator that mints under a leased machine ID; see [`Generator::from_raus`].
    ///
    /// # Errors
    ///
    /// As [`Generator::from_raus`].
    pub async fn leased(self, machine_id: MachineId) -> Result<Generator, BuildError> {
        self.check_lease(
            machine_id.ttl(),
            machine_id.heartbeat(),
            machine_id.max_clock_skew(),
        )?;
        let generator = self.reserved()?;
        generator.inner().set_longest_delay(machine_id.ttl());
        // Whatever the range may give later has to fit, not only what it gave now.
        generator.layout().check_range(&machine_id.range())?;
        machine_id.attach(Arc::new(generator.reservation())).await?;
        machine_id.set_reacquire(true);
        Ok(generator.with_lease(machine_id))
    }
}

impl Builder {
    /// Whether the options fit a lease with these.
    fn check_lease(
        &self,
        ttl: Duration,
        heartbeat: Duration,
        max_clock_skew: Duration,
    ) -> Result<(), BuildError> {
        let borrow = self.borrowed();
        if max_clock_skew.min(ttl) < borrow {
            return Err(BuildError::BorrowBeyondLease {
                borrow,
                max_clock_skew,
                ttl,
            });
        }
        // A unit is minted only if all of it lies below the horizon. Just before a renewal is acknowledged, the horizon is
        // a ttl after the renewal before that: one heartbeat ago, or two if one is late.
        let unit = self.unit();
        let min_ttl = unit + 2 * heartbeat;
        if ttl < min_ttl {
            return Err(BuildError::UnitTooLong { unit, ttl, min_ttl });
        }
        Ok(())
    }
}

impl Minter for Reservation {
    fn layout(&self) -> String {
        Self::layout(self).to_string()
    }

    fn grant(&self, grant: &Grant) {
        let granted = Self::grant_under(
            self,
            grant.fence,
            grant.machine_id,
            grant.floor_ms,
            grant.horizon_ms,
            Some(grant.delay),
        );
        if let Err(error) = granted {
            // The range was checked when the generator was built; a closed generator wants no grant.
            let is_shared = matches!(error, GrantError::SharedMachineId { .. });
            debug_assert!(is_shared || matches!(error, GrantError::Closed), "{error}");
            if is_shared {
                tracing::error!(
                    id = grant.machine_id,
                    "the machine ID is that of another generator of the pool; nothing is minted under it"
                );
            }
        }
    }

    fn extend(&self, fence: u64, horizon_ms: u64) {
        Self::extend_under(self, fence, horizon_ms);
    }

    fn last_minted_ms(&self) -> Option<u64> {
        // Asked for with every renewal.
        self.publish();
        Self::last_minted_ms(self)
    }

    fn revoke(&self, loss: &Loss) {
        Self::revoke(self, Arc::new(loss.clone()), loss.since_ms);
    }

    fn close(&self) -> Option<u64> {
        Self::close(self)
    }
}
